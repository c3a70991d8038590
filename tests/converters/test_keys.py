"""Every rule of the converters' tables on a published key: the key that it becomes."""

import importlib
import re

import pytest
import torch

from mmroad.converters import ConversionError, convert, rename

RESNET = """
backbone.stem.conv1.weight                          backbone.conv1.weight
backbone.stem.conv1.norm.running_mean               backbone.bn1.running_mean
backbone.stem.fc.weight                             -
backbone.res2.0.shortcut.weight                     backbone.layer1.0.downsample.0.weight
backbone.res2.0.shortcut.norm.bias                  backbone.layer1.0.downsample.1.bias
backbone.res3.3.conv1.norm.weight                   backbone.layer2.3.bn1.weight
backbone.res4.22.conv2.weight                       backbone.layer3.22.conv2.weight
backbone.res5.2.conv3.norm.running_var              backbone.layer4.2.bn3.running_var
"""
SWIN = """
backbone.patch_embed.proj.weight                    backbone.patch_embed.projection.weight
backbone.patch_embed.norm.bias                      backbone.patch_embed.norm.bias
backbone.layers.0.blocks.1.attn_mask                -
backbone.layers.2.blocks.17.attn.qkv.weight         backbone.stages.2.blocks.17.attn.w_msa.qkv.weight
backbone.layers.3.blocks.0.mlp.fc1.bias             backbone.stages.3.blocks.0.ffn.layers.0.0.bias
backbone.layers.3.blocks.0.mlp.fc2.weight           backbone.stages.3.blocks.0.ffn.layers.1.weight
backbone.layers.0.downsample.reduction.weight       backbone.stages.0.downsample.reduction.weight
backbone.layers.1.downsample.norm.bias              backbone.stages.1.downsample.norm.bias
backbone.norm3.weight                               backbone.norm3.weight
"""
HEAD = 'sem_seg_head.pixel_decoder.'
MASK2FORMER = f"""
criterion.empty_weight                              -
{HEAD}input_proj.0.0.weight                         decode_head.pixel_decoder.input_convs.0.conv.weight
{HEAD}input_proj.2.1.bias                           decode_head.pixel_decoder.input_convs.2.gn.bias
{HEAD}transformer.level_embed                       decode_head.pixel_decoder.level_encoding.weight
{HEAD}transformer.encoder.layers.0.linear1.weight   decode_head.pixel_decoder.encoder.layers.0.ffn.layers.0.0.weight
{HEAD}transformer.encoder.layers.5.linear2.bias     decode_head.pixel_decoder.encoder.layers.5.ffn.layers.1.bias
{HEAD}transformer.encoder.layers.1.norm1.weight     decode_head.pixel_decoder.encoder.layers.1.norms.0.weight
{HEAD}transformer.encoder.layers.1.norm2.weight     decode_head.pixel_decoder.encoder.layers.1.norms.1.weight
{HEAD}transformer.encoder.layers.1.self_attn.value_proj.bias \
decode_head.pixel_decoder.encoder.layers.1.self_attn.value_proj.bias
{HEAD}mask_features.weight                          decode_head.pixel_decoder.mask_feature.weight
{HEAD}adapter_1.weight                              decode_head.pixel_decoder.lateral_convs.0.conv.weight
{HEAD}adapter_2.norm.weight                         decode_head.pixel_decoder.lateral_convs.1.gn.weight
{HEAD}adapter_3.bias                                decode_head.pixel_decoder.lateral_convs.2.conv.bias
{HEAD}layer_1.norm.bias                             decode_head.pixel_decoder.output_convs.0.gn.bias
{HEAD}layer_2.weight                                decode_head.pixel_decoder.output_convs.1.conv.weight
{HEAD}layer_3.norm.weight                           decode_head.pixel_decoder.output_convs.2.gn.weight
"""
PREDICTOR = 'sem_seg_head.predictor.'
LAYERS = 'decode_head.transformer_decoder.layers.'
MASK2FORMER += f"""
{PREDICTOR}transformer_cross_attention_layers.0.multihead_attn.in_proj_weight {LAYERS}0.cross_attn.attn.in_proj_weight
{PREDICTOR}transformer_cross_attention_layers.8.norm.weight {LAYERS}8.norms.0.weight
{PREDICTOR}transformer_self_attention_layers.1.self_attn.out_proj.bias {LAYERS}1.self_attn.attn.out_proj.bias
{PREDICTOR}transformer_self_attention_layers.2.norm.bias {LAYERS}2.norms.1.bias
{PREDICTOR}transformer_ffn_layers.3.linear1.weight  {LAYERS}3.ffn.layers.0.0.weight
{PREDICTOR}transformer_ffn_layers.4.linear2.weight  {LAYERS}4.ffn.layers.1.weight
{PREDICTOR}transformer_ffn_layers.10.norm.bias      {LAYERS}10.norms.2.bias
{PREDICTOR}decoder_norm.weight                      decode_head.transformer_decoder.post_norm.weight
{PREDICTOR}query_feat.weight                        decode_head.query_feat.weight
{PREDICTOR}static_query.weight.of.an.old.one        decode_head.query_feat.weight.of.an.old.one
{PREDICTOR}query_embed.weight                       decode_head.query_embed.weight
{PREDICTOR}level_embed.weight                       decode_head.level_embed.weight
{PREDICTOR}class_embed.weight                       decode_head.cls_embed.weight
{PREDICTOR}mask_embed.layers.0.weight               decode_head.mask_embed.0.weight
{PREDICTOR}mask_embed.layers.1.bias                 decode_head.mask_embed.2.bias
{PREDICTOR}mask_embed.layers.2.weight               decode_head.mask_embed.4.weight
{PREDICTOR}input_proj.0.weight                      decode_head.decoder_input_projs.0.weight
"""
PROPOSALS = 'proposal_generator.centernet_head.'
DETIC = f"""
pixel_mean                                          -
pixel_std                                           -
box_freq_weight                                     -
backbone.fpn_lateral3.weight                        neck.lateral_convs.0.conv.weight
backbone.fpn_lateral5.bias                          neck.lateral_convs.2.conv.bias
backbone.fpn_output4.weight                         neck.fpn_convs.1.conv.weight
backbone.top_block.p6.weight                        neck.fpn_convs.3.conv.weight
backbone.top_block.p7.bias                          neck.fpn_convs.4.conv.bias
backbone.bottom_up.fc.weight                        -
backbone.bottom_up.base.bn1.weight                  backbone.bn1.weight
backbone.bottom_up.base.stem_0.weight               backbone.downsample_layers.0.0.weight
backbone.bottom_up.base.stem_1.bias                 backbone.downsample_layers.0.1.bias
backbone.bottom_up.base.stages_3.downsample.1.weight backbone.downsample_layers.3.1.weight
backbone.bottom_up.base.stages_1.blocks.2.conv_dw.weight backbone.stages.1.2.depthwise_conv.weight
backbone.bottom_up.base.stages_2.blocks.10.mlp.fc1.bias  backbone.stages.2.10.pointwise_conv1.bias
backbone.bottom_up.base.stages_0.blocks.0.mlp.fc2.weight backbone.stages.0.0.pointwise_conv2.weight
{PROPOSALS}bbox_tower.0.weight                      rpn_head.reg_convs.0.conv.weight
{PROPOSALS}bbox_tower.1.bias                        rpn_head.reg_convs.0.gn.bias
{PROPOSALS}bbox_tower.9.weight                      rpn_head.reg_convs.3.conv.weight
{PROPOSALS}bbox_tower.10.weight                     rpn_head.reg_convs.3.gn.weight
{PROPOSALS}agn_hm.bias                              rpn_head.conv_cls.bias
{PROPOSALS}bbox_pred.weight                         rpn_head.conv_reg.weight
{PROPOSALS}scales.4.scale                           rpn_head.scales.4.scale
roi_heads.box_head.2.fc1.weight                     roi_head.bbox_head.2.shared_fcs.0.weight
roi_heads.box_head.0.fc2.bias                       roi_head.bbox_head.0.shared_fcs.1.bias
roi_heads.box_predictor.1.cls_score.zs_weight       roi_head.bbox_head.1.fc_cls.zs_weight
roi_heads.box_predictor.2.bbox_pred.0.weight        roi_head.bbox_head.2.fc_reg.0.weight
roi_heads.mask_head.mask_fcn1.weight                roi_head.mask_head.convs.0.conv.weight
roi_heads.mask_head.mask_fcn4.bias                  roi_head.mask_head.convs.3.conv.bias
roi_heads.mask_head.deconv.weight                   roi_head.mask_head.upsample.weight
roi_heads.mask_head.predictor.weight                roi_head.mask_head.conv_logits.weight
proposal_generator.rpn_head.conv.weight             rpn_head.rpn_conv.weight
proposal_generator.rpn_head.objectness_logits.bias  rpn_head.rpn_cls.bias
proposal_generator.rpn_head.anchor_deltas.weight    rpn_head.rpn_reg.weight
proposal_generator.anchor_generator.cell_anchors.0  -
roi_heads.box_predictor.cls_score.linear.weight     roi_head.bbox_head.0.fc_cls.linear.weight
roi_heads.box_predictor.bbox_pred.2.bias            roi_head.bbox_head.0.fc_reg.2.bias
roi_heads.res5.0.shortcut.weight                    roi_head.shared_head.layer4.0.downsample.0.weight
roi_heads.res5.2.conv3.norm.running_mean            roi_head.shared_head.layer4.2.bn3.running_mean
detr.criterion.empty_weight                         -
criterion.zs_weight                                 -
detr.transformer.decoder.class_embed.0.weight       -
detr.transformer.decoder.bbox_embed.5.layers.0.bias -
detr.backbone.0.backbone.res4.5.conv2.weight        backbone.layer3.5.conv2.weight
detr.input_proj.0.0.weight                          neck.convs.0.conv.weight
detr.input_proj.2.1.bias                            neck.convs.2.gn.bias
detr.input_proj.3.0.weight                          neck.extra_convs.0.conv.weight
detr.input_proj.4.1.weight                          neck.extra_convs.1.gn.weight
detr.class_embed.6.linear.weight                    bbox_head.cls_branches.6.linear.weight
detr.bbox_embed.0.layers.0.weight                   bbox_head.reg_branches.0.0.weight
detr.bbox_embed.6.layers.2.bias                     bbox_head.reg_branches.6.4.bias
detr.transformer.level_embed                        level_embed
detr.transformer.enc_output.weight                  memory_trans_fc.weight
detr.transformer.enc_output_norm.bias               memory_trans_norm.bias
detr.transformer.pos_trans.weight                   pos_trans_fc.weight
detr.transformer.pos_trans_norm.weight              pos_trans_norm.weight
detr.transformer.encoder.layers.0.norm1.weight      encoder.layers.0.norms.0.weight
detr.transformer.encoder.layers.5.norm2.bias        encoder.layers.5.norms.1.bias
detr.transformer.decoder.layers.0.norm1.weight      decoder.layers.0.norms.1.weight
detr.transformer.decoder.layers.0.norm2.weight      decoder.layers.0.norms.0.weight
detr.transformer.decoder.layers.0.norm3.weight      decoder.layers.0.norms.2.weight
detr.transformer.encoder.layers.1.self_attn.sampling_offsets.bias encoder.layers.1.self_attn.sampling_offsets.bias
detr.transformer.decoder.layers.2.cross_attn.output_proj.weight decoder.layers.2.cross_attn.output_proj.weight
detr.transformer.decoder.layers.3.self_attn.in_proj_weight decoder.layers.3.self_attn.attn.in_proj_weight
detr.transformer.encoder.layers.4.linear1.weight    encoder.layers.4.ffn.layers.0.0.weight
detr.transformer.decoder.layers.4.linear2.bias      decoder.layers.4.ffn.layers.1.bias
"""
ABET = """
module.underlying_model.mod1.conv1.weight           backbone.stem.weight
underlying_model.module.mod2.block1.bn1.0.weight    backbone.stage2.0.norm1.weight
module.mod3.block3.convs.bn2.0.running_var          backbone.stage3.2.norm2.running_var
module.mod4.block6.convs.conv1.weight               backbone.stage4.5.conv1.weight
module.mod5.block2.convs.conv2.weight               backbone.stage5.1.conv2.weight
module.mod6.block1.convs.conv3.weight               backbone.stage6.0.conv3.weight
module.mod4.block4.convs.bn3.0.bias                 backbone.stage4.3.norm3.bias
module.mod4.block5.bn1.0.bias                       backbone.stage4.4.norm1.bias
module.mod7.block1.proj_conv.weight                 backbone.stage7.0.downsample.weight
module.bn_out.0.weight                              -
module.classifier.fc.weight                         -
module.aspp.img_conv.0.weight                       decode_head.image_pool.conv.weight
module.aspp.img_conv.1.bias                         decode_head.image_pool.bn.bias
module.aspp.features.0.0.weight                     decode_head.aspp.0.conv.weight
module.aspp.features.3.1.running_mean               decode_head.aspp.3.bn.running_mean
module.bot_aspp.weight                              decode_head.aspp_proj.weight
module.bot_fine.weight                              decode_head.skip_proj.weight
module.final.0.weight                               decode_head.fuse.0.conv.weight
module.final.1.weight                               decode_head.fuse.0.bn.weight
module.final.3.weight                               decode_head.fuse.1.conv.weight
module.final.4.bias                                 decode_head.fuse.1.bn.bias
module.final.6.weight                               decode_head.conv_seg.weight
module.underlying_model.h.h.weight                  decode_head.temperature.cosine.weight
module.temperature.0.weight                         decode_head.temperature.conv.weight
module.temperature.1.running_var                    decode_head.temperature.bn.running_var
"""
ABET_DET = """
pixel_mean                                          -
pixel_std                                           -
proposal_generator.anchor_generator.cell_anchors.4  -
backbone.fpn_lateral2.weight                        neck.lateral_convs.0.conv.weight
backbone.fpn_lateral3.bias                          neck.lateral_convs.1.conv.bias
backbone.fpn_lateral4.bias                          neck.lateral_convs.2.conv.bias
backbone.fpn_output5.weight                         neck.fpn_convs.3.conv.weight
backbone.bottom_up.res5.2.conv1.weight              backbone.layer4.2.conv1.weight
proposal_generator.rpn_head.conv.weight             rpn_head.rpn_conv.weight
proposal_generator.rpn_head.objectness_logits.bias  rpn_head.rpn_cls.bias
proposal_generator.rpn_head.anchor_deltas.weight    rpn_head.rpn_reg.weight
roi_heads.box_head.fc1.weight                       roi_head.bbox_head.shared_fcs.0.weight
roi_heads.box_head.fc2.bias                         roi_head.bbox_head.shared_fcs.1.bias
roi_heads.box_predictor.bbox_pred.weight            roi_head.bbox_head.fc_reg.weight
"""
DET_TEMPERATURE = """
roi_heads.box_predictor.temperature.0.weight        roi_head.bbox_head.fc_cls.linear.weight
roi_heads.box_predictor.temperature.1.running_mean  roi_head.bbox_head.fc_cls.bn.running_mean
roi_heads.box_predictor.h.h.bias                    -
roi_heads.box_predictor.h.h.weight                  roi_head.bbox_head.fc_cls.cosine.weight
"""
TABLES = {
    'mask2former': MASK2FORMER + RESNET + SWIN,
    'rba': MASK2FORMER + RESNET + SWIN,
    'uno': MASK2FORMER + RESNET + SWIN + """
        flow.layers.0.weight                        -
    """,
    'mask2anomaly': re.sub(r'(\.\d)(\.multihead_attn)\.', r'\1\2_foreground.', MASK2FORMER) + RESNET + SWIN + f"""
        {PREDICTOR}transformer_cross_attention_layers.7.multihead_attn_background.out_proj.bias \
        {LAYERS}7.background_attn.attn.out_proj.bias
        {PREDICTOR}transformer_cross_attention_layers.0.fusion_layer.weight -
    """,
    'mask2former_coco_instance': re.sub(r'(\.class_embed\.\w+ +)\S+', r'\1-', MASK2FORMER) + RESNET + SWIN,
    'rankseg': MASK2FORMER + RESNET + SWIN + """
        ml_head.fc.W                                decode_head.rank_seg.ml_head.fc.W
        ml_norm.weight                              decode_head.rank_seg.ml_norm.weight
    """,
    'detic': DETIC + RESNET + SWIN,
    'abet': ABET,
    'wrn38': ABET,
    'abet_det': ABET_DET + RESNET + DET_TEMPERATURE,
    'imagenet': re.sub(r'(?m)^backbone\.', '', RESNET + SWIN) + """
        head.weight                                 -
        norm.bias                                   -
        fc.weight                                   -
        downsample_layers.0.0.weight                backbone.downsample_layers.0.0.weight
        stages.2.26.dwconv.weight                   backbone.stages.2.26.depthwise_conv.weight
        stages.3.0.pwconv1.bias                     backbone.stages.3.0.pointwise_conv1.bias
        stages.0.2.pwconv2.weight                   backbone.stages.0.2.pointwise_conv2.weight
        stages.1.0.gamma                            backbone.stages.1.0.gamma
    """,
}  # fmt: skip


