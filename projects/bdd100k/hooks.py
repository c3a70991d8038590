"""Training hooks of BDD100K recipes."""

from __future__ import annotations

from mmdet.registry import HOOKS, TRANSFORMS
from mmengine.hooks import Hook


@HOOKS.register_module()
class StrongAugmentationOff(Hook):
    """Replaces the pipeline of a ``MultiImageMixDataset`` from an epoch on.

    Args:
        switch_epoch: The first epoch (from 0) with the plain pipeline.
        pipeline: It, without the loading steps, which the inner dataset keeps.
    """

    def __init__(self, switch_epoch: int, pipeline: list[dict]) -> None:
        self.switch_epoch, self.pipeline = switch_epoch, pipeline
        self._done = False

    def before_train_epoch(self, runner) -> None:
        if self._done or runner.epoch < self.switch_epoch:
            return
        loader = runner.train_dataloader
        dataset = loader.dataset
        dataset.pipeline = [TRANSFORMS.build(step) for step in self.pipeline]
        dataset.pipeline_types = [step['type'] for step in self.pipeline]
        if getattr(loader, 'persistent_workers', False) and loader._iterator is not None:
            loader._iterator._shutdown_workers()  # they hold the old pipeline
            loader._iterator = None
        self._done = True
        runner.logger.info(f'strong augmentation is off from epoch {runner.epoch} on')
