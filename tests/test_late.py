"""mmroad.zoo.late: packages that mmdet imports and few models use are imported when they are used."""

import ast
import functools
import importlib.util
import sys
from pathlib import Path

import pytest

from mmroad.zoo import late
from mmroad.zoo.when_imported import when_imported


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A package ``heavy_made`` with a module ``lines``, and a module ``light_made`` that takes names from it."""
    (tmp_path / 'heavy_made').mkdir()
    (tmp_path / 'heavy_made/__init__.py').write_text('')
    (tmp_path / 'heavy_made/lines.py').write_text(
        'class Line:\n    sides = 2\n\n\ndef twice(x):\n    return 2 * x\n'
    )
    (tmp_path / 'light_made.py').write_text(
        'import heavy_made.lines as lines\nfrom heavy_made.lines import Line, twice\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ('heavy_made', 'heavy_made.lines', 'light_made'):
        sys.modules.pop(name, None)


def wait():
    packages = ('heavy_made', 'heavy_made.lines')
    when_imported('light_made', around=functools.partial(late._names_for, packages))


def test_a_name_imports_its_package_when_it_is_used(made):
    wait()
    import light_made

    assert 'heavy_made' not in sys.modules and 'heavy_made.lines' not in sys.modules
    assert light_made.twice(4) == 8 and 'heavy_made.lines' in sys.modules
    import heavy_made.lines

    assert type(light_made.Line()) is heavy_made.lines.Line
    assert light_made.Line.sides == light_made.lines.Line.sides == 2
    with pytest.raises(AttributeError, match='corners'):
        _ = light_made.Line.corners


def test_what_is_imported_already_is_taken(made):
    import heavy_made.lines

    wait()
    import light_made

    assert light_made.Line is heavy_made.lines.Line and sys.modules['heavy_made.lines'] is heavy_made.lines


def test_what_is_not_installed_fails_as_without_it(made):
    for file in (made / 'heavy_made').iterdir():
        file.unlink()
    (made / 'heavy_made').rmdir()
    wait()
    with pytest.raises(ModuleNotFoundError, match='heavy_made'):
        import light_made  # noqa: F401


@pytest.mark.parametrize('module', late._LATE)
def test_mmdet_imports_them_there(module):
    """What is listed is what the installed mmdet imports, and nothing else of these packages."""
    packages = late._LATE[module]
    tree = ast.parse(Path(importlib.util.find_spec(module).origin).read_text())
    named = {
        name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [n.name for n in node.names])
        if name and name.split('.')[0] == packages[0]
    }
    parents = {'.'.join(name.split('.')[:n]) for name in named for n in range(1, name.count('.') + 2)}
    assert named and parents == set(packages)


def test_mmdets_names_work():
    from mmdet.datasets.transforms import generate_line, transforms
    from mmdet.models.dense_heads import paa_head

    assert len(generate_line.LineString([(0, 0), (3, 4)]).coords) == 2
    assert generate_line.iaa.Fliplr(1.0).p.value == 1
    assert paa_head.skm.GaussianMixture(2).n_components == 2
    assert callable(transforms.corrupt)
