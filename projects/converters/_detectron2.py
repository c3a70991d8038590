"""Rules for detectron2's backbones (under ``backbone.``), shared by the sources that build on it."""

from __future__ import annotations

from torch import Tensor


def unfold_reduction(weight: Tensor) -> Tensor:
    """Patch merging's linear layer, (out, 4 C): from corners x channels to ``nn.Unfold``'s channels x
    corners, whose corners go row by row where Swin's go column by column."""
    out, channels = weight.shape
    return weight.reshape(out, 4, channels // 4)[:, [0, 2, 1, 3]].transpose(1, 2).reshape(out, channels)


def unfold_norm(value: Tensor) -> Tensor:
    """The same reordering of patch merging's norm, (4 C,)."""
    return value.reshape(4, -1)[[0, 2, 1, 3]].transpose(0, 1).reshape(-1)


#: Microsoft's Swin (as detectron2 ports keep it) -> mmdet.SwinTransformer.
SWIN = [
    (r'^backbone\.layers\.\d+\.blocks\.\d+\.attn_mask$', None),
    (r'^(backbone\.)layers\.(\d+\.)', r'\1stages.\2'),
    (r'^(backbone\.stages\.\d+\.blocks\.\d+\.attn\.)', r'\1w_msa.'),
    (r'^(backbone\.stages\..*)mlp\.fc1\.', r'\1ffn.layers.0.0.'),
    (r'^(backbone\.stages\..*)mlp\.fc2\.', r'\1ffn.layers.1.'),
    (r'^(backbone\.stages\.\d+\.downsample\.reduction\.)', r'\1', unfold_reduction),
    (r'^(backbone\.stages\.\d+\.downsample\.norm\.)', r'\1', unfold_norm),
    (r'^(backbone\.patch_embed\.)proj\.', r'\1projection.'),
]

#: detectron2's ResNet, with a 7x7 stem or one of three 3x3 (DeepLab's), -> mmdet.ResNet.
RESNET = [
    (r'^backbone\.stem\.fc\.', None),
    (r'^backbone\.stem\.conv1\.norm\.', r'backbone.bn1.'),
    (r'^backbone\.stem\.conv1\.', r'backbone.conv1.'),
    (r'^backbone\.res(\d+)\.(\d+)\.shortcut\.norm\.', r'backbone.res\1.\2.downsample.1.'),
    (r'^backbone\.res(\d+)\.(\d+)\.shortcut\.', r'backbone.res\1.\2.downsample.0.'),
    (r'^backbone\.res(\d+)\.(\d+)\.conv(\d)\.norm\.', r'backbone.res\1.\2.bn\3.'),
    *[(rf'^backbone\.res{i}\.', f'backbone.layer{i - 1}.') for i in (2, 3, 4, 5)],
]


def deep_stem(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename a stem of three 3x3 convolutions to mmdet's ``stem.N`` (a 7x7 stem is left as it is)."""
    if 'backbone.stem.conv2.weight' not in state:
        return state
    names = {f'backbone.stem.conv{i}.': f'backbone.stem.{3 * i - 3}.' for i in (1, 2, 3)}
    norms = {f'backbone.stem.conv{i}.norm.': f'backbone.stem.{3 * i - 2}.' for i in (1, 2, 3)}

    def name(key: str) -> str:
        for old, new in {**norms, **names}.items():
            if key.startswith(old):
                return new + key[len(old) :]
        return key

    return {name(k): v for k, v in state.items()}
