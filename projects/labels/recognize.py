"""What a path holds: the format of its labels, its splits, and where their images are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..bdd100k.coco import is_coco, is_coco_results
from ..bdd100k.scalabel import LabelFileError

#: Names of splits as folders and files have them.
SPLITS = {
    'train': ('train', 'training', 'train2017'),
    'val': ('val', 'valid', 'validation', 'val2017'),
    'test': ('test', 'testing', 'test2017'),
}
_NAMES = {name: split for split, names in SPLITS.items() for name in names}


@dataclass
class Found:
    """The labels of one split."""

    format: str  #: one of `formats.FORMATS`
    split: str  #: train, val or test; '' where there is one set
    files: list[Path]  #: the label file or files; of YOLO, the folders of the images
    images: list[Path] = field(default_factory=list)  #: folders in which the images may be, likeliest first
    classes: tuple[str, ...] = ()  #: of YOLO, whose text files have numbers


def split_of(name: str) -> str:
    """The split that a file's or folder's name tells, '' where it tells none or several."""
    words = {_NAMES[word] for word in re.split(r'[^a-z0-9]+', name.lower()) if word in _NAMES}
    return words.pop() if len(words) == 1 else ''


def recognize(path: str | Path, form: str | None = None) -> list[Found]:
    """The sets of labels at a path: a label file, or a folder of a data set.

    Args:
        path: Of BDD100K, Scalabel, COCO, YOLO (``data.yaml``), Pascal VOC, labelme, CVAT or Label Studio.
        form: Which of them it is; None looks.

    Raises:
        LabelFileError: There is nothing, or nothing of these formats (of ``form``); says what was looked for.
    """
    path = Path(path)
    if not path.exists():
        raise LabelFileError(f'{path}: no such file or folder')
    found = _of_file(path) if path.is_file() else _of_folder(path)
    if form is not None:
        same = {'bdd': ('bdd', 'scalabel'), 'scalabel': ('bdd', 'scalabel')}.get(form, (form,))
        found = [one for one in found if one.format in same]
        for one in found:
            one.format = form
    if not found:
        raise LabelFileError(
            f'{path}: no labels{f" of {form}" if form else ""} found. Looked for labels/det_20/det_*.json (BDD100K), '
            '.json files of Scalabel, COCO, labelme or Label Studio in it and in annotations/, labels/, train/ and '
            'val/, data.yaml or classes.txt with labels/*.txt (YOLO), Annotations/*.xml (Pascal VOC) and .xml files '
            'of CVAT'
        )
    return _unique(found, path)


def _unique(found: list[Found], path: Path) -> list[Found]:
    splits: dict[str, Found] = {}
    for one in found:
        other = splits.setdefault(one.split, one)
        if other is not one:
            raise LabelFileError(
                f'{path}: several sets of labels for {one.split or "all images"}: {other.format} in {other.files[0]} '
                f'and {one.format} in {one.files[0]}: name the one that is meant'
            )
    if '' in splits and len(splits) > 1:
        raise LabelFileError(
            f'{path}: {splits[""].files[0]} lies beside the splits {", ".join(s for s in splits if s)}; name the one '
            'that is meant'
        )
    order = ('train', 'val', 'test', '')
    return sorted(splits.values(), key=lambda one: order.index(one.split))


def _of_file(path: Path) -> list[Found]:
    if path.suffix.lower() in ('.yaml', '.yml'):
        return _yolo(path)
    form = form_of(path)
    return [] if form is None else [Found(form, split_of(path.stem), [path], _bases(path))]


def form_of(path: Path) -> str | None:
    """The format of a label file by its content; None where it is none that is known."""
    with open(path, 'rb') as file:
        head = file.read(1 << 16).removeprefix(b'\xef\xbb\xbf').lstrip()
    if path.suffix.lower() == '.xml':
        if re.search(rb'<annotations[\s>]', head):
            return 'cvat'
        return 'voc' if re.search(rb'<annotation[\s>]', head) else None
    if path.suffix.lower() != '.json' or head[:1] not in (b'[', b'{'):
        return None
    if is_coco_results(path):
        raise LabelFileError(
            f"{path}: COCO's results: they have ids of images, which the ground truth names: give them to "
            'mmroad eval -g GROUND_TRUTH -r RESULTS'
        )
    if is_coco(path):
        return 'coco'
    if b'"shapes"' in head and b'"imagePath"' in head or b'"imageData"' in head:
        return 'labelme'
    if re.match(rb'\[\s*\{', head) and b'"data"' in head and re.search(rb'"(annotations|predictions)"', head):
        return 'labelstudio'
    return 'scalabel' if b'"name"' in head or b'"frames"' in head or head.startswith(b'[]') else None


def _of_folder(path: Path) -> list[Found]:
    for look in (_bdd, _yolo_folder, _voc_folder, _in_splits, _flat):
        if found := look(path):
            return found
    return []


def _bdd(path: Path) -> list[Found]:
    found = []
    for split in SPLITS:
        for labels in (
            f'labels/det_20/det_{split}.json',
            f'labels/100k/{split}',
            f'labels/bdd100k_labels_{split}',
        ):
            if (path / labels).exists():
                images = [path / 'images/100k' / split, path / 'images' / split, path / 'images']
                found.append(Found('bdd', split, [path / labels], images))
                break
    return found


def _yolo(path: Path) -> list[Found]:
    from .yolo import read_yaml

    classes, splits = read_yaml(path)
    found = [Found('yolo', split, places, places, classes) for split, places in splits.items()]
    if len(found) == 2 and found[0].files == found[1].files:  # one set for both, as YOLO demands two
        found = found[:1]
        found[0].split = ''
    return found


def _yolo_folder(path: Path) -> list[Found]:
    yamls = [
        file for pattern in ('*.yaml', '*.yml') for file in sorted(path.glob(pattern)) if _has_names(file)
    ]
    if len(yamls) > 1:
        raise LabelFileError(
            f'{path}: several data sets: {", ".join(file.name for file in yamls)}; name one of them'
        )
    if yamls:
        return _yolo(yamls[0])
    names = next(
        (f for f in (path / 'classes.txt', path / 'labels/classes.txt', path / 'obj.names') if f.is_file()),
        None,
    )
    texts = next(path.glob('labels/**/*.txt'), None)
    if names is None or texts is None or not (path / 'images').is_dir():
        return []
    classes = tuple(
        line.strip() for line in names.read_text(encoding='utf-8-sig').splitlines() if line.strip()
    )
    parts = {split_of(p.name): p for p in (path / 'images').iterdir() if p.is_dir() and split_of(p.name)}
    if parts:
        return [Found('yolo', split, [place], [place], classes) for split, place in parts.items()]
    return [Found('yolo', '', [path / 'images'], [path / 'images'], classes)]


def _has_names(path: Path) -> bool:
    return re.search(rb'^["\']?names["\']?\s*:', path.read_bytes(), re.MULTILINE) is not None


def _voc_folder(path: Path) -> list[Found]:
    folder = path / 'Annotations'
    files = sorted(folder.rglob('*.xml')) if folder.is_dir() else []
    if not files:
        return []
    images = [path / 'JPEGImages', path / 'images', path, folder]
    sets = [
        file
        for file in sorted((path / 'ImageSets/Main').glob('*.txt'))
        if split_of(file.stem) or file.stem == 'trainval'
    ]
    sets = [file for file in sets if '_' not in file.stem]  # cat_train.txt lists the images of one class
    if not any(split_of(file.stem) for file in sets):
        return [Found('voc', '', files, images)]
    found = []
    for file in sets:
        if split := split_of(file.stem):
            lines = [line.strip() for line in file.read_text(encoding='utf-8').splitlines()]
            # a line may have a mark behind the name, and a name may have blanks
            stems = [n if (folder / f'{n}.xml').is_file() else n.split()[0] for n in lines if n]
            missing = [stem for stem in stems if not (folder / f'{stem}.xml').is_file()]
            if missing:
                raise LabelFileError(
                    f'{file}: {len(missing)} of its images have no annotation, such as {missing[0]}'
                )
            found.append(Found('voc', split, [folder / f'{stem}.xml' for stem in stems], images))
    return found


def _in_splits(path: Path) -> list[Found]:
    """Folders train, val and test (Roboflow: valid), each with a set of its own."""
    found = []
    for folder in sorted(p for p in path.iterdir() if p.is_dir() and p.name.lower() in _NAMES):
        for one in _flat(folder):
            one.split = _NAMES[folder.name.lower()]
            one.images += [path / 'images' / folder.name, path / 'images']
            found.append(one)
    return found


def _flat(path: Path) -> list[Found]:
    """Label files in a folder or in its ``annotations`` or ``labels``."""
    for folder in (path, path / 'annotations', path / 'labels', path / 'labels/det_20'):
        files = _files(folder)
        forms = {file: form for file in files if (form := form_of(file))}
        single = {form: [file for file in forms if forms[file] == form] for form in ('labelme', 'voc')}
        found = [
            Found(form, split_of(path.name), files, [path, path / 'images', path / 'JPEGImages'])
            for form, files in single.items()
            if files
        ]
        found += [
            Found(form, split_of(file.stem), [file], _bases(file))
            for file, form in forms.items()
            if form not in single
        ]
        if single['labelme']:
            break
        if found:
            return _boxes_of(found)
    deep = [f for f in sorted(path.rglob('*.json')) if not f.name.startswith('.') and form_of(f) == 'labelme']
    return [Found('labelme', split_of(path.name), deep, [path, path / 'images'])] if deep else []


def _boxes_of(found: list[Found]) -> list[Found]:
    """Of COCO's files of one split (instances, captions, keypoints, panoptic) the instances."""
    coco = [one for one in found if one.format == 'coco']
    boxes = [one for one in coco if 'instances' in one.files[0].name]
    return [one for one in found if one not in coco] + (boxes or coco)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    every = sorted(p for p in folder.iterdir() if p.suffix.lower() in ('.json', '.xml') and p.is_file())
    every = [p for p in every if not p.name.startswith('.')]
    names = {p.name for p in every}
    return [p for p in every if not (p.name == 'det.coco.json' and 'det.json' in names)]


def _bases(file: Path) -> list[Path]:
    """Folders in which the images of a label file may be."""
    folder, split = file.parent, split_of(file.stem)
    names = [name for part in ([split] if split else []) for name in SPLITS[part]]
    places = []
    for base in (folder, folder.parent, folder.parent.parent):
        places += [base / 'images' / name for name in names] + [base / name for name in names]
        places += [base / 'images/100k' / name for name in names] + [base / 'images', base]
    return places


def find_images(names: Iterable[str], places: Iterable[Path]) -> Path | None:
    """The first of some folders that holds the first of some images; None where none does."""
    name = next(iter(names), None)
    return None if name is None else next((place for place in places if (place / name).is_file()), None)
