"""One rule for the classes of a checkpoint: those of the model in another order are followed, others refused.

Detectors that people trained on BDD100K often have the ten classes in 2018's order and names (person, rider, car,
bus, truck, bike, motor, ...). Read by the order of another list, every bus would be a truck. So the rows of the
class layers are brought to the model's order when weights are loaded, and everything after is as if the model had
been trained so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .class_names import canonical

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Layers with a row for each class, maybe one more for none of them, maybe for each of several anchors (the class
#: counts fastest).
_CLASS_LAYERS = re.compile(
    r'(^|\.)(fc_cls(\.cosine)?|conv_cls|atss_cls|retina_cls|gfl_cls|vfnet_cls|cls_embed|conv_seg|conv_logits'
    r'|temperature\.cosine)\.(weight|bias)$'
)
#: Box regression with four rows for each class.
_BOX_LAYERS = re.compile(r'(^|\.)fc_reg\.(weight|bias)$')


class ClassOrderError(ValueError):
    """A checkpoint's classes are not the model's; the message has both lists."""


def classes_of(content: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The names of the classes in a checkpoint's meta data (mmengine's or mmdet 2.x's), None where it has none.
    One name as a text is one class."""
    meta = content.get('meta')
    if not isinstance(meta, Mapping):
        return None
    newer = meta.get('dataset_meta')
    lower = {str(k).lower(): v for k, v in newer.items()} if isinstance(newer, Mapping) else {}
    names = lower.get('classes')
    names = meta.get('CLASSES') if names is None else names
    if names is None:
        return None
    names = (names,) if isinstance(names, str) else names
    if not isinstance(names, Iterable) or isinstance(names, Mapping):
        raise ClassOrderError(f'the classes in its meta data are no list of names: {names!r:.200}')
    return tuple(map(str, names))


def class_order(have: Sequence[str], *lists: Sequence[str]) -> tuple[tuple[str, ...], list[int] | None]:
    """How to bring a checkpoint's classes to the model's order.

    Args:
        have: The checkpoint's classes.
        *lists: The model's classes; where a model is trained and tested on data sets of two lists, both.

    Returns:
        The list that fits, and for each of its classes the row in the checkpoint (None: the order is the same).

    Raises:
        ClassOrderError: The classes are others.
    """
    names = canonical(have)
    fitting = [(tuple(want), canonical(want)) for want in lists]
    for want, wanted in fitting:
        if names == wanted:
            return want, None
    for want, wanted in fitting:
        if sorted(names) == sorted(wanted) and len(set(names)) == len(names):
            return want, [names.index(name) for name in wanted]
    shown = ' or '.join(f'{len(want)}: {", ".join(want)}' for want in dict.fromkeys(map(tuple, lists)))
    raise ClassOrderError(
        f"its classes are others than the model's.\n  the checkpoint has {len(have)}: {', '.join(have)}\n"
        f'  the model has {shown}'
    )


def permute_classes(state: Mapping[str, Tensor], order: Sequence[int]) -> dict[str, Tensor]:
    """A state dict with the rows of its class layers in another order; row i is the old row ``order[i]``.

    Raises:
        ClassOrderError: A layer may have rows for each class, and nothing says which.
    """
    import torch

    num_classes, rows = len(order), torch.as_tensor(order)
    permuted, found = dict(state), False
    for key, value in state.items():
        if 'rpn_head.' in key or not value.ndim or value.dtype == torch.long:
            continue
        size = len(value)
        if _CLASS_LAYERS.search(key) and size in (num_classes, num_classes + 1):
            permuted[key] = torch.cat([value[rows], value[num_classes:]])
            found = True
        elif _CLASS_LAYERS.search(key) and size % num_classes == 0:
            permuted[key] = value.unflatten(0, (-1, num_classes))[:, rows].flatten(0, 1)
            found = True
        elif _BOX_LAYERS.search(key) and size == 4 * num_classes:
            permuted[key] = value.unflatten(0, (num_classes, 4))[rows].flatten(0, 1)
        elif _may_have_class_rows(key, value, num_classes):
            raise ClassOrderError(
                f"its classes are in another order than the model's, and {key} {tuple(value.shape)} may have rows "
                'for each of them in an order that is not known here'
            )
    if not found:
        raise ClassOrderError(
            "its classes are in another order than the model's, and no layer is known whose rows are classes"
        )
    return permuted


