"""Pascal VOC's XML (http://host.robots.ox.ac.uk/pascal/VOC/): a file an image.

Pixels count from 1 and the upper corner is inclusive: the first pixel alone is 1, 1, 1, 1. Corners with a fraction
are written with it. ``difficult`` marks ignored regions; attributes are written as CVAT has them in its VOC files.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..bdd100k.scalabel import LabelFileError
from ..files.outputs import OutputNames
from ..files.replacing import write_text
from .form import Box, Image, LabelSet, Losses, classes_in, take_flags, usable, with_flags
from .values import from_text, number, to_text

#: Elements of an object that are attributes of ours.
_FLAGS = ('truncated', 'occluded')


def read(files: Sequence[Path], folder: Path | None, source: str) -> LabelSet:
    """The annotations of some files.

    Args:
        files: The XML files.
        folder: Where the images are; an annotation names its image by ``filename``.
        source: For messages.

    Raises:
        LabelFileError: A file is no VOC annotation; names it.
    """
    losses = Losses()
    images = [_image(file, losses) for file in files]
    return LabelSet(images, classes_in(images), source, folder, losses)


def parse(file: Path) -> ET.Element:
    """The root of an XML file.

    Raises:
        LabelFileError: No XML; names the file and the place.
    """
    try:
        return ET.parse(file).getroot()
    except (ET.ParseError, UnicodeDecodeError, ValueError) as error:
        raise LabelFileError(f'{file}: not XML that can be read: {error}') from error


def _image(file: Path, losses: Losses) -> Image:
    root = parse(file)
    if root.tag != 'annotation':
        raise LabelFileError(f'{file}: its element is <{root.tag}>; Pascal VOC has <annotation>')
    name = (root.findtext('filename') or '').strip()
    if not name:
        raise LabelFileError(f'{file}: has no <filename>, the name of the image')
    image = Image(name, [], *(_int(root.findtext(f'size/{key}')) for key in ('width', 'height')))
    for i, item in enumerate(root.findall('object')):
        place = f'{file}: object {i + 1}'
        category, corners = (item.findtext('name') or '').strip(), item.find('bndbox')
        if not category or corners is None:
            raise LabelFileError(f'{place} has no <{"bndbox" if category else "name"}>')
        try:
            x1, y1, x2, y2 = (float(corners.findtext(key)) for key in ('xmin', 'ymin', 'xmax', 'ymax'))
        except (TypeError, ValueError):
            raise LabelFileError(
                f'{place}: its <bndbox> has no four numbers xmin, ymin, xmax, ymax'
            ) from None
        attributes = {key: item.findtext(key).strip() == '1' for key in _FLAGS if item.findtext(key)}
        attributes = {key: value for key, value in attributes.items() if value}
        for attribute in item.findall('attributes/attribute'):
            attributes[attribute.findtext('name') or ''] = from_text(attribute.findtext('value'))
        named = attributes.keys() & {'crowd', 'ignored'}
        try:
            attributes, crowd, ignored = take_flags(attributes)
        except ValueError as error:
            raise LabelFileError(f'{place}: crowd or ignored is {error}') from error
        ignored = ignored if named else (item.findtext('difficult') or '0').strip() == '1'
        score = attributes.pop('score', None)
        id = attributes.pop('track_id', None)
        box = Box(category, x1 - 1, y1 - 1, x2, y2, score, crowd, ignored, None if id is None else str(id))
        box.attributes = attributes
        losses.add('masks or parts are left out, their boxes are kept', name, item.find('part') is not None)
        if usable(box, name, losses):
            image.boxes.append(box)
    return image


def _int(text: str | None) -> int | None:
    return int(float(text)) if text and text.strip() and float(text) > 0 else None


def write(sets: Mapping[str, LabelSet], folder: Path, losses: Losses) -> list[Path]:
    """Write ``Annotations/NAME.xml`` and ``ImageSets/Main/SPLIT.txt``; the sizes of the images must be known."""
    places, texts, splits = OutputNames(folder), {}, {}
    for split, labels in sets.items():
        stems = []
        for image in labels.images:
            place = places.path(Path('Annotations', image.name), '.xml', source=image.name)
            stems.append(place.relative_to(folder / 'Annotations').with_suffix('').as_posix())
            texts[place] = _text(image, losses)
        splits[folder / f'ImageSets/Main/{split or "trainval"}.txt'] = '\n'.join(stems) + '\n'
    for place, text in {**texts, **splits}.items():
        write_text(place, text)
    return [folder / 'Annotations', *splits]


def _text(image: Image, losses: Losses) -> str:
    root = ET.Element('annotation')
    ET.SubElement(root, 'filename').text = image.name
    size = ET.SubElement(root, 'size')
    for key, value in (('width', image.width), ('height', image.height), ('depth', 3)):
        ET.SubElement(size, key).text = str(value)
    ET.SubElement(root, 'segmented').text = '0'
    for key in ('attributes', 'video'):
        losses.add(f'images lose their {key}', image.name, bool(getattr(image, key)))
    for box in image.boxes:
        item = ET.SubElement(root, 'object')
        ET.SubElement(item, 'name').text = box.category
        ET.SubElement(item, 'pose').text = 'Unspecified'
        attributes = with_flags(box, always=box.crowd)
        for key in _FLAGS:
            if isinstance(attributes.get(key), bool):
                ET.SubElement(item, key).text = str(int(attributes[key]))
                if attributes[key]:
                    attributes.pop(key)  # a false one is told from a missing one by its attribute
        ET.SubElement(item, 'difficult').text = str(int(box.ignored or box.crowd))
        corners = ET.SubElement(item, 'bndbox')
        for key, value in zip(('xmin', 'ymin', 'xmax', 'ymax'), (box.x1 + 1, box.y1 + 1, box.x2, box.y2)):
            ET.SubElement(corners, key).text = number(value)
        extra = dict(score=box.score, track_id=box.id)
        attributes |= {key: value for key, value in extra.items() if value is not None}
        if attributes:
            every = ET.SubElement(item, 'attributes')
            for key, value in attributes.items():
                attribute = ET.SubElement(every, 'attribute')
                ET.SubElement(attribute, 'name').text = key
                ET.SubElement(attribute, 'value').text = to_text(value)
    ET.indent(root)
    return ET.tostring(root, encoding='unicode') + '\n'
