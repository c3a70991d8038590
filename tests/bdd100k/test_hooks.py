"""The strong pipeline gives way to the plain one at its epoch, in worker processes too."""

import logging
from types import SimpleNamespace

import pytest
from mmdet.datasets import MultiImageMixDataset
from mmdet.registry import TRANSFORMS
from mmengine.dataset import BaseDataset
from torch.utils.data import DataLoader

from mmroad.bdd100k.hooks import StrongAugmentationOff


@TRANSFORMS.register_module()
class AddForTest:
    """Adds a number to a sample."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, results: dict) -> dict:
        return dict(results, value=results['value'] + self.number)


class Numbers(BaseDataset):
    METAINFO = dict(classes=('car', 'bus'))

    def load_data_list(self) -> list[dict]:
        return [dict(value=0), dict(value=1)]


def run_of(workers: int):
    """What the hook knows of a runner, and a function that gives an epoch's samples."""
    mixed = MultiImageMixDataset(Numbers(), [dict(type='AddForTest', number=100)])
    loader = DataLoader(
        mixed, num_workers=workers, persistent_workers=workers > 0, collate_fn=lambda batch: batch[0]['value']
    )
    runner = SimpleNamespace(train_dataloader=loader, epoch=0, logger=logging.getLogger('mmroad.test_hooks'))
    return runner, lambda: list(loader)


@pytest.mark.parametrize('workers', [0, 1])
def test_the_plain_pipeline_comes_with_its_epoch_and_stays(workers, caplog):
    caplog.set_level(logging.INFO, 'mmroad.test_hooks')
    runner, samples = run_of(workers)
    plain = [dict(type='AddForTest', number=10), dict(type='AddForTest', number=20)]
    hook, found = StrongAugmentationOff(2, plain), []
    for runner.epoch in range(4):
        hook.before_train_epoch(runner)
        found.append(samples())
        if runner.epoch == 2:
            built = runner.train_dataloader.dataset.pipeline
    assert found == [[100, 101]] * 2 + [[30, 31]] * 2
    dataset = runner.train_dataloader.dataset
    assert dataset.pipeline is built and dataset.pipeline_types == ['AddForTest', 'AddForTest']
    assert [r.getMessage() for r in caplog.records] == ['strong augmentation is off from epoch 2 on']
    if workers:
        runner.train_dataloader._iterator._shutdown_workers()


def test_a_run_that_goes_on_after_the_epoch_has_the_plain_pipeline():
    runner, samples = run_of(0)
    runner.epoch = 5
    StrongAugmentationOff(2, [dict(type='AddForTest', number=1)]).before_train_epoch(runner)
    assert samples() == [1, 2]