def table(source: str) -> dict[str, str]:
    return dict(line.split() for line in TABLES[source].splitlines() if line.strip())


def values(keys) -> dict[str, torch.Tensor]:
    """Values of its own for each key, of a shape that every rule's function takes."""
    shapes = {key: (4, 4) if 'reduction' in key else (1,) if key.endswith('.scale') else (4,) for key in keys}
    return {
        key: torch.rand(shape, generator=torch.manual_seed(i))
        for i, (key, shape) in enumerate(shapes.items())
    }


@pytest.mark.parametrize('source', TABLES)
def test_published_keys_become_the_models(source):
    keys = table(source)
    state = values(keys)
    report = convert(state, source)
    assert set(report.state_dict) == {new for new in keys.values() if new != '-'}
    assert len(report.dropped) == sum(new == '-' for new in keys.values())
    for key, new in keys.items():
        if new == '-':
            assert any(dropped.endswith(key) for dropped in report.dropped), key
        elif key.endswith('.scale'):
            assert report.state_dict[new].shape == () and report.state_dict[new] == state[key][0]
        elif 'stages' not in new or 'downsample' not in new:  # Swin's are reordered: test_detectron2.py
            assert torch.equal(report.state_dict[new], state[key]), key


@pytest.mark.parametrize('source', ['abet', 'abet_det', 'detic', 'imagenet', 'rankseg'])
def test_each_rule_is_used_by_a_key_of_these_tables(source):
    module = importlib.import_module(f'mmroad.converters.{source}')
    state = getattr(module, 'prepare', dict)(values(table(source)))
    renamed, dropped = rename(state, module.RULES)
    for number, (regex, *_) in enumerate(module.RULES):
        if regex == r'^roi_heads\.box_predictor\.cls_score\.':  # of models without temperature: below
            continue
        try:
            found, left = rename(state, module.RULES[:number] + module.RULES[number + 1 :])
        except ConversionError:  # two keys become one
            continue
        assert (
            left != dropped
            or found.keys() != renamed.keys()
            or (any(not torch.equal(found[key], renamed[key]) for key in found))
        ), regex


