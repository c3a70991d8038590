"""Make outlier masks of COCO images that show nothing Cityscapes has a class for.

    mmroad data outlier-masks data/coco

reads annotations/instances_train2017.json and writes annotations/ood_seg_train2017/NAME.png: 254 on every
object, 0 elsewhere. Images with a person, bicycle, car, motorcycle, bus, truck, traffic light or stop sign
are left out, and those narrower or lower than 480 pixels (Meta-OoD, https://arxiv.org/abs/2012.06575).
"""

import argparse
from collections import defaultdict
from pathlib import Path

EXCLUDED = ('person', 'bicycle', 'car', 'motorcycle', 'bus', 'truck', 'traffic light', 'stop sign')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('root', type=Path, help='the folder that holds annotations/')
    parser.add_argument('--split', default='train2017')
    parser.add_argument('--min-size', type=int, default=480, help='least height and width in pixels')


def union_of(image: dict, annotations: list[dict]):
    """The union of an image's objects, (H, W) bool."""
    import numpy as np
    from pycocotools import mask as coco_mask

    from ...files.rle import checked_rle

    height, width = image['height'], image['width']
    union = np.zeros((height, width), bool)
    for annotation in annotations:
        try:
            code = annotation['segmentation']
            if isinstance(code, list):
                if not code or any(len(polygon) < 6 or len(polygon) % 2 for polygon in code):
                    raise ValueError('a polygon needs three corners, x and y each')
                code = coco_mask.merge(coco_mask.frPyObjects(code, height, width))
            elif list(code['size']) == [height, width]:
                code = checked_rle(code['counts'], code['size'])
            else:
                raise ValueError(f'its size is {code["size"]}, the image has {[height, width]}')
        except (KeyError, TypeError, ValueError) as error:
            reason = f'no {error}' if isinstance(error, KeyError) else error
            raise ValueError(
                f'image {image["id"]} ({image["file_name"]}), annotation {annotation.get("id")}: segmentation: {reason}'
            ) from error
        union |= coco_mask.decode(code).astype(bool)
    return union


def read(source: Path) -> dict:
    """The annotation file's content, checked for what is needed here."""
    if not source.is_file():
        raise FileNotFoundError(
            f'{source}: no such file; "2017 Train/Val annotations" of https://cocodataset.org has it'
        )
    from ...files.json_files import read_json

    content = read_json(source)
    wanted = dict(
        images=('id', 'file_name', 'height', 'width'),
        annotations=('image_id', 'category_id'),
        categories=('id', 'name'),
    )
    for name, keys in wanted.items():
        if not isinstance(content, dict) or not isinstance(content.get(name), list):
            raise ValueError(f'{source}: no list {name!r} in it; an instances_*.json of COCO is wanted')
        for number, item in enumerate(content[name]):
            if lacking := [key for key in keys if not isinstance(item, dict) or key not in item]:
                raise ValueError(f'{source}: entry {number} of {name} has no {", ".join(lacking)}')
    places: dict[str, str] = {}
    for image in content['images']:
        name = Path(image['file_name']).stem
        if (other := places.setdefault(name, image['file_name'])) != image['file_name']:
            raise ValueError(
                f'{source}: {other} and {image["file_name"]} would both be {name}.png: rename one'
            )
    ids = {image['id'] for image in content['images']}
    if lost := [a for a in content['annotations'] if a['image_id'] not in ids]:
        raise ValueError(
            f'{source}: annotation {lost[0].get("id")} is of image {lost[0]["image_id"]}, which it lacks'
        )
    return content


def run(args: argparse.Namespace) -> None:
    import numpy as np

    from ...files.png import write_png
    from ...files.progress import track

    source = args.root / f'annotations/instances_{args.split}.json'
    content = read(source)
    excluded = {c['id'] for c in content['categories'] if c['name'] in EXCLUDED}
    if not excluded:
        raise SystemExit(
            f"{source}: no category is called {', '.join(EXCLUDED)}: are these COCO's categories?"
        )
    objects = defaultdict(list)
    for annotation in content['annotations']:
        objects[annotation['image_id']].append(annotation)

    known = {i for i, items in objects.items() if any(item['category_id'] in excluded for item in items)}
    images = [image for image in content['images'] if image['id'] in objects and image['id'] not in known]
    large = [image for image in images if min(image['height'], image['width']) >= args.min_size]
    folder, left_out = args.root / f'annotations/ood_seg_{args.split}', []
    folder.mkdir(parents=True, exist_ok=True)
    for image in track(large, 'masks'):
        try:
            union = union_of(image, objects[image['id']])
        except ValueError as error:
            left_out.append(str(error))
            continue
        write_png(folder / f'{Path(image["file_name"]).stem}.png', union.astype(np.uint8) * 254)
    print(
        f'{len(content["images"])} images: {len(known)} show a known class, '
        f'{len(content["images"]) - len(known) - len(images)} have no object, {len(images) - len(large)} are '
        f'too small; {len(large) - len(left_out)} masks written to {folder}'
    )
    if left_out:
        lines = '\n'.join(left_out[:20])
        raise SystemExit(f'{source}: {len(left_out)} images are left out:\n{lines}')
