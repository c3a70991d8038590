"""LVIS-style annotation files with boxes, image labels or captions, and the images inside tar files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmdet.datasets.base_det_dataset import BaseDetDataset
from mmdet.registry import DATASETS, TRANSFORMS
from mmengine.fileio import join_path
from mmengine.logging import print_log

from ..files.rle import checked_rle
from .lvis_style import Annotation, Image, read_lvis_style
from .tar import TarImages

ANN_TYPES = ('box', 'image', 'caption', 'captiontag')


@DATASETS.register_module()
class DeticDataset(BaseDetDataset):
    """Images of a COCO- or LVIS-style file with boxes, image labels or captions, some of them inside tar files.

    Args (beyond mmdet's):
        ann_type: ``box`` (annotations), ``image`` (``pos_category_ids``), ``caption`` or
            ``captiontag`` (captions, with image labels in the latter).
        tar_index: An index of tar files (``mmroad data tar-index``) that images with a ``tar_index`` are read
            from.
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
        if ann_type not in ANN_TYPES:
            raise ValueError(f'ann_type must be one of {ANN_TYPES}, not {ann_type!r}')
        self.ann_type, self.tar_index, self.vocabulary = ann_type, tar_index, vocabulary
        self.caption_embeddings = caption_embeddings
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        content = read_lvis_style(self.ann_file)
        classes = tuple(c.name for c in content.categories)
        asked = self._metainfo.get('classes', classes)
        if tuple(asked) != classes:
            raise ValueError(
                f'{self.ann_file}: metainfo.classes {asked} are not the categories of the file, {classes}: the '
                'classes are those of the file, so leave metainfo.classes out'
            )
        self._metainfo['classes'] = classes
        self.cat_ids = [c.id for c in content.categories]
        self.cat2label = column = {category: i for i, category in enumerate(self.cat_ids)}
        boxes: dict[int, list[dict]] = {}
        flat = 0
        for number, annotation in enumerate(content.annotations):
            if annotation.iscrowd:
                continue
            if min(annotation.bbox[2:]) <= 0:
                flat += 1
                continue
            place = f'{self.ann_file}: annotations[{number}]'
            boxes.setdefault(annotation.image_id, []).append(_instance(annotation, column, place))
        if flat:
            print_log(f'{self.ann_file}: left out: {flat} boxes without width or height', 'current')
        captions = 0
        data = []
        for image in sorted(content.images, key=lambda i: i.id):
            info = self._image_info(image, column, captions)
            info['instances'] = boxes.get(image.id, [])
            captions += len(image.captions)
            data.append(info)
        self._check_sources(content.images, captions)
        return data

    def _check_sources(self, images: list[Image], captions: int) -> None:
        """Whether the tar index and the embeddings of captions have what the images ask for."""
        last = max((i.tar_index for i in images if i.tar_index is not None), default=None)
        if last is not None and self.tar_index is None:
            raise ValueError(f'{self.ann_file}: images lie in tar files: give their index, tar_index=FILE')
        if last is not None and last >= (count := len(TarImages.open(self.tar_index))):
            raise ValueError(
                f'{self.ann_file}: tar_index {last}, but {self.tar_index} has {count} members: it is the index '
                'of other tar files'
            )
        if 'caption' in self.ann_type and self.caption_embeddings is not None:
            rows = open_captions(self.caption_embeddings)
            if len(rows) != captions:
                raise ValueError(
                    f'{self.caption_embeddings} has {len(rows)} embeddings, but {self.ann_file} {captions} '
                    'captions: make them again (mmroad data detic embed-captions)'
                )

    def _image_info(self, image: Image, column: dict[int, int], first_caption: int) -> dict:
        info = dict(img_id=image.id, height=image.height, width=image.width, ann_type=self.ann_type)
        if image.tar_index is not None:
            info.update(tar_index=image.tar_index, tar_path=self.tar_index, img_path=f'tar:{image.tar_index}')
        else:
            info['img_path'] = join_path(self.data_prefix.get('img', ''), _file_name(image, self.ann_file))
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

    def get_cat_ids(self, idx: int) -> list[int]:
        info = self.get_data_info(idx)
        return info.get('image_labels') or [i['bbox_label'] for i in info['instances']]


def _instance(annotation: Annotation, column: dict[int, int], place: str) -> dict:
    x, y, w, h = annotation.bbox
    instance = dict(bbox=[x, y, x + w, y + h], bbox_label=column[annotation.category_id], ignore_flag=0)
    mask = annotation.segmentation
    if isinstance(mask, dict):
        try:
            checked_rle(mask.get('counts', ()), mask.get('size', ()))
        except ValueError as error:
            raise ValueError(f'{place}: segmentation: {error}') from error
    if mask is not None:
        instance['mask'] = mask
    return instance


def _file_name(image: Image, source: str) -> str:
    if image.file_name:
        # LVIS's COCO_val2014_000000xxxxxx.jpg are today's xxxxxx.jpg.
        return image.file_name[-16:] if image.file_name.startswith('COCO') else image.file_name
    if image.coco_url:
        return '/'.join(image.coco_url.rsplit('/', 2)[-2:])
    raise ValueError(f'{source}: image {image.id} has neither file_name, coco_url nor tar_index')


def open_captions(path: str | Path) -> np.ndarray:
    """The embeddings (captions, D) of a .npy file, left on disk.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not such an array.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f'embeddings of captions {path} not found: make them with mmroad data detic embed-captions'
        )
    try:
        rows = np.load(path, mmap_mode='r', allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f'{path}: not a .npy file of embeddings: {error}') from error
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.dtype.kind != 'f':
        found = f'{rows.dtype} {rows.shape}' if isinstance(rows, np.ndarray) else 'an .npz archive'
        raise ValueError(f'{path}: expected embeddings of captions (captions, D), found {found}')
    return rows


@TRANSFORMS.register_module()
class LoadDeticImage(LoadImageFromFile):
    """Reads ``img_path``, or the member ``tar_index`` of an indexed tar file.

    Raises:
        ValueError: Not an image that can be read, or boxes belong to an image of another size; names the image.
    """

    def transform(self, results: dict) -> dict | None:
        if 'tar_index' in results:
            if results['tar_path'] is None:
                raise ValueError(f'{results["img_path"]}: the dataset has no tar_index to read it from')
            image = TarImages.open(results['tar_path']).image(results['tar_index'])
            results['img'] = image
            results['img_shape'] = results['ori_shape'] = image.shape[:2]
        else:
            results = super().transform(results)
        found = results['img_shape']
        told = results.get('height', found[0]), results.get('width', found[1])
        if results.get('instances') and tuple(found) != told:
            raise ValueError(
                f'{results["img_path"]}: the image is {found[0]} x {found[1]} (height, width), but its boxes '
                f'are of one of {told[0]} x {told[1]}: the annotation file belongs to other images'
            )
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
        results['caption_embedding'] = np.array(open_captions(results['caption_file'])[row], np.float32)
        return results
