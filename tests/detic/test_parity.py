"""Published outputs (shared parity cases) through the converter's rules and the shipped configs."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox2roi
from mmengine.structures import InstanceData

import mmroad.detic  # noqa: F401 (registers)
from mmroad.converters import convert
from mmroad.zoo.configs import get_config
from mmroad.zoo.models import build_model, uninitialized

SHARED = Path(__file__).parents[2] / '../shared/parity'
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason='the shared parity cases are not here')


def load(name, config):
    sys.path.insert(0, str(SHARED))
    import compare
    import fill

    case = fill.load(name)
    with uninitialized():
        model = build_model(get_config(config)).eval()
    report = convert(
        {k: torch.from_numpy(v.copy()) for k, v in fill.state_dict(case).items()}, 'detic', model
    )
    assert report.ok, str(report)
    model.load_state_dict(report.state_dict)
    image = fill.image(case)
    h, w = image.shape[:2]
    sample = DetDataSample(metainfo=dict(img_shape=(h, w), ori_shape=(h, w), scale_factor=(1.0, 1.0)))
    bgr = torch.from_numpy(np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1)))
    data = model.data_preprocessor(dict(inputs=[bgr], data_samples=[sample]))

    def check(out):
        rows = compare.compare(case, {k: v.numpy() for k, v in out.items()})
        assert len(rows) > 10 and all(row.ok for row in rows), compare.table(rows)

    return model, data['inputs'], data['data_samples'], case['golden'], check


def detections(result, number=100):
    fields = dict(boxes=result.bboxes, scores=result.scores, classes=result.labels)
    return {f'det_{key}': value[:number] for key, value in fields.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'config'),
    [
        ('detic_c2_r50_lvis', 'BoxSup-C2_L_CLIP_R5021k_640b64_4x'),
        ('detic_c2_swinb_lvis', 'BoxSup-C2_L_CLIP_SwinB_896b32_4x'),
    ],
)
@torch.no_grad()
def test_centernet2(name, config):
    model, inputs, samples, golden, check = load(name, config)
    head, x = model.roi_head, model.extract_feat(inputs)
    out = {'input': inputs, **{f'fpn_p{i + 3}': f for i, f in enumerate(x)}}
    for i, (heatmap, distance) in enumerate(zip(*model.rpn_head(x))):
        out[f'agn_hm_{i}'], out[f'bbox_pred_{i}'] = heatmap, distance
    proposals = model.rpn_head.predict(x, samples)
    out['proposal_boxes'], out['proposal_scores'] = proposals[0].bboxes[:64], proposals[0].scores[:64]
    boxes, scores = (torch.from_numpy(golden[k]).float() for k in ('fixed_boxes', 'fixed_scores'))
    out['pooled'] = head.pool(x, bbox2roi([boxes]))
    for stage in range(3):
        logits, deltas, _ = head.stage_forward(stage, x, [boxes])
        out[f'stage{stage}_logits'], out[f'stage{stage}_deltas'] = logits[0], deltas[0]
    out['cascade_scores'] = head.cascade(
        x, [InstanceData(bboxes=boxes, scores=scores)], [samples[0].metainfo]
    )[1][0]
    out['mask_logits'] = head._mask_forward(x, bbox2roi([boxes[:4]]))[:, 0]
    result = head.predict_bbox(x, [samples[0].metainfo], proposals, head.test_cfg)[0]
    assert len(result) == 300
    out |= detections(result)
    out['det_masks'] = head._mask_forward(x, bbox2roi([result.bboxes[:8]]))[:, 0].sigmoid()
    if 'single_boxes' in golden:
        cfg = dict(head.test_cfg, one_class_per_proposal=True)
        single = head.predict_bbox(x, [samples[0].metainfo], proposals, cfg)[0]
        assert len(single) == 57
        out |= {k.replace('det_', 'single_'): v for k, v in detections(single, 50).items()}
    check(out)


@pytest.mark.slow
@torch.no_grad()
def test_c4():
    model, inputs, samples, golden, check = load('detic_ovcoco_c4', 'BoxSup_OVCOCO_CLIP_R50_1x')
    head, x = model.roi_head, model.extract_feat(inputs)
    (logits,), (deltas,) = model.rpn_head(x)
    out = dict(input=inputs, res4=x[0], rpn_logits=logits, rpn_deltas=deltas)
    out['anchors'] = model.rpn_head.prior_generator.grid_priors([x[0].shape[-2:]], device='cpu')[0]
    proposals = model.rpn_head.predict(x, samples)[0]
    out['proposal_boxes'], out['proposal_logits'] = proposals.bboxes[:64], proposals.scores[:64].logit()
    boxes = torch.from_numpy(golden['fixed_boxes']).float()
    out['pooled'] = head.bbox_roi_extractor(x, bbox2roi([boxes]))
    out['roi_feature'] = head.bbox_head[0].features(head.shared_head(out['pooled']))
    logits, deltas, _ = head.stage_forward(0, x, [boxes])
    out |= dict(logits=logits[0], deltas=deltas[0], boxes=head.refine(0, boxes, deltas[0], None))
    check(out | detections(model.predict(inputs, samples)[0].pred_instances))


@torch.no_grad()
def test_deformable_detr():
    model, inputs, samples, golden, check = load('detic_deformdetr_r50', 'BoxSup-DeformDETR_L_R50_4x')
    x = model.backbone(inputs)
    out = {'input': inputs, **{f'res{i + 3}': f for i, f in enumerate(x)}}
    x = model.neck(x)
    out |= {f'src_{i}': f for i, f in enumerate(x)}
    encoder_inputs, decoder_inputs = model.pre_transformer(x, samples)
    encoded = model.forward_encoder(**encoder_inputs)
    out['memory'] = encoded['memory']
    queries, _ = model.pre_decoder(**encoded)
    decoder_inputs.update(queries)
    scores, boxes = model.bbox_head(**model.forward_decoder(**decoder_inputs))
    # queries of almost equal first scores come in another order on other processors
    found = decoder_inputs['reference_points']
    order = torch.cdist(torch.from_numpy(golden['init_boxes'][0]), found[0]).argmin(1)
    assert order.sort().values.tolist() == list(range(300))
    out['init_boxes'], scores, boxes = found[:, order], scores[:, :, order], boxes[:, :, order]
    out |= dict(layer_boxes=boxes[:, 0], layer_logits=scores[:, 0], last_logits=scores[-1, 0])
    check(out | detections(model.predict(inputs, samples)[0].pred_instances))
