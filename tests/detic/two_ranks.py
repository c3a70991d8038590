"""One of two processes that train a tiny model on batches of different kinds: two_ranks.py RANK STEPS FOLDER."""

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
from mmroad.zoo import build_model, get_config

KINDS = ('box', 'image', 'captiontag')


def tiny_model(folder: Path):
    cfg = get_config('BoxSup-C2_R18_drawn_shapes')
    cfg.merge_from_dict(
        {
            'model.backbone.base_channels': 8,
            'model.neck.in_channels': [16, 32, 64],
            'model.roi_head.bbox_head.fc_out_channels': 32,
            'model.roi_head.bbox_head.classifier.embeddings': str(folder / 'embeddings.npy'),
            'model.roi_head.image_loss': 'max_size',
            'model.roi_head.image_box': True,
            'model.roi_head.num_weak_proposals': 8,
            'model.train_cfg.rcnn.num': 8,
            'model.train_cfg.rpn_proposal.max_per_img': 16,
            'model.sync_captions': True,
        }
    )
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = build_model(cfg)
    model.init_weights()
    return model.train()


def batch(kind: str, rng: np.random.Generator):
    samples = []
    for _ in range(int(rng.integers(1, 3))):
        meta = dict(ann_type=kind, img_shape=(64, 64), ori_shape=(64, 64), scale_factor=(1.0, 1.0))
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
    rank, steps, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    dist.init_process_group(
        'gloo', f'file://{folder}/store', timeout=datetime.timedelta(seconds=120), rank=rank, world_size=2
    )
    model = tiny_model(folder)
    ddp = DistributedDataParallel(model, broadcast_buffers=False)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    rng = np.random.default_rng(rank)
    kinds, losses = [], []
    for _ in range(steps):
        kinds.append(str(rng.choice(KINDS)))
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
