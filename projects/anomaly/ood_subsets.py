"""Out-of-distribution subsets of COCO and OpenImages for a detector's known classes.

An image belongs to the subset if it is annotated and none of its annotations is of
a known class (Du et al., "VOS", arXiv 2202.01197). The result is a COCO file that
mmdet's ``CocoDataset`` reads.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..files.images import image_size
from ..files.json_files import read_json

#: COCO categories that a detector of the data set knows.
COCO_KNOWN = dict(
    bdd100k=(
        'person', 'bicycle', 'car', 'motorcycle', 'bus', 'train', 'truck', 'traffic light', 'stop sign',
    ),
    voc=(
        'airplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow', 'dining table',
        'dog', 'horse', 'motorcycle', 'person', 'potted plant', 'sheep', 'couch', 'train', 'tv',
    ),
)  # fmt: skip
#: OpenImages classes that a detector of the data set knows, with their descendants in the hierarchy.
OPENIMAGES_KNOWN = dict(
    bdd100k=(
        'Person', 'Bicycle', 'Car', 'Motorcycle', 'Bus', 'Train', 'Truck', 'Van', 'Traffic light',
        'Traffic sign', 'Stop sign',
    ),
    voc=(
        'Airplane', 'Bicycle', 'Bird', 'Boat', 'Bottle', 'Bus', 'Car', 'Cat', 'Chair', 'Cattle',
        'Kitchen & dining room table', 'Dog', 'Horse', 'Motorcycle', 'Person', 'Houseplant', 'Sheep',
        'Couch', 'Train', 'Television', 'Computer monitor',
    ),
)  # fmt: skip


def coco_subset(content: dict, known: Iterable[str]) -> dict:
    """The images of a COCO file whose annotations all fall outside the known categories.

    Args:
        content: A COCO file's content.
        known: Names of the known categories.

    Returns:
        A COCO file's content with those images, their annotations and all categories.

    Raises:
        ValueError: Not a COCO file, a known category is not in it, or an annotation is of an image or a category
            that it lacks.
    """
    wrong = [k for k in ('images', 'annotations', 'categories') if not isinstance(content.get(k), list)]
    if wrong:
        raise ValueError(f'no list of {" and of ".join(wrong)}: a COCO file is expected')
    names = {c['name']: c['id'] for c in content['categories']}
    if lacking := set(known) - set(names):
        raise ValueError(f'the file has no category {", ".join(sorted(lacking))}; it has {", ".join(names)}')
    known_ids = {names[name] for name in known}
    for kind, ids in (('image', {i['id'] for i in content['images']}), ('category', set(names.values()))):
        for number, a in enumerate(content['annotations']):
            if a[f'{kind}_id'] not in ids:
                raise ValueError(
                    f'annotation {a.get("id", f"number {number + 1}")} is of {kind} {a[f"{kind}_id"]!r}, which the '
                    f'file lacks: whether its image shows a known object cannot be told'
                )
    annotated = {a['image_id'] for a in content['annotations']}
    kept = annotated - {a['image_id'] for a in content['annotations'] if a['category_id'] in known_ids}
    return dict(
        images=[i for i in content['images'] if i['id'] in kept],
        annotations=[a for a in content['annotations'] if a['image_id'] in kept],
        categories=content['categories'],
    )


def descendants(hierarchy: dict, roots: Iterable[str]) -> set[str]:
    """The given OpenImages labels (``/m/...``) and all below them in ``bbox_labels_600_hierarchy.json``."""
    roots = set(roots)

    def below(node: dict, inside: bool) -> Iterator[str]:
        inside = inside or node['LabelName'] in roots
        if inside:
            yield node['LabelName']
        for key in ('Subcategory', 'Part'):
            for child in node.get(key, ()):
                # a part (a wheel) is not its whole
                yield from below(child, inside and key == 'Subcategory')

    return roots | set(below(hierarchy, False))


def openimages_subset(
    boxes: str | Path,
    classes: str | Path,
    images: str | Path,
    known: Iterable[str],
    hierarchy: str | Path | None = None,
) -> dict:
    """The images of OpenImages whose boxes are all of classes that the detector does not know.

    Args:
        boxes: ``validation-annotations-bbox.csv``.
        classes: ``class-descriptions-boxable.csv`` (label, name).
        images: Folder with ``IMAGEID.jpg``; images that are not in it are left out.
        known: Names of the known classes.
        hierarchy: ``bbox_labels_600_hierarchy.json``; then classes below a known one are known.

    Returns:
        A COCO file's content; boxes in pixels.

    Raises:
        ValueError: A known class is not described, a file is of another form, or a box is of a class that is not
            described.
        FileNotFoundError: No image of the subset is in the folder.
        ImageError: An image of the subset cannot be read.
    """
    with open(classes, newline='', encoding='utf-8') as file:
        rows = [row for row in csv.reader(file) if row and row[0] != 'LabelName']
    if short := [row for row in rows if len(row) < 2]:
        raise ValueError(f'{classes}: {short[0]} in place of a label and a name')
    labels = {row[1]: row[0] for row in rows}
    if lacking := set(known) - set(labels):
        raise ValueError(f'{classes} has no class {", ".join(sorted(lacking))}')
    known_labels = {labels[name] for name in known}
    if hierarchy is not None:
        try:
            known_labels = descendants(read_json(hierarchy), known_labels)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f'{hierarchy}: not the hierarchy of OpenImages ({error!r})') from error
    found: dict[str, list[dict]] = {}
    with open(boxes, newline='', encoding='utf-8') as file:
        table = csv.DictReader(file)
        if lacking := {'ImageID', 'LabelName', 'XMin', 'XMax', 'YMin', 'YMax'} - set(table.fieldnames or ()):
            raise ValueError(f'{boxes} has no column {", ".join(sorted(lacking))}')
        for row in table:
            found.setdefault(row['ImageID'], []).append(row)
    absent = [name for name in found if not (Path(images) / f'{name}.jpg').is_file()]
    if absent:
        warnings.warn(
            f'{len(absent)} of {len(found)} annotated images are not in {images} and are left out, such as '
            f'{absent[0]}.jpg',
            stacklevel=2,
        )
    ids = {row[0]: i for i, row in enumerate(rows, 1)}
    content = dict(images=[], annotations=[], categories=[dict(id=ids[r[0]], name=r[1]) for r in rows])
    for name, objects in sorted(found.items()):
        path = Path(images) / f'{name}.jpg'
        if not path.is_file() or any(o['LabelName'] in known_labels for o in objects):
            continue
        if strange := [o['LabelName'] for o in objects if o['LabelName'] not in ids]:
            raise ValueError(f'{boxes}: {name} has a box of {strange[0]}, which {classes} does not describe')
        width, height = image_size(path)
        number = len(content['images']) + 1
        content['images'].append(dict(id=number, file_name=path.name, width=width, height=height))
        for o in objects:
            x0, x1 = float(o['XMin']) * width, float(o['XMax']) * width
            y0, y1 = float(o['YMin']) * height, float(o['YMax']) * height
            content['annotations'].append(
                dict(
                    id=len(content['annotations']) + 1,
                    image_id=number,
                    category_id=ids[o['LabelName']],
                    bbox=[x0, y0, x1 - x0, y1 - y0],
                    area=(x1 - x0) * (y1 - y0),
                    iscrowd=int(o.get('IsGroupOf', 0) == '1'),
                )
            )
    if not content['images']:
        raise FileNotFoundError(f'{images}: none of the {len(found)} annotated images is here and unknown')
    return content
