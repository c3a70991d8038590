"""Make outlier masks of COCO images that show nothing Cityscapes has a class for.

    python tools/dataset_converters/coco_outlier_masks.py data/coco

reads annotations/instances_train2017.json and writes annotations/ood_seg_train2017/NAME.png: 254 on every
object, 0 elsewhere. Images with a person, bicycle, car, motorcycle, bus, truck, traffic light or stop sign
are left out, and those narrower or lower than 480 pixels (Meta-OoD, https://arxiv.org/abs/2012.06575).
"""

import argparse
import json
import os
from collections import defaultdict
from pathlib import Path

EXCLUDED = ('person', 'bicycle', 'car', 'motorcycle', 'bus', 'truck', 'traffic light', 'stop sign')


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('root', type=Path, help='the folder that holds annotations/')
    parser.add_argument('--split', default='train2017')
    parser.add_argument('--min-size', type=int, default=480, help='least height and width in pixels')
    return parser.parse_args(argv)


def write_mask(image: dict, annotations: list[dict], path: Path) -> None:
    """Write the union of an image's objects as 254."""
    import numpy as np
    from PIL import Image
    from pycocotools import mask as coco_mask

    height, width = image['height'], image['width']
    union = np.zeros((height, width), bool)
    for annotation in annotations:
        code = annotation['segmentation']
        if isinstance(code, list):
            code = coco_mask.merge(coco_mask.frPyObjects(code, height, width))
        elif isinstance(code['counts'], list):
            code = coco_mask.frPyObjects(code, height, width)
        union |= coco_mask.decode(code).astype(bool)
    part = path.with_name(f'.{path.name}.part')
    Image.fromarray(union.astype(np.uint8) * 254).save(part, format='PNG')
    os.replace(part, path)


def main(argv=None) -> None:
    args = parse_args(argv)
    from rich.progress import track

    source = args.root / f'annotations/instances_{args.split}.json'
    if not source.is_file():
        raise SystemExit(
            f'{source}: no such file; "2017 Train/Val annotations" of https://cocodataset.org has it'
        )
    content = json.loads(source.read_bytes())
    excluded = {c['id'] for c in content['categories'] if c['name'] in EXCLUDED}
    objects = defaultdict(list)
    for annotation in content['annotations']:
        objects[annotation['image_id']].append(annotation)

    known = {i for i, items in objects.items() if any(item['category_id'] in excluded for item in items)}
    images = [image for image in content['images'] if image['id'] in objects and image['id'] not in known]
    large = [image for image in images if min(image['height'], image['width']) >= args.min_size]
    folder = args.root / f'annotations/ood_seg_{args.split}'
    folder.mkdir(parents=True, exist_ok=True)
    for image in track(large, description='masks'):
        write_mask(image, objects[image['id']], folder / f'{Path(image["file_name"]).stem}.png')
    print(
        f'{len(content["images"])} images: {len(known)} show a known class, '
        f'{len(content["images"]) - len(known) - len(images)} have no object, {len(images) - len(large)} are '
        f'too small; {len(large)} masks written to {folder}'
    )


if __name__ == '__main__':
    main()
