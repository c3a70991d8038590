"""The published training splits: Cityscapes by cities, Mapillary Vistas with 65 classes."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from mmseg.datasets import BaseSegDataset, CityscapesDataset, MapillaryDataset_v1
from mmseg.registry import DATASETS


@DATASETS.register_module()
class CityscapesCitySplit(CityscapesDataset):
    """Cityscapes' training and validation images, split anew by city.

    Args:
        val_cities: The cities of the validation part (AbeT's and NVIDIA's split "cv 2").
        part: ``train`` (all other cities) or ``val``.
        data_prefix: Folders whose ``{split}`` stands for ``train`` and ``val``.
        kwargs: See mmseg's ``CityscapesDataset``.
    """

    def __init__(
        self,
        val_cities: Sequence[str] = ('monchengladbach', 'strasbourg', 'stuttgart'),
        part: str = 'train',
        data_prefix: dict | None = None,
        **kwargs,
    ) -> None:
        if part not in ('train', 'val'):
            raise ValueError(f'part is {part!r}: train or val')
        self.val_cities, self.part = tuple(val_cities), part
        prefix = data_prefix or dict(img_path='leftImg8bit/{split}', seg_map_path='gtFine/{split}')
        super().__init__(data_prefix=dict(prefix), **kwargs)

    def load_data_list(self) -> list[dict]:
        """Images of both published folders whose city belongs to this part.

        Raises:
            FileNotFoundError: No image is left.
        """
        template, items = copy.copy(self.data_prefix), []
        for split in ('train', 'val'):
            self.data_prefix = {k: v.replace('{split}', split) for k, v in template.items()}
            items += super().load_data_list()
        self.data_prefix = template
        is_val = [item['img_path'].replace('\\', '/').split('/')[-2] in self.val_cities for item in items]
        items = [item for item, v in zip(items, is_val, strict=True) if v == (self.part == 'val')]
        if not items:
            raise FileNotFoundError(f'{template["img_path"]}: no image of the {self.part} cities')
        return items


@DATASETS.register_module()
class Mapillary65Dataset(BaseSegDataset):
    """Mapillary Vistas 1.1 with its 65 labeled classes; ``Unlabeled`` (65) is the ignored label."""

    METAINFO = {k: v[:65] for k, v in MapillaryDataset_v1.METAINFO.items()}

    def __init__(self, img_suffix: str = '.jpg', seg_map_suffix: str = '.png', **kwargs) -> None:
        super().__init__(img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, **kwargs)
