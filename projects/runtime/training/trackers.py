"""Where a training's numbers and pictures go besides its own folder: TensorBoard, Weights & Biases, MLflow, ..."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from mmengine.config import Config


class Tracker(NamedTuple):
    """A tracker of mmengine's."""

    backend: str  #: the class of its visualization backend
    package: str  #: what Python imports
    install: str  #: what pip installs


TRACKERS = {
    'tensorboard': Tracker('TensorboardVisBackend', 'tensorboard', 'tensorboard'),
    'wandb': Tracker(
        'WandbVisBackend', 'wandb', 'wandb<0.19'
    ),  # later ones need pydantic 2, scalabel pydantic 1
    'mlflow': Tracker('MLflowVisBackend', 'mlflow', 'mlflow<3'),  # as above
    'clearml': Tracker('ClearMLVisBackend', 'clearml', 'clearml'),
    'neptune': Tracker('NeptuneVisBackend', 'neptune', 'neptune'),
    'dvclive': Tracker('DVCLiveVisBackend', 'dvclive', 'dvclive'),
    'aim': Tracker('AimVisBackend', 'aim', 'aim'),
}
PROJECT = 'mmroad'


def check_trackers(names: Sequence[str]) -> None:
    """See that the trackers can be had.

    Raises:
        ValueError: There is no such tracker.
        ImportError: It is not installed; names all packages that are missing.
    """
    for name in names:
        if name not in TRACKERS:
            raise ValueError(f'no tracker is called {name!r}; there are {", ".join(TRACKERS)}')
    missing, reasons = [], []
    for name in dict.fromkeys(names):
        try:
            import_module(TRACKERS[name].package)
        except ImportError as error:
            missing.append(f'"{TRACKERS[name].install}"')
            reasons.append(str(error))
    if missing:
        raise ImportError(
            f'--tracker {" ".join(names)} needs what cannot be imported here ({"; ".join(reasons)}): '
            f'pip install {" ".join(missing)}'
        )


def add_trackers(cfg: Config, names: Sequence[str]) -> None:
    """Let a run's visualizer tell trackers all that it draws and logs, besides where it does so already.

    Args:
        cfg: Changed in place; a tracker that its visualizer has already keeps its settings.
        names: Keys of `TRACKERS`.

    Raises:
        ValueError, ImportError: As `check_trackers`.
    """
    check_trackers(names)
    visualizer = cfg.get('visualizer') or dict(type='Visualizer')
    backends = list(visualizer.get('vis_backends') or [dict(type='LocalVisBackend')])
    there = {str(backend['type']).rpartition('.')[2] for backend in backends}
    for name in dict.fromkeys(names):
        if TRACKERS[name].backend not in there:
            backends.append(dict(type=TRACKERS[name].backend, **_settings(name, Path(cfg.work_dir).name)))
    visualizer['vis_backends'] = backends
    cfg.visualizer = visualizer


def _settings(name: str, run: str) -> dict[str, Any]:
    """What a run is called there: a project or experiment of this package, and the work folder's name."""
    if name == 'wandb':
        return dict(init_kwargs=dict(project=PROJECT, name=run))
    if name == 'mlflow':
        return dict(exp_name=PROJECT, run_name=run)
    if name == 'clearml':
        return dict(init_kwargs=dict(project_name=PROJECT, task_name=run))
    if name == 'aim':
        return dict(init_kwargs=dict(experiment=PROJECT))
    return {}
