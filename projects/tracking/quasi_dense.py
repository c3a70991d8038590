"""QDTrack (Pang et al., CVPR 2021) that learns classes."""

from __future__ import annotations

from typing import Any

import torch
from mmdet.models.mot import QDTrack
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackSampleList
from torch import Tensor

#: How the keys of checkpoints of SysCV/qdtrack begin, and those of this model.
_PUBLISHED = {'track_head.track_head.': 'track_head.embed_head.'}


@MODELS.register_module()
class QuasiDenseTrack(QDTrack):
    """mmdet's QDTrack, whose box head learns the classes of its data set.

    mmdet 3.x sets the labels of the key frames to 0 for the RPN and hands the same samples to the box head, which
    then knows the first class alone (open-mmlab/mmdetection issue 11409). Here the RPN gets samples of its own.

    With ``freeze_detector`` only the track head learns: the detector keeps its weights and its running statistics, and
    has no losses.
    """

    kind = 'tracking'

    def train(self, mode: bool = True) -> QuasiDenseTrack:
        super().train(mode)
        if self.freeze_detector:
            self.detector.eval()
        return self

    def loss(self, inputs: Tensor, data_samples: TrackSampleList, **kwargs) -> dict[str, Tensor]:
        """Losses of the detector on key frames unless it is frozen, and of the track head on pairs.

        Args:
            inputs: (N, 2, 3, H, W) key and reference frames, in the order of their time.
            data_samples: N samples of two frames each.
        """
        batch = torch.arange(len(inputs))
        keys = torch.tensor([sample.key_frames_inds[0] for sample in data_samples])
        references = torch.tensor([sample.ref_frames_inds[0] for sample in data_samples])
        key_samples = [sample.get_key_frames()[0] for sample in data_samples]
        reference_samples = [sample.get_ref_frames()[0] for sample in data_samples]
        detector = self.detector
        x = detector.extract_feat(inputs[batch, keys].contiguous())
        reference_x = detector.extract_feat(inputs[batch, references].contiguous())

        reference_proposals = detector.rpn_head.predict(reference_x, reference_samples, **kwargs)
        if self.freeze_detector:
            losses, proposals = {}, detector.rpn_head.predict(x, key_samples, **kwargs)
            for found in proposals:
                found.priors = found.pop('bboxes')
        else:
            proposal_cfg = detector.train_cfg.get('rpn_proposal', detector.test_cfg.rpn)
            losses, proposals = detector.rpn_head.loss_and_predict(
                x, [_without_classes(sample) for sample in key_samples], proposal_cfg=proposal_cfg, **kwargs
            )
            losses = {key if 'rpn' in key else f'rpn_{key}': value for key, value in losses.items()}
            losses |= detector.roi_head.loss(x, proposals, key_samples, **kwargs)
        return losses | self.track_head.loss(
            x, reference_x, proposals, reference_proposals, data_samples, **kwargs
        )

    @staticmethod
    def adapt_checkpoint(content: dict[str, Any]) -> None:
        """Give a checkpoint of SysCV/qdtrack this model's keys, in place; others stay as they are.

        The class list in its meta data is dropped: it names the classes in another order than that of their rows,
        which are in the official order (pedestrian, rider, car, truck, bus, train, motorcycle, bicycle).
        """
        state = content.get('state_dict', content)
        names = {
            key: new + key.removeprefix(old)
            for old, new in _PUBLISHED.items()
            for key in state
            if key.startswith(old)
        }
        if not names:
            return
        renamed = {names.get(key, key): value for key, value in state.items()}
        if state is content:
            content.clear()
            content.update(renamed)
            return
        content['state_dict'] = renamed
        meta = dict(content.get('meta') or {})
        meta.pop('CLASSES', None)
        content['meta'] = meta


def _without_classes(sample: DetDataSample) -> DetDataSample:
    """The sample with one class, for a head that tells objects from none."""
    copy = sample.new()
    copy.gt_instances = sample.gt_instances.clone()
    copy.gt_instances.labels = torch.zeros_like(sample.gt_instances.labels)
    return copy
