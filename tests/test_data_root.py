"""``data_root`` is the one place that says where the data are."""

import json

import pytest
from mmengine.config import Config

from mmroad.zoo.configs import get_config
from mmroad.zoo.data_root import follow_data_root

DET, OOD = 'faster_rcnn_r50_fpn_1x_det_bdd100k', 'faster-rcnn_r50_fpn_bdd100k'


def moved(cfg):
    """All texts below the top in which a folder of the old data is, and in which one of the new."""
    text = json.dumps({key: value for key, value in cfg.to_dict().items() if key != 'data_root'})
    return text.count('data/bdd100k'), text.count('/media/My Passport/bdd')


@pytest.mark.parametrize(
    'name', [DET, 'faster_rcnn_swin-t_fpn_3x_strong_det_bdd100k', OOD, 'deepv3plus_wrn38_bdd100k']
)
@pytest.mark.parametrize('end', ['', '/'])
def test_a_child_changes_the_root_alone(tmp_path, name, end):
    old = moved(get_config(name))
    child = tmp_path / 'child.py'
    child.write_text(f"_base_ = [{get_config(name).filename!r}]\ndata_root = '/media/My Passport/bdd{end}'\n")
    cfg = get_config(str(child))
    follow_data_root(cfg)
    assert old[0] >= 3 and moved(cfg) == old[::-1]
    assert cfg.test_dataloader.dataset.data_root.rstrip('/') == '/media/My Passport/bdd'
    follow_data_root(cfg)  # nothing is left to move
    assert moved(cfg) == old[::-1]


def test_what_is_not_below_the_root_stays():
    cfg = Config(
        dict(
            data_root='/new',
            train=dict(
                dataset=dict(data_root='data/bdd', ann_file='a.json', files=['data/bdd/x', 'data/bdd2/x'])
            ),
            note='see data/bdd',
            test=[dict(cache='data/bdd'), ('data/bdd/y', 3)],
        )
    )
    follow_data_root(cfg)
    assert cfg.train.dataset == dict(data_root='/new', ann_file='a.json', files=['/new/x', 'data/bdd2/x'])
    assert (cfg.note, cfg.test[0].cache, cfg.test[1]) == ('see data/bdd', '/new', ('/new/y', 3))


def test_of_several_roots_the_one_that_was_changed_moves():
    def config():
        return Config(dict(data_root='/new', a=dict(data_root='data/coco/'), b=dict(data_root='data/lvis/')))

    with pytest.raises(
        ValueError, match="data_root='/new': the data sets have several roots, data/coco/, data/lvis/"
    ):
        follow_data_root(config())
    cfg = config()
    follow_data_root(cfg, 'data/coco/')
    assert (cfg.a.data_root, cfg.b.data_root) == ('/new/', 'data/lvis/')
    cfg = Config(dict(data_root='data/lvis', a=dict(data_root='data/coco/'), b=dict(data_root='data/lvis/')))
    follow_data_root(cfg)
    assert (cfg.a.data_root, cfg.b.data_root) == ('data/coco/', 'data/lvis/')


def test_options_change_the_root_alone():
    import argparse

    from mmroad.commands.running import add_common_arguments, load_config

    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    add_common_arguments(parser)
    cfg = load_config(parser.parse_args([DET, '--cfg-options', 'data_root=/elsewhere/bdd']))
    assert {cfg[f'{s}_dataloader'].dataset.data_root for s in ('train', 'val', 'test')} == {'/elsewhere/bdd/'}
    assert cfg.val_evaluator == dict(type='BDD100KDetMetric', of_dataset=True)
