"""The example notebooks run from top to bottom."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / 'examples'


def execute(notebook):
    nbclient = pytest.importorskip('nbclient')
    nbclient.NotebookClient(notebook, timeout=1200, resources=dict(metadata=dict(path=str(FOLDER)))).execute()
    return '\n'.join(out.get('text', '') for cell in notebook.cells for out in cell.get('outputs', ()))


def read():
    nbformat = pytest.importorskip('nbformat')
    notebook = nbformat.read(FOLDER / 'own_data.ipynb', as_version=4)
    nbformat.validate(notebook)
    return notebook


def test_the_notebook_reads_checks_and_converts():
    notebook = read()
    end = next(i for i, cell in enumerate(notebook.cells) if cell.source.startswith('## Train'))
    notebook.cells = notebook.cells[:end]
    said = execute(notebook)
    assert 'forklift' in said and 'not kept' not in said and '0 0.' in said
    pictures = [
        o for cell in notebook.cells for o in cell.get('outputs', ()) if 'image/png' in o.get('data', {})
    ]
    assert len(pictures) == 1


@pytest.mark.slow
def test_the_whole_notebook_runs():
    notebook = read()
    for cell in notebook.cells:
        cell.source = cell.source.replace('EPOCHS = 30', 'EPOCHS = 10')
    said = execute(notebook)
    ap50 = float(re.search(r'OVERALL +[\d.]+ +([\d.]+)', said)[1])
    assert ap50 > 20  # 30 epochs reach about 100
