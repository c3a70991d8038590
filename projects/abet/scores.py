"""The scores that a segmentor computes while its full-resolution logits are at hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ..files.json_files import read_json

#: (logits (N, C, h, w), T (N, 1, h, w) or None) to a score (N, h, w), higher = more anomalous.
Score = Callable[[Tensor, 'Tensor | None'], Tensor]

NO_TEMPERATURE = 'the score godin is the temperature: the decode head has none'


def _abet(z: Tensor, t: Tensor | None) -> Tensor:
    return 1 - z.logsumexp(1) / z.shape[1]


def _entropy(z: Tensor, t: Tensor | None) -> Tensor:
    log_p = z.log_softmax(1)
    return -(log_p.exp() * log_p).sum(1) / math.log(z.shape[1])


def _msp(z: Tensor, t: Tensor | None) -> Tensor:
    return 1 - z.softmax(1).amax(1)


def _max_logit(z: Tensor, t: Tensor | None) -> Tensor:
    return 1 - z.amax(1) / 30


def _godin(z: Tensor, t: Tensor | None) -> Tensor:
    if t is None:
        raise ValueError(NO_TEMPERATURE)
    return t[:, 0]


def _sml(z: Tensor, t: Tensor | None, mean: Tensor, var: Tensor) -> Tensor:
    if len(mean) != z.shape[1]:
        raise ValueError(f"sml's statistics are of {len(mean)} classes, the logits of {z.shape[1]}")
    top, c = z.max(1)
    return 0.3 - 0.1 * (top - mean.to(z)[c]) / var.to(z)[c].sqrt()


#: Scores of the coldest and hottest color of a picture.
SCALES = dict(
    abet=(0.0, 0.85),
    entropy=(0.0, 1.0),
    msp=(0.0, 1.0),
    max_logit=(0.0, 1.0),
    godin=(0.0, 1.0),
    sml=(0.0, 1.0),
)
SCORES = dict(abet=_abet, entropy=_entropy, msp=_msp, max_logit=_max_logit, godin=_godin)


def build_scores(configs: Sequence[str | dict]) -> dict[str, Score]:
    """Scores by name, or as ``dict(type='sml', stats=FILE)`` with sml's class statistics.

    Raises:
        KeyError: No such score, or sml without its statistics.
        OSError, ValueError: The statistics cannot be read; names the file.
    """
    scores = {}
    for config in configs:
        config = dict(type=config) if isinstance(config, str) else dict(config)
        if config['type'] == 'sml':
            if 'stats' not in config:
                raise KeyError("sml needs dict(type='sml', stats=FILE) (mmroad scores sml)")
            scores['sml'] = partial(_sml, **_statistics(config['stats']))
        elif config['type'] in SCORES:
            scores[config['type']] = SCORES[config['type']]
        else:
            raise KeyError(f'unknown score {config["type"]!r}: {", ".join(SCORES)} or sml')
    return scores


def _statistics(path: str | Path) -> dict[str, Tensor]:
    """``mean`` and ``var`` (C,) of a file of sml_statistics.py."""
    wanted = f'{path}: not a file of mmroad scores sml'
    try:
        content = read_json(path)
        mean, var = (torch.tensor(content[key], dtype=torch.float32) for key in ('mean', 'var'))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{wanted} ({type(error).__name__}: {error})') from error
    if mean.ndim != 1 or mean.shape != var.shape or not ((var > 0) & mean.isfinite()).all():
        raise ValueError(f'{wanted}: mean and var must be one finite number a class, var above 0')
    return dict(mean=mean, var=var)
