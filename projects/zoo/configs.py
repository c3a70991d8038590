"""The models by name: their configs and metafile entries."""

from __future__ import annotations

import fnmatch
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmengine.config import Config


def configs_folder() -> Path:
    """Where the configs are: beside ``projects`` in a checkout, inside the package in a wheel."""
    here = Path(__file__).resolve().parents[1]
    for folder in (here.parent / 'configs', here / 'configs'):
        if (folder / '_base_').is_dir():
            return folder
    raise FileNotFoundError(f'no configs beside or inside {here}: the installation is incomplete')


@functools.cache
def _models() -> dict[str, dict[str, Any]]:
    import yaml

    models = {}
    for metafile in sorted(configs_folder().glob('*/metafile.yml')):
        for entry in yaml.safe_load(metafile.read_text(encoding='utf-8'))['Models']:
            models[entry['Name']] = {**entry, 'Path': configs_folder().parent / entry['Config']}
    return models


def list_models(pattern: str = '*') -> list[str]:
    """Names of the models that match a shell pattern, such as ``'*convnext*'``."""
    return [name for name in _models() if fnmatch.fnmatchcase(name.lower(), pattern.lower())]


def find_model(name: str) -> dict[str, Any]:
    """A model's metafile entry.

    Raises:
        KeyError: No model has that name; names those that are near.
    """
    name = Path(name).stem if name.endswith('.py') else name
    if name not in _models():
        import difflib

        near = difflib.get_close_matches(name, _models(), 5, 0.4)
        raise KeyError(
            f'no model is named {name!r}; near: {", ".join(near) or "none"} (mmroad.list_models() has all)'
        )
    return _models()[name]


def get_config(name: str) -> Config:
    """A model's config.

    Args:
        name: A model's name, or the path of a config file.
    """
    from mmengine.config import Config

    path = Path(name)
    if path.suffix == '.py' and path.is_file():
        return Config.fromfile(path)
    return Config.fromfile(find_model(name)['Path'])


def as_python(cfg: Config) -> str:
    """A config with all that it inherits, as the text of a Python file that gives the same values."""
    return cfg.pretty_text