def _may_have_class_rows(key: str, value: Tensor, num_classes: int) -> bool:
    """Whether an unknown layer of a head looks as if it had a row for each class."""
    if 'head' not in key or _BOX_LAYERS.search(key) or len(value) == 1:
        return False
    own = key.rpartition('head')[2]
    if re.search(r'cls|class|logit', own) and not re.search(r'(conv|fc)s\.', own):
        return any(len(value) % n == 0 for n in (num_classes, num_classes + 1))
    return any(size in (num_classes, num_classes + 1) for size in value.shape[:2])


def follow_classes(
    content: Mapping[str, Any], state: Mapping[str, Tensor], lists: Sequence[Sequence[str]]
) -> tuple[dict[str, Tensor], tuple[str, ...] | None]:
    """Bring a checkpoint's state dict to the model's classes.

    Args:
        content: The whole checkpoint, for its meta data.
        state: Its flat state dict.
        lists: The model's classes (`mmroad.zoo.models.model_classes`); empty compares nothing.

    Returns:
        The state dict, and the names of its classes (the checkpoint's own where nothing is compared).

    Raises:
        ClassOrderError: The classes are others, or cannot be brought to the model's order.
    """
    have = classes_of(content)
    if have is None or not lists:
        return dict(state), have
    want, order = class_order(have, *lists)
    return (dict(state) if order is None else permute_classes(state, order)), want


def follow_classes_in_training(
    checkpoint: dict[str, Any],
    model: nn.Module,
    lists: Sequence[Sequence[str]],
    resume: bool = False,
    afresh: bool = False,
) -> str:
    """The rule for weights that a training starts from (``load_from``); changes ``checkpoint['state_dict']``.

    Other classes are fine where the class layers have another size, as these start afresh then.

    Args:
        checkpoint: What mmengine's runner has read.
        model: The model that is trained.
        lists: Its classes.
        resume: Whether the training goes on: then the order must be the same, as the optimizer has it too.
        afresh: Of other classes, or ones that the checkpoint does not name, no class layer is loaded, of equal size
            or not.

    Returns:
        A message for the user, or an empty text.

    Raises:
        ClassOrderError: As `follow_classes`.
    """
    key = next((k for k in ('state_dict', 'model') if isinstance(checkpoint.get(k), Mapping)), None)
    state = checkpoint if key is None else checkpoint[key]
    have = classes_of(checkpoint)
    target = model.state_dict()
    if afresh and not resume and lists:
        if have is None or not _same_classes(have, lists):
            return _start_afresh(state, target, have, lists[0])
    if have is None or not lists:
        return ''
    layers = [k for k in target if _CLASS_LAYERS.search(k) and 'rpn_head.' not in k]
    fits = any(k in state and state[k].shape == target[k].shape for k in layers)
    try:
        want, order = class_order(have, *lists)
    except ClassOrderError:
        if fits or resume or not layers:
            raise
        return f'its classes are others ({", ".join(have)}): the class layers start afresh'
    if order is None:
        return ''
    if resume:
        raise ClassOrderError(
            f'a training goes on with the classes it began with.\n  the checkpoint has: {", ".join(have)}\n'
            f'  the config has: {", ".join(want)}'
        )
    permuted = permute_classes({k: v for k, v in state.items() if hasattr(v, 'ndim')}, order)
    state.update(permuted)
    return f"its classes ({', '.join(have)}) are brought to the model's order"


def _same_classes(have: Sequence[str], lists: Sequence[Sequence[str]]) -> bool:
    try:
        class_order(have, *lists)
    except ClassOrderError:
        return False
    return True


def _start_afresh(
    state: dict[str, Any], target: Mapping[str, Tensor], have: Sequence[str] | None, want: Sequence[str]
) -> str:
    """Take the class layers out of a state dict, and whatever has another shape than in the model; says which."""
    dropped = []
    for key in list(state):
        name = str(key).removeprefix('module.')
        if name not in target or not hasattr(state[key], 'shape'):
            continue
        box = _BOX_LAYERS.search(name) and len(target[name]) > 4
        of_classes = (_CLASS_LAYERS.search(name) or box) and 'rpn_head.' not in name
        if of_classes or state[key].shape != target[name].shape:
            del state[key]
            dropped.append(name)
    layers = list(dict.fromkeys(name.rpartition('.')[0] for name in dropped))
    old = 'has no names of classes' if have is None else f'is for {", ".join(have)}'
    return (
        f'it {old}; for {", ".join(want)} all is loaded but {len(layers)} layers, which start afresh: '
        f'{", ".join(layers)}'
    )
