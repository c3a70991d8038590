"""The loading of label maps in every segmentation pipeline, and the check that the model has their classes
(importing this registers both)."""

from __future__ import annotations

from collections.abc import Collection

import mmengine.fileio as fileio
import numpy as np
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import TRANSFORMS

from .label_maps import read_label_map
from .unreadable import leaves, let_leave_out


@TRANSFORMS.register_module()
class LoadLabelMap(LoadAnnotations):
    """mmseg's ``LoadAnnotations`` with the checks of `read_label_map`: ``gt_seg_map`` (H, W) from
    ``seg_map_path``.

    Args:
        num_classes: Values of the file must be 0 to ``num_classes`` - 1, one more where ``reduce_zero_label``
            makes 255 of 0; None allows all. Of a data set whose ``metainfo`` names some of its own classes, the
            file holds all of these.
        ignored: Further values that are allowed; with outliers, 254 too.
        reduce_zero_label, backend_args: As for mmseg.

    Raises:
        FileNotFoundError, ValueError: As `read_label_map`.
    """

    def __init__(
        self,
        num_classes: int | None = None,
        ignored: Collection[int] = (255,),
        reduce_zero_label: bool | None = None,
        backend_args: dict | None = None,
    ) -> None:
        super().__init__(reduce_zero_label=reduce_zero_label, backend_args=backend_args)
        self.num_classes, self.ignored = num_classes, tuple(ignored)

    def _load_seg_map(self, results: dict) -> None:
        path, label_map = results['seg_map_path'], results.get('label_map')
        reduce = results['reduce_zero_label']
        if self.reduce_zero_label not in (None, reduce):
            raise ValueError(
                f'{path}: its data set has reduce_zero_label={reduce}, {type(self).__name__} has '
                f'{self.reduce_zero_label}; both must be the same'
            )
        known = len(label_map) if label_map else self.num_classes
        remote = self.backend_args is not None or '://' in str(path)
        labels = read_label_map(
            path,
            size=results.get('ori_shape'),
            num_classes=None if known is None else known + bool(reduce),
            ignored=self.ignored,
            content=fileio.get(path, backend_args=self.backend_args) if remote else None,
        )
        if reduce:
            labels = np.where((labels == 0) | (labels == 255), 255, labels - 1).astype(labels.dtype)
        if label_map:
            old, labels = labels, labels.copy()
            for old_id, new_id in label_map.items():
                labels[old == old_id] = new_id
        results['gt_seg_map'] = labels
        results['seg_fields'].append('gt_seg_map')

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(num_classes={self.num_classes}, ignored={self.ignored}, '
            f'reduce_zero_label={self.reduce_zero_label})'
        )


@HOOKS.register_module()
class LabelCheckHook(Hook):
    """Compares the classes of label maps with those of the decode head before the first step. Images that cannot be
    read are left out where the metric knows that.

    Raises:
        ValueError: They differ in number; names the data set, both numbers and where they are set.
    """

    def before_train(self, runner: Runner) -> None:
        _compare(runner, runner.train_loop.dataloader)

    def before_val(self, runner: Runner) -> None:
        _compare(runner, runner.val_loop.dataloader)
        let_leave_out(runner.val_loop)

    def before_test(self, runner: Runner) -> None:
        _compare(runner, runner.test_loop.dataloader)
        let_leave_out(runner.test_loop)


def _compare(runner: Runner, dataloader) -> None:
    model = runner.model
    while not hasattr(model, 'decode_head') and hasattr(
        model, 'module'
    ):  # several processes, augmented tests
        model = model.module
    head = getattr(model, 'decode_head', None)
    number = getattr(head, 'num_inliers', getattr(head, 'num_classes', None))
    for dataset in leaves(dataloader.dataset):
        for step in getattr(getattr(dataset, 'pipeline', None), 'transforms', ()):
            if type(step) is not LoadLabelMap:
                continue
            part = bool(
                getattr(dataset, 'label_map', None)
            )  # of the file's classes, those that metainfo names
            known = len(dataset.metainfo['classes']) if part else step.num_classes
            if None not in (known, number) and known != number:
                where = "its data set's metainfo.classes" if part else "LoadLabelMap's num_classes"
                raise ValueError(
                    f'{type(dataset).__name__}: label maps have {known} classes ({where}), the decode head has '
                    f'{number} (model.decode_head.num_classes): make them equal'
                )