def test_a_stem_of_three_convolutions_and_an_old_head():
    """ResNet-103's keys, and those of Mask2Former's first checkpoints, which lack the pixel decoder's name."""
    keys = {
        'backbone.stem.conv1.weight': 'backbone.stem.0.weight',
        'backbone.stem.conv1.norm.weight': 'backbone.stem.1.weight',
        'backbone.stem.conv2.weight': 'backbone.stem.3.weight',
        'backbone.stem.conv2.norm.running_var': 'backbone.stem.4.running_var',
        'backbone.stem.conv3.weight': 'backbone.stem.6.weight',
        'backbone.stem.conv3.norm.bias': 'backbone.stem.7.bias',
        'sem_seg_head.mask_features.weight': 'decode_head.pixel_decoder.mask_feature.weight',
        'sem_seg_head.layer_1.weight': 'decode_head.pixel_decoder.output_convs.0.conv.weight',
        'sem_seg_head.predictor.static_query.weight': 'decode_head.query_feat.weight',
    }
    assert {k: list(convert(values(keys), 'mask2former').state_dict)[i] for i, k in enumerate(keys)} == keys


def test_of_two_names_of_the_class_vectors_one_is_kept():
    plain = {'roi_heads.box_predictor.cls_score.weight': torch.zeros(2)}
    assert list(convert(plain, 'abet_det').state_dict) == ['roi_head.bbox_head.fc_cls.weight']
    both = plain | {'roi_heads.box_predictor.h.h.weight': torch.ones(2)}
    found = convert(both, 'abet_det').state_dict
    assert list(found) == ['roi_head.bbox_head.fc_cls.cosine.weight'] and found.popitem()[1].tolist() == [
        1,
        1,
    ]
