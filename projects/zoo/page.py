"""model_zoo.md, made from the metafiles: ``python -m mmroad.zoo.page``."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import yaml

from ..files import write_text
from .configs import configs_folder

HEAD = """# Model zoo

Made from the metafiles below `configs/` (`python -m mmroad.zoo.page`). Results are the **published** ones of
the original authors' weights unless a row says "measured". Parameters and multiply-adds (GMACs, one image,
the network alone) are computed from our models by `mmroad flops`.
"""
LINKS = ('Weights', 'Predictions', 'Scores')


def render() -> str:
    """The page's text."""
    parts = [HEAD]
    for metafile in sorted(configs_folder().glob('*/metafile.yml'), key=_order):
        content = yaml.safe_load(metafile.read_text(encoding='utf-8'))
        folder = metafile.parent.name
        parts.append(f'## {folder}\n\nSee [configs/{folder}](configs/{folder}/README.md).\n')
        papers = {c['Name']: c.get('Paper') for c in content.get('Collections') or []}
        for collection, models in groupby(content['Models'], key=lambda m: m.get('In Collection', '')):
            parts.append(_collection(collection, papers.get(collection), list(models)))
    return '\n'.join(parts)


def _order(metafile: Path) -> tuple[bool, str]:
    return metafile.parent.name != 'det', metafile.parent.name


def _collection(name: str, paper: dict | None, models: list[dict]) -> str:
    title = f'### {name}\n\n' + (f'[{paper["Title"]}]({paper["URL"]})\n\n' if paper else '')
    rows = ['| model | results | parameters | GMACs | files |', '|---|---|---|---|---|']
    for model in models:
        meta = model.get('Metadata') or {}
        files = ', '.join(f'[{key.lower()}]({model[key]})' for key in LINKS if model.get(key))
        rows.append(
            f'| [{model["Name"]}]({model["Config"]}) | {"<br>".join(map(_result, model.get("Results") or []))} '
            f'| {meta.get("Parameters", "")} | {meta.get("GMACs", "")} | {files} |'
        )
    return title + '\n'.join(rows) + '\n'


def _result(result: dict) -> str:
    numbers = ', '.join(f'{key} {value}' for key, value in result['Metrics'].items())
    source = result.get('Source', 'published')
    return f'{result["Dataset"]}: {numbers}' + ('' if source == 'published' else f' ({source})')


def main() -> None:
    path = configs_folder().parent / 'model_zoo.md'
    write_text(path, render())
    print(path)


if __name__ == '__main__':
    main()
