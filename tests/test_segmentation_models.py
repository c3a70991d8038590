"""One real training step and one real prediction of a model of each family of the segmentation zoo."""

import math

import pytest
import yaml
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings
from PIL import Image

from mmroad.commands.running import _prepare_for_cpu
from mmroad.road_scenes.write import write_dataset
from mmroad.zoo.configs import configs_folder, get_config
from mmroad.zoo.models import without_initial_weights

TASKS = ('sem_seg', 'drivable', 'ins_seg', 'pan_seg')
MODELS = {
    task: yaml.safe_load((configs_folder() / task / 'metafile.yml').read_text())['Models'] for task in TASKS
}
FIRST = {}
for task in TASKS:
    for model in reversed(MODELS[task]):
        FIRST[model['In Collection'], task.endswith('able')] = model['Name']
EXTRA = (  # of families with two kinds of models
    'fpn_r50_gn_dconv_512x1024_40k_sem_seg_bdd100k',
    'fcn_r50-d8_769x769_40k_drivable_bdd100k',
)
NAMES = {name: None for (family, drivable), name in FIRST.items() if not drivable or family == 'DANet'}
QUICK = ('panoptic_fpn_r50_fpn_1x_pan_seg_bdd100k',)
CASES = [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in (*NAMES, *EXTRA)]
SIZE = (160, 96)


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'scenes'
    write_dataset(root, train=2, val=1, ood=1, size=SIZE)
    return root


def small_config(name, scenes, work_dir):
    """The config as it is but for the data, their size, the device and initial weights."""
    cfg = get_config(name)
    import_modules_from_strings(**cfg.custom_imports)
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.data_root = f'{scenes}/'
        for step in loader.dataset.pipeline:
            if step.type in ('Resize', 'RandomResize'):
                step.scale = SIZE
            elif step.type == 'RandomChoiceResize':
                step.scales = [SIZE]
            elif step.type == 'RandomCrop':
                step.crop_size = (128, 128)
    cfg.train_dataloader.batch_size = 2
    if 'size' in cfg.model.data_preprocessor:
        cfg.model.data_preprocessor.size = (128, 128)
    if 'max_iters' in cfg.train_cfg:
        cfg.train_cfg.max_iters = 1
    else:
        cfg.train_cfg.max_epochs = 1
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.test_evaluator.update(format_dir=str(work_dir / 'out'))
    cfg.default_hooks.checkpoint = None
    cfg.default_hooks.logger.interval = 1
    cfg.model = without_initial_weights(cfg.model)
    cfg.update(work_dir=str(work_dir), log_level='WARNING', randomness=dict(seed=0), launcher='none')
    _prepare_for_cpu(cfg)
    return cfg


class Gradients(Hook):
    """Notes the parameters that a step leaves without a gradient."""

    seen, lacking = False, ()

    def before_train(self, runner):
        def look(*_):
            self.seen = True
            parameters = runner.model.named_parameters()
            self.lacking = [name for name, p in parameters if p.requires_grad and p.grad is None]

        runner.optim_wrapper.optimizer.register_step_pre_hook(look)


@pytest.mark.parametrize('name', CASES)
def test_a_training_step_and_a_prediction(name, scenes, tmp_path):
    if 'convnext' in name:
        pytest.importorskip('mmpretrain')
    runner = Runner.from_cfg(small_config(name, scenes, tmp_path))
    runner.register_hook(hook := Gradients())
    runner.train()
    logged = runner.message_hub.log_scalars
    losses = {k: h.current() for k, h in logged.items() if k.startswith('train/') and 'loss' in k}
    assert runner.iter == 1 and losses['train/loss'] > 0
    assert all(math.isfinite(v) for v in losses.values()), losses
    assert hook.seen and not hook.lacking
    scores = runner.test()
    for folder in ('masks', 'bitmasks'):
        for path in (tmp_path / 'out' / folder).glob('*.png'):
            assert Image.open(path).size == SIZE
    print(name, len(losses), scores)
