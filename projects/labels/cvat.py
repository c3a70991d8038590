"""CVAT's XML for images, version 1.1 (https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/).

Attributes of boxes are attributes in CVAT; those of images are the attributes of a tag ``image``. Ids of objects,
scores, crowds and ignored regions are attributes too (``track_id``, ``score``, ``crowd``, ``ignored``).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from ..bdd100k.scalabel import LabelFileError
from ..files.replacing import write_text
from .form import Box, Image, LabelSet, Losses, classes_in, take_flags, usable, with_flags
from .values import from_text, to_text
from .voc import parse

#: The tag that holds an image's attributes.
TAG = 'image'
_CORNERS = ('xtl', 'ytl', 'xbr', 'ybr')


def read(path: Path) -> LabelSet:
    """A file of CVAT for images or for video (boxes of tracks, by frame). Polygons, polylines, points and masks are
    left out, and so are rotated boxes, which no upright one equals; all are counted.

    Raises:
        LabelFileError: Not CVAT's XML, or a box without four numbers; names the file and the image.
    """
    root = parse(path)
    if root.tag != 'annotations' or (root.find('image') is None and root.find('track') is None):
        raise LabelFileError(
            f'{path}: its element is <{root.tag}>; CVAT has <annotations> with <image> or <track>'
        )
    losses = Losses()
    labels = [label for label in root.iter('label') if (label.findtext('type') or '') != 'tag' and len(label)]
    names = tuple(dict.fromkeys(name for label in labels if (name := label.findtext('name'))))
    images = [_image(item, path, losses) for item in root.findall('image')]
    images += _frames(root, path, losses)
    return LabelSet(images, classes_in(images, names), str(path), losses=losses)


def _image(item: ET.Element, path: Path, losses: Losses) -> Image:
    name = item.get('name')
    if not name:
        raise LabelFileError(f'{path}: <image id="{item.get("id")}"> has no name')
    image = Image(name, [], *(int(item.get(key)) if item.get(key) else None for key in ('width', 'height')))
    for shape in item:
        if shape.tag == 'box':
            _add(shape, shape.get('label'), None, image, path, losses)
        elif shape.tag == 'tag' and shape.get('label') == TAG:
            image.attributes = _attributes(shape)
        else:
            what = 'tags' if shape.tag == 'tag' else f'shapes of type {shape.tag}'
            losses.add(f'{what} are left out', name)
    frame, video = image.attributes.pop('frame', None), image.attributes.pop('video', None)
    image.frame, image.video = frame, video
    return image


def _frames(root: ET.Element, path: Path, losses: Losses) -> list[Image]:
    """Images of CVAT for video: frame 7 is ``frame_000007``, as CVAT names the images of its exports."""
    size = root.find('.//original_size')
    sides = [int(size.findtext(key)) for key in ('width', 'height')] if size is not None else [None, None]
    video = root.findtext('.//source')
    images: dict[int, Image] = {}
    for track in root.findall('track'):
        for shape in track:
            if shape.get('outside') == '1':
                continue
            frame = int(shape.get('frame'))
            name = f'frame_{frame:06}.jpg'
            image = images.setdefault(frame, Image(name, [], *sides, video=video, frame=frame))
            if shape.tag == 'box':
                _add(shape, track.get('label'), track.get('id'), image, path, losses)
            else:
                losses.add(f'shapes of type {shape.tag} are left out', name)
    return [images[frame] for frame in sorted(images)]


def _attributes(shape: ET.Element) -> dict:
    return {a.get('name') or '': from_text(a.text) for a in shape.findall('attribute')}


def _add(
    shape: ET.Element, category: str | None, id: str | None, image: Image, path: Path, losses: Losses
) -> None:
    place = f'{path}: image {image.name!r}: a box'
    if not category:
        raise LabelFileError(f'{place} has no label')
    if float(shape.get('rotation') or 0) % 360:
        losses.add('rotated boxes are left out', image.name, box=True)
        return
    try:
        corners = [float(shape.get(key)) for key in _CORNERS]
    except (TypeError, ValueError):
        raise LabelFileError(f'{place} has no four numbers {", ".join(_CORNERS)}') from None
    attributes = {'occluded': True} if shape.get('occluded') == '1' else {}
    try:
        attributes, crowd, ignored = take_flags({**attributes, **_attributes(shape)})
    except ValueError as error:
        raise LabelFileError(f'{place}: crowd or ignored is {error}') from error
    score, own = attributes.pop('score', None), attributes.pop('track_id', None)
    box = Box(category, *corners, score, crowd, ignored, id if own is None else str(own), attributes)
    if usable(box, image.name, losses):
        image.boxes.append(box)


def write(labels: LabelSet, path: Path, losses: Losses) -> None:
    """Write CVAT for images. The sizes of the images must be known."""
    root = ET.Element('annotations')
    ET.SubElement(root, 'version').text = '1.1'
    described: dict[str, dict[str, None]] = {name: {} for name in labels.classes}
    items = []
    for row, image in enumerate(labels.images):
        size = dict(width=str(image.width), height=str(image.height))
        item = ET.Element('image', id=str(row), name=image.name, **size)
        for box in image.boxes:
            _write_box(box, item, described)
        extra = dict(video=image.video, frame=image.frame)
        attributes = image.attributes | {key: value for key, value in extra.items() if value is not None}
        if attributes:
            tag = ET.SubElement(item, 'tag', label=TAG, source='manual')
            _write_attributes(tag, attributes, described.setdefault(TAG, {}))
        items.append(item)
    every = ET.SubElement(ET.SubElement(ET.SubElement(root, 'meta'), 'task'), 'labels')
    for name, attributes in described.items():
        label = ET.SubElement(every, 'label')
        ET.SubElement(label, 'name').text = name
        ET.SubElement(label, 'type').text = (
            'tag' if name == TAG and name not in labels.classes else 'rectangle'
        )
        specs = ET.SubElement(label, 'attributes')
        for key in attributes:
            spec = ET.SubElement(specs, 'attribute')
            for tag, text in (
                ('name', key),
                ('mutable', 'False'),
                ('input_type', 'text'),
                ('default_value', ''),
            ):
                ET.SubElement(spec, tag).text = text
    root.extend(items)
    ET.indent(root)
    write_text(
        path, '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding='unicode') + '\n'
    )


def _write_box(box: Box, item: ET.Element, described: dict[str, dict[str, None]]) -> None:
    attributes = with_flags(box)
    occluded = attributes.get('occluded') is True
    if occluded:
        attributes.pop('occluded')
    corners = {key: repr(float(v)) for key, v in zip(_CORNERS, (box.x1, box.y1, box.x2, box.y2))}
    shape = ET.SubElement(
        item, 'box', label=box.category, source='manual', occluded=str(int(occluded)), **corners, z_order='0'
    )
    extra = dict(score=box.score, track_id=box.id)
    attributes |= {key: value for key, value in extra.items() if value is not None}
    _write_attributes(shape, attributes, described[box.category])


def _write_attributes(element: ET.Element, attributes: dict, described: dict[str, None]) -> None:
    for key, value in attributes.items():
        described[key] = None
        ET.SubElement(element, 'attribute', name=key).text = to_text(value)
