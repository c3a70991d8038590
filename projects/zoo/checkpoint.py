"""Reading checkpoints without running what is in them, and loading them into models strictly."""

from __future__ import annotations

import contextlib
import pickle
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .class_order import ClassOrderError, follow_classes
from .file_kind import LEGACY_TORCH, PICKLE, SAFETENSORS, TORCH, kind_of, problem_of, read_head
from .unpickling import NumpyUnpickler, safe_globals


class CheckpointError(ValueError):
    """A checkpoint cannot be read safely, or does not fit; the message says what to do."""


class KeysError(CheckpointError):
    """A checkpoint's keys are not the model's.

    Attributes:
        state: The checkpoint's flat state dict.
    """

    def __init__(self, message: str, state: Mapping[str, Tensor]) -> None:
        super().__init__(message)
        self.state = state


def load_state_file(path: str | Path, *, trust: bool = False) -> Mapping[str, Any]:
    """What a checkpoint file holds, by names; see `load_content`.

    Raises:
        FileNotFoundError, CheckpointError: As `load_content`, or it holds something else than names with values.
    """
    content = load_content(path, trust=trust)
    if not isinstance(content, Mapping):
        raise CheckpointError(f'{path} holds a {type(content).__name__}, not weights by their names.')
    return content


def load_content(path: str | Path, *, trust: bool = False) -> Any:
    """What a file of PyTorch, pickle or safetensors holds, tensors on the CPU.

    The content says how a file is read, whatever its name: files of ``torch.save`` weights-only (with numpy's
    scalars and arrays, which old training meta data has), once their checksums are right; other pickles through
    an unpickler that knows numpy arrays and nothing else; safetensors as they are. No code from the file is run.

    Args:
        path: The file.
        trust: Unpickle anything: runs code that the file may hold. Only for files of your own.

    Raises:
        FileNotFoundError: No such file.
        CheckpointError: The file is none of weights (a web page, a pointer, an archive: it says which), is
            damaged or cut off, or holds objects besides weights (it names their classes).
    """
    path = Path(path)
    if not path.is_file():
        what = 'a folder, not a checkpoint:' if path.is_dir() else 'no checkpoint at'
        raise FileNotFoundError(f'{what} {path}')
    if problem := problem_of(path):
        raise CheckpointError(f'{path} {problem}.')
    kind = kind_of(read_head(path)) or ''  # never empty: `problem_of` has refused other files
    try:
        return _READERS[kind](path, trust)
    except pickle.UnpicklingError as error:
        refused = _refused_class(str(error))
        if refused is None:
            raise _unreadable(path, kind, error) from error
        raise CheckpointError(
            f'{path} is not weights alone: it holds an object of {refused}. Nothing in it was run. '
            'Ask whoever made it for a file of the state dict alone.'
        ) from error
    except Exception as error:  # whatever a reader meets in a damaged file, down to MemoryError
        raise _unreadable(path, kind, error) from error


def _unreadable(path: Path, kind: str, error: Exception) -> CheckpointError:
    text = str(error).partition('WeightsUnpickler error: ')[2] or str(error)
    reason = (text.strip() or type(error).__name__).splitlines()[0][:300]
    return CheckpointError(
        f'{path} ({kind}, {path.stat().st_size:,} bytes) cannot be read: {type(error).__name__}: {reason} '
        '(damaged, or cut off while downloading?)'
    )


def _refused_class(message: str) -> str | None:
    """The class or function that an unpickler refused, from its message."""
    if 'reduce for unrecognized function None' in message:
        return 'something reached by getattr'
    found = re.search(
        r'GLOBAL (\S+) was not|unsupported GLOBAL (\S+) whose|wants to load (\S+)|wants to (encode with \S+)'
        r'|reduce for unrecognized function (.+)|but got (<.+>)|imported to load (.+)',
        message,
    )
    return next(filter(None, found.groups())) if found else None


def _load_torch(path: Path, trust: bool) -> Any:
    with open(path, 'rb') as file:  # by a path that ends in .safetensors torch would read it as such
        if trust:
            return torch.load(file, map_location='cpu', weights_only=False)
        with _only_safe_globals():
            return torch.load(file, map_location='cpu', weights_only=True)


_LISTED = threading.Lock()  # torch has one list for all threads


@contextlib.contextmanager
def _only_safe_globals() -> Iterator[None]:
    """What `safe_globals` lists and nothing that other libraries have allowed in this process, such as
    mmengine's ``getattr``, from which any code can be reached."""
    with _LISTED:
        others = torch.serialization.get_safe_globals()
        torch.serialization.clear_safe_globals()
        try:
            torch.serialization.add_safe_globals(safe_globals())
            yield
        finally:
            torch.serialization.clear_safe_globals()
            torch.serialization.add_safe_globals(others)


