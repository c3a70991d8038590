"""One of two processes that train a tiny model on batches of different kinds:
two_ranks.py RANK STEPS FOLDER c2|c4|detr."""

import datetime
import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from mmdet.structures import DetDataSample
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch.nn.parallel import DistributedDataParallel

import mmroad.detic  # noqa: F401 (registers)
from mmroad.zoo.configs import get_config
from mmroad.zoo.models import build_model, without_initial_weights

KINDS = dict(c2=('box', 'image', 'captiontag'), c4=('box', 'image', 'captiontag'), detr=('box', 'image'))
CONFIGS = dict(
    c2='BoxSup-C2_R18_drawn_shapes', c4='BoxSup_OVCOCO_CLIP_R50_1x', detr='BoxSup-DeformDETR_L_R50_4x'
)


def options(kind: str, folder: Path) -> dict:
    """What makes the model of a kind tiny."""
    if kind == 'detr':
        layers = {f'{part}.num_layers': 1 for part in ('encoder', 'decoder')}
        loss = {'bbox_head.num_classes': 12, 'bbox_head.loss_cls.num_classes': 12, 'num_queries': 20}
        return {**layers, **loss, 'bbox_head.loss_cls.image_counts': None}
    head = {
        'bbox_head.num_classes': 12,
        'bbox_head.classifier.embeddings': str(folder / 'embeddings.npy'),
        'bbox_head.image_counts': None,
        'image_loss': 'max_size',
        'image_box': True,
        'num_weak_proposals': 8,
    }
    shared = {f'roi_head.{k}': v for k, v in head.items()}
    shared |= {'train_cfg.rcnn.num': 8, 'train_cfg.rpn_proposal.max_per_img': 16, 'sync_captions': True}
    if kind == 'c4':
        return shared
    return {'backbone.base_channels': 8, 'backbone.norm_eval': True, 'neck.in_channels': [16, 32, 64],
            'roi_head.bbox_head.fc_out_channels': 32, **shared}  # fmt: skip


def tiny_model(kind: str, folder: Path):
    cfg = get_config(CONFIGS[kind])
    cfg.merge_from_dict({f'model.{k}': v for k, v in options(kind, folder).items()})
    cfg.model = without_initial_weights(cfg.model)
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = build_model(cfg)
    model.init_weights()
    return model.train()


def batch(kind: str, rng: np.random.Generator):
    samples = []
    for _ in range(int(rng.integers(1, 3))):
        meta = dict(ann_type=kind, scale_factor=(1.0, 1.0))
        meta |= {k: (64, 64) for k in ('img_shape', 'ori_shape', 'pad_shape', 'batch_input_shape')}
        gt = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
        if kind == 'box' and rng.random() < 0.8:  # some images have no box
            x, y = rng.integers(0, 30, 2).tolist()
            gt = InstanceData(
                bboxes=torch.tensor([[x, y, x + 30.0, y + 25.0]]),
                labels=torch.tensor([int(rng.integers(12))]),
            )
        if kind != 'box':
            meta['image_labels'] = [int(rng.integers(12))]
        if kind == 'captiontag':
            meta['caption_embedding'] = rng.normal(size=512).astype(np.float32)
        sample = DetDataSample(metainfo=meta)
        sample.gt_instances = gt
        samples.append(sample)
    images = torch.from_numpy(rng.normal(size=(len(samples), 3, 64, 64)).astype(np.float32))
    return images, samples


def main() -> None:
    rank, steps, folder, kind = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    torch.set_num_threads(1)
    dist.init_process_group(
        'gloo', f'file://{folder}/store', timeout=datetime.timedelta(seconds=120), rank=rank, world_size=2
    )
    model = tiny_model(kind, folder)
    ddp = DistributedDataParallel(model, broadcast_buffers=False)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    rng = np.random.default_rng(rank)
    kinds, losses = [], []
    for _ in range(steps):
        kinds.append(str(rng.choice(KINDS[kind])))
        images, samples = batch(kinds[-1], rng)
        loss, _ = model.parse_losses(ddp(images, samples, mode='loss'))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_value_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    digest = {n: float(p.detach().double().sum()) for n, p in model.named_parameters()}
    (folder / f'{rank}.json').write_text(json.dumps(dict(kinds=kinds, losses=losses, digest=digest)))
    dist.destroy_process_group()


if __name__ == '__main__':
    main()
