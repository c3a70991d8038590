"""AbeT's Faster R-CNN (detectron2's ``StandardROIHeads``, R50-FPN) and its plain baseline.

The temperature's box predictor keeps its class vectors twice (``cls_score`` and
``h.h``, one shared layer) and a class bias that nothing uses.
"""

from torch import Tensor

from ._detectron2 import RESNET

CONFIG = 'abet_faster-rcnn_r50_fpn_voc'

RULES = [
    # recomputed by the model: anchors and pixel statistics
    (r'^(pixel_mean|pixel_std)$', None),
    (r'^proposal_generator\.anchor_generator\.', None),
    (r'^backbone\.fpn_lateral(\d)\.', r'neck.lateral_convs.\1.conv.'),
    (r'^backbone\.fpn_output(\d)\.', r'neck.fpn_convs.\1.conv.'),
    # res2 to res5 are the neck's inputs 0 to 3
    *[(rf'^(neck\.\w+\.){i}\.', rf'\g<1>{i - 2}.') for i in (2, 3, 4, 5)],
    (r'^backbone\.bottom_up\.', 'backbone.'),
    *RESNET,
    (r'^proposal_generator\.rpn_head\.conv\.', 'rpn_head.rpn_conv.'),
    (r'^proposal_generator\.rpn_head\.objectness_logits\.', 'rpn_head.rpn_cls.'),
    (r'^proposal_generator\.rpn_head\.anchor_deltas\.', 'rpn_head.rpn_reg.'),
    (r'^roi_heads\.box_head\.fc1\.', 'roi_head.bbox_head.shared_fcs.0.'),
    (r'^roi_heads\.box_head\.fc2\.', 'roi_head.bbox_head.shared_fcs.1.'),
    (r'^roi_heads\.box_predictor\.bbox_pred\.', 'roi_head.bbox_head.fc_reg.'),
    (r'^roi_heads\.box_predictor\.temperature\.0\.', 'roi_head.bbox_head.fc_cls.linear.'),
    (r'^roi_heads\.box_predictor\.temperature\.1\.', 'roi_head.bbox_head.fc_cls.bn.'),
    (r'^roi_heads\.box_predictor\.h\.h\.bias$', None),
    (r'^roi_heads\.box_predictor\.h\.h\.weight$', 'roi_head.bbox_head.fc_cls.cosine.weight'),
    (r'^roi_heads\.box_predictor\.cls_score\.', 'roi_head.bbox_head.fc_cls.'),
]


def prepare(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Keep one of the two names of the class vectors (``h.h``), where the temperature is there."""
    if not any('box_predictor.h.h.' in key for key in state):
        return state
    return {k: v for k, v in state.items() if '.box_predictor.cls_score.' not in k}