def _load_pickle(path: Path, trust: bool) -> Any:
    with open(path, 'rb') as file:
        return (pickle.Unpickler if trust else NumpyUnpickler)(file, encoding='latin1').load()


def _load_safetensors(path: Path, trust: bool) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


_READERS = {
    TORCH: _load_torch,
    LEGACY_TORCH: _load_torch,
    PICKLE: _load_pickle,
    SAFETENSORS: _load_safetensors,
}


def state_dict_of(content: Mapping[str, Any], ema: bool = True) -> dict[str, Tensor]:
    """The flat state dict in a checkpoint of mmengine or mmcv 1.x.

    ``module.`` prefixes are dropped. Where an EMA hook of mmdet 2.x kept averaged weights
    (``ema_a_b`` for ``a.b``), those replace the others, as its evaluation did, unless ``ema`` is False.

    Raises:
        CheckpointError: There are no weights by their names, or two have one name.
    """
    found = content.get('state_dict', content.get('model', content))
    if not isinstance(found, Mapping):
        raise CheckpointError(f'its state dict is a {type(found).__name__}, not weights by their names')
    state: dict[str, Tensor] = {}
    for name, value in found.items():
        if not isinstance(value, Tensor):
            continue
        name = str(name).removeprefix('module.')
        if name in state:
            raise CheckpointError(f'it has {name} twice, with and without "module."')
        state[name] = value
    by_flat = {'ema_' + name.replace('.', '_'): name for name in state}
    averaged = {name: value for name, value in state.items() if name in by_flat}
    state = {name: value for name, value in state.items() if name not in averaged}
    return state | {by_flat[name]: value for name, value in averaged.items()} if ema else state


def load_checkpoint(
    model: nn.Module, path: str | Path, *, trust: bool = False, classes: Sequence[Sequence[str]] = ()
) -> dict[str, Any]:
    """Load a checkpoint into a model with nothing missing and nothing left over.

    Args:
        model: The model. Where it has ``adapt_checkpoint``, that gives published checkpoints its keys, in place.
        path: The checkpoint's file.
        trust: Unpickle anything in it (`load_state_file`).
        classes: The lists of classes that the model may have (`mmroad.zoo.models.model_classes`). Weights for the same
            classes in another order are brought to the model's (`mmroad.zoo.class_order`); empty compares nothing.

    Returns:
        The checkpoint's meta data; ``dataset_meta`` has the classes that the loaded model has.

    Raises:
        KeysError: Keys are missing, left over or of another shape; the message lists them.
        CheckpointError: The classes are others; the message lists them.
    """
    content = dict(load_state_file(path, trust=trust))
    if hasattr(model, 'adapt_checkpoint'):
        model.adapt_checkpoint(content)
    try:
        state = state_dict_of(content)
        if problems := compare_keys(state, model.state_dict()):
            raise KeysError(f'{path}: it does not fit this model:\n{problems}', state)
        state, names = follow_classes(content, state, classes)
    except KeysError:
        raise
    except (CheckpointError, ClassOrderError) as error:
        raise CheckpointError(f'{path}: {error}') from error
    model.load_state_dict(state, strict=False)  # buffers that a model derives itself may be absent
    meta = dict(content['meta']) if isinstance(content.get('meta'), Mapping) else {}
    if names is not None:
        newer = meta.get('dataset_meta')
        meta['dataset_meta'] = {**(newer if isinstance(newer, Mapping) else {}), 'classes': names}
    return meta


#: Buffers that models derive themselves and old checkpoints may lack.
DERIVED = ('num_batches_tracked', 'relative_position_index', 'integral.project')


def compare_keys(state: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> str:
    """What does not fit, one line a key (at most ten of a kind); empty where all does."""
    lines = []
    missing = [k for k in target if k not in state and not k.endswith(DERIVED)]
    left = [k for k in state if k not in target and not k.endswith(DERIVED)]
    shapes = [
        f'{k}: {tuple(state[k].shape)} in the file, {tuple(target[k].shape)} in the model'
        for k in state
        if k in target and state[k].shape != target[k].shape
    ]
    for what, keys in (('missing', missing), ('left over', left), ('of another shape', shapes)):
        if keys:
            lines.append(f'  {len(keys)} {what}: {", ".join(keys[:10])}{", ..." if len(keys) > 10 else ""}')
    return '\n'.join(lines)
