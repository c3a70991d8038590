"""Every family on the GPU: training steps, scores, and the CPU's numbers again."""

import copy
import math

import pytest
import torch
import yaml
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings
from torch.nn.modules.batchnorm import _BatchNorm

from mmroad.detic.drawn_shapes import write_shapes
from mmroad.road_scenes.write import write_dataset
from mmroad.zoo.configs import configs_folder, get_config
from mmroad.zoo.models import build_model, without_initial_weights

SIZE = (160, 96)
DETECTORS = {}
for model in yaml.safe_load((configs_folder() / 'det/metafile.yml').read_text())['Models']:
    DETECTORS.setdefault(model['In Collection'], model['Name'])
OTHERS = [
    'faster_rcnn_r18_fpn_quickstart',
    'rba_small_1dl_road_scenes',
    'rba_small_1dl_ood_road_scenes',
    'deepv3plus_r18_road_scenes',
    'abet_deepv3plus_r18_road_scenes',
    'abet_faster-rcnn_r18_fpn_road_scenes',
    'mask2former_small_road_scenes',
    'rankseg_small_road_scenes',
    'rankseg_small_road_scenes_video',
    'BoxSup-C2_R18_drawn_shapes',
    'Detic_R18_drawn_shapes_max-size',
]
NAMES = [*DETECTORS.values(), *OTHERS]
#: Losses of these compare masks at points that each device draws for itself.
OWN_POINTS = ('rba', 'mask2former', 'rankseg')


@pytest.fixture(scope='session')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('data')
    write_dataset(root / 'road_scenes', train=4, val=2, ood=2, videos=5, frames=6, size=SIZE)
    write_shapes(root / 'drawn_shapes', train=8, weak=8, val=2)
    return root


def small_config(name, data, work_dir, device):
    """The config as it is but for the data, their size, the number of steps and initial weights."""
    cfg = get_config(name)
    text = cfg.to_dict()

    def change(node):
        if isinstance(node, dict):
            node = {key: change(value) for key, value in node.items()}
            scale = {'Resize': 'scale', 'RandomChoiceResize': 'scales'}.get(node.get('type'))
            if scale in node and name in DETECTORS.values():
                node[scale] = [SIZE] if scale == 'scales' else SIZE
            return node
        if isinstance(node, (list, tuple)):
            return type(node)(map(change, node))
        if isinstance(node, str):
            for there in ('data/road_scenes', 'data/bdd100k'):
                node = node.replace(there, str(data / 'road_scenes'))
            return node.replace('data/drawn_shapes', str(data / 'drawn_shapes'))
        return node

    cfg = type(cfg)(change(text))
    import_modules_from_strings(**cfg.custom_imports)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    if 'batch_size' in cfg.train_dataloader:
        cfg.train_dataloader.batch_size = 2
    if name in DETECTORS.values():
        cfg.train_dataloader.dataset.image_size = SIZE
    cfg.train_cfg.update(dict(max_epochs=1) if 'max_epochs' in cfg.train_cfg else dict(max_iters=2))
    cfg.train_cfg.pop('val_interval', None)
    cfg.model = without_initial_weights(cfg.model)
    if cfg.default_scope == 'mmdet' and 'test_cfg' in cfg.model:
        thresholds = cfg.model.test_cfg.get('rcnn', cfg.model.test_cfg)
        if 'score_thr' in thresholds:
            thresholds.score_thr = 0.0  # an untrained model is sure of nothing
    cfg.default_hooks.checkpoint = None
    cfg.default_hooks.logger.interval = 1
    cfg.env_cfg.dist_cfg.backend = 'gloo'
    cfg.update(work_dir=str(work_dir), log_level='WARNING', load_from=None, launcher='none')
    cfg.randomness = dict(seed=0)
    cfg.device = device.type
    return cfg


def settle(backbone):
    """Normalization statistics of an image: with 0 and 1, which no trained network has, an untrained deep one
    overflows."""
    norms = [m for m in backbone.modules() if isinstance(m, _BatchNorm)]
    for norm in norms:
        norm.train().momentum = 1.0
    with torch.no_grad():
        backbone(torch.randn(2, 3, *SIZE[::-1]).to(next(backbone.parameters()).device))
    for norm in norms:
        norm.momentum = 0.1


def built(cfg):
    """The config's model with settled statistics and no random parts."""
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    model = build_model(cfg)
    model.init_weights()
    settle(model.backbone)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout) or hasattr(module, 'drop_prob'):
            for key in ('p', 'drop_prob'):
                if hasattr(module, key):
                    setattr(module, key, 0.0)
    return model.eval()


def samples(loader, count):
    dataset = Runner.build_dataloader(copy.deepcopy(loader)).dataset
    return pseudo_collate([dataset[i] for i in range(count)])


