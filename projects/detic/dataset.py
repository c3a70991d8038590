"""LVIS-style annotation files with boxes, image labels or captions, and the images inside tar files."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmdet.datasets.base_det_dataset import BaseDetDataset
from mmdet.registry import DATASETS, TRANSFORMS
from mmengine.fileio import join_path

from .tar import TarImages


class _Category(msgspec.Struct):
    id: int
    name: str = ''


class _Image(msgspec.Struct):
    id: int
    width: int
    height: int
    file_name: str | None = None
    coco_url: str | None = None
    tar_index: int | None = None
    pos_category_ids: list[int] = []
    captions: list[str] = []
    neg_category_ids: list[int] = []
    not_exhaustive_category_ids: list[int] = []


class _Annotation(msgspec.Struct):
    image_id: int
    category_id: int
    bbox: list[float] = []
    segmentation: list | dict | None = None
    iscrowd: int = 0


class _File(msgspec.Struct):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Annotation] = []


def read_lvis_style(path: str | Path) -> _File:
    """Decode a COCO- or LVIS-style file, with the image labels and captions that Detic adds.

    Raises:
        FileNotFoundError: No such file.
        ValueError: The file is not of that form; the message names the place.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f'annotation file {path} not found; see configs/detic/README.md for its source'
        )
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File)
    except msgspec.DecodeError as error:
        raise ValueError(f'{path}: not a COCO- or LVIS-style annotation file: {error}') from error


@DATASETS.register_module()
class DeticDataset(BaseDetDataset):
    """Args (beyond mmdet's):
    ann_type: ``box`` (annotations), ``image`` (``pos_category_ids``), ``caption`` or
        ``captiontag`` (captions, with image labels in the latter).
    tar_index: An index of tar files (``tools/dataset_converters/tar_index.py``) that
        images with a ``tar_index`` are read from.
    caption_embeddings: .npy (captions, D) of the captions in the file's order.
    vocabulary: Name of the model's vocabulary that these images are tested with.
    """

    def __init__(
        self,
        *args,
        ann_type: str = 'box',
        tar_index: str | None = None,
        caption_embeddings: str | None = None,
        vocabulary: str | None = None,
        **kwargs,
    ) -> None:
        self.ann_type, self.tar_index, self.vocabulary = ann_type, tar_index, vocabulary
        self.caption_embeddings = caption_embeddings
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        content = read_lvis_style(self.ann_file)
        categories = sorted(content.categories, key=lambda c: c.id)
        column = {c.id: i for i, c in enumerate(categories)}
        self._metainfo['classes'] = tuple(c.name for c in categories)
        self.cat_ids = [c.id for c in categories]
        self.cat2label = column
        boxes: dict[int, list[_Annotation]] = {}
        for annotation in content.annotations:
            if annotation.category_id not in column:
                raise ValueError(
                    f'{self.ann_file}: image {annotation.image_id}: category_id {annotation.category_id} '
                    'is not among the categories'
                )
            boxes.setdefault(annotation.image_id, []).append(annotation)
        captions = 0
        data = []
        for image in sorted(content.images, key=lambda i: i.id):
            info = self._image_info(image, column, captions)
            info['instances'] = [self._instance(a, column) for a in boxes.get(image.id, ()) if not a.iscrowd]
            captions += len(image.captions)
            data.append(info)
        return data

    def _image_info(self, image: _Image, column: dict[int, int], first_caption: int) -> dict:
        info = dict(img_id=image.id, height=image.height, width=image.width, ann_type=self.ann_type)
        if image.tar_index is not None:
            info.update(tar_index=image.tar_index, tar_path=self.tar_index, img_path=f'tar:{image.tar_index}')
        else:
            info['img_path'] = join_path(self.data_prefix.get('img', ''), _file_name(image))
        if self.vocabulary is not None:
            info['vocabulary'] = self.vocabulary
        if self.ann_type in ('image', 'captiontag'):
            unknown = [c for c in image.pos_category_ids if c not in column]
            if unknown:
                raise ValueError(f'{self.ann_file}: image {image.id}: unknown pos_category_ids {unknown}')
            info['image_labels'] = [column[c] for c in image.pos_category_ids]
        if self.ann_type in ('caption', 'captiontag'):
            if not image.captions:
                raise ValueError(f'{self.ann_file}: image {image.id} has no captions')
            info['captions'] = image.captions
            info['caption_rows'] = list(range(first_caption, first_caption + len(image.captions)))
            info['caption_file'] = self.caption_embeddings
        return info

    @staticmethod
    def _instance(annotation: _Annotation, column: dict[int, int]) -> dict:
        x, y, w, h = annotation.bbox
        instance = dict(bbox=[x, y, x + w, y + h], bbox_label=column[annotation.category_id], ignore_flag=0)
        if annotation.segmentation is not None:
            instance['mask'] = annotation.segmentation
        return instance

    def get_cat_ids(self, idx: int) -> list[int]:
        info = self.get_data_info(idx)
        return info.get('image_labels') or [i['bbox_label'] for i in info['instances']]


def _file_name(image: _Image) -> str:
    if image.file_name:
        # LVIS's COCO_val2014_000000xxxxxx.jpg are today's xxxxxx.jpg.
        return image.file_name[-16:] if image.file_name.startswith('COCO') else image.file_name
    if image.coco_url:
        return '/'.join(image.coco_url.rsplit('/', 2)[-2:])
    raise ValueError(f'image {image.id} has neither file_name, coco_url nor tar_index')


@TRANSFORMS.register_module()
class LoadDeticImage(LoadImageFromFile):
    """Reads ``img_path``, or the member ``tar_index`` of an indexed tar file."""

    def transform(self, results: dict) -> dict | None:
        if 'tar_index' not in results:
            return super().transform(results)
        if results['tar_path'] is None:
            raise ValueError(f'{results["img_path"]}: the dataset has no tar_index to read it from')
        image = TarImages.open(results['tar_path']).image(results['tar_index'])
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results


@TRANSFORMS.register_module()
class LoadCaptionEmbedding:
    """Picks one caption of an image at random and adds its embedding as ``caption_embedding``."""

    def __call__(self, results: dict) -> dict:
        if results.get('caption_file') is None:
            raise ValueError(
                f'{results["img_path"]}: no caption embeddings; give caption_embeddings=FILE to the dataset'
            )
        row = int(np.random.choice(results['caption_rows']))
        results['caption_embedding'] = np.array(
            np.load(results['caption_file'], mmap_mode='r')[row], np.float32
        )
        return results