#: One of each kind of operator and head in mixed precision too.
LOW = [
    *('faster_rcnn_r50_fpn_dconv_1x_det_bdd100k', 'cascade_rcnn_swin-t_fpn_3x_det_bdd100k'),
    *(
        'retinanet_pvt-t_fpn_1x_det_bdd100k',
        'sparse_rcnn_r50_fpn_1x_det_bdd100k',
        'rba_small_1dl_ood_road_scenes',
    ),
    *(
        'abet_deepv3plus_r18_road_scenes',
        'rankseg_small_road_scenes_video',
        'Detic_R18_drawn_shapes_max-size',
    ),
]


@pytest.mark.parametrize(
    'name, amp',
    [
        *((name, None) for name in NAMES),
        *((name, 'bfloat16') for name in LOW),
        *((name, 'float16') for name in LOW[:2]),
    ],
)
def test_trains_and_scores(device, name, amp, data, tmp_path):
    if 'convnext' in name:
        pytest.importorskip('mmpretrain')
    if amp and device.type == 'cpu':
        pytest.skip('mixed precision is tried on the GPU')
    cfg = small_config(name, data, tmp_path, device)
    if amp:
        cfg.optim_wrapper.update(type='AmpOptimWrapper', dtype=amp, loss_scale='dynamic')
    elif cfg.optim_wrapper.type == 'AmpOptimWrapper':
        pytest.skip('this config trains in mixed precision')
    runner = Runner.from_cfg(cfg)
    runner.model.init_weights()  # before its statistics; mmengine does it once
    settle(runner.model.backbone)
    assert next(runner.model.parameters()).device.type == device.type
    runner.train()
    logged = runner.message_hub.log_scalars
    losses = {k: h.current() for k, h in logged.items() if k.startswith('train/') and 'loss' in k}
    assert losses and all(math.isfinite(v) for v in losses.values()), losses
    scores = runner.test()
    assert scores and all(isinstance(v, (int, float)) for v in scores.values())
    if device.type == 'cuda':
        print(f'{name} {amp or "float32"}: {torch.cuda.max_memory_allocated() / 2**20:.0f} MiB at most')
        torch.cuda.reset_peak_memory_stats()


def test_every_family_is_here():
    assert len(DETECTORS) == 17 and len(NAMES) == 28 and set(LOW) <= set(NAMES)


@pytest.mark.parametrize('name', NAMES)
def test_the_gpu_predicts_what_the_cpu_does(device, name, data, tmp_path):
    if 'convnext' in name:
        pytest.importorskip('mmpretrain')
    cfg = small_config(name, data, tmp_path, device)
    model = built(cfg)
    batch = samples(cfg.test_dataloader, 1)
    results = []
    for where in ('cpu', device):
        with torch.no_grad():
            (result,) = model.to(where).test_step(copy.deepcopy(batch))
        results.append(result.cpu() if hasattr(result, 'cpu') else result)
    cpu, gpu = results
    if hasattr(cpu, 'pred_instances'):
        same_detections(cpu.pred_instances, gpu.pred_instances)
        return
    if hasattr(cpu, 'video_data_samples') or not hasattr(cpu, 'pred_sem_seg'):
        return
    agree = (cpu.pred_sem_seg.data == gpu.pred_sem_seg.data).float().mean()
    assert agree > 0.99
    for key in ('anomaly_map', 'seg_logits'):
        if key in cpu:
            want, got = getattr(cpu, key).data, getattr(gpu, key).data
            assert (got - want).abs().max() <= 2e-3 * want.abs().max() + 1e-4


def same_detections(want, got):
    """All but a few detections have a partner of their class with the same box and score: near ties may be ordered
    otherwise, and then suppress one another otherwise."""
    assert len(want) and abs(len(want) - len(got)) <= 0.1 * len(want)
    near = (want.bboxes[:, None] - got.bboxes[None]).abs().amax(-1) < 0.1
    near &= (want.scores[:, None] - got.scores[None]).abs() < 2e-3
    near &= want.labels[:, None] == got.labels[None]
    assert near.any(1).float().mean() > 0.9


@pytest.mark.parametrize('name', NAMES)
def test_the_gpu_has_the_losses_of_the_cpu(device, name, data, tmp_path):
    if 'convnext' in name:
        pytest.importorskip('mmpretrain')
    cfg = small_config(name, data, tmp_path, device)
    model = built(cfg)
    model.train()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.eval()
    size = 1 if 'video' in name else 2
    batch = samples(cfg.train_dataloader, size)
    totals, gradients = [], []
    for where in ('cpu', device):
        model.to(where).zero_grad()
        torch.manual_seed(0)
        data_there = model.data_preprocessor(copy.deepcopy(batch), True)
        total, _ = model.parse_losses(model(**data_there, mode='loss'))
        total.backward()
        totals.append(float(total))
        gradients.append(
            sum(float(p.grad.double().norm()) ** 2 for p in model.parameters() if p.grad is not None) ** 0.5
        )
    rel = 0.1 if name.startswith(OWN_POINTS) else 0.01
    assert totals[1] == pytest.approx(totals[0], rel=rel)
    assert gradients[1] == pytest.approx(gradients[0], rel=5 * rel)
