"""``mmroad COMMAND``: the dispatcher, its help and its errors."""

import subprocess
import sys

import pytest

from mmroad.commands import COMMANDS, Parser, _find, main

NAMES = [name for group in COMMANDS.values() for name in group]


def test_every_command_has_help_without_a_framework():
    code = (
        'import sys\nfrom mmroad.commands import main\n'
        f'for name in {NAMES!r}:\n'
        '    try: main([*name.split(), "--help"])\n'
        '    except SystemExit as e: assert not e.code, name\n'
        'print({"torch", "mmengine", "mmdet", "mmseg", "cv2", "numpy", "matplotlib"} & set(sys.modules))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith('set()')
    for name in NAMES:
        assert f'usage: mmroad {name} ' in done.stdout, name


def test_the_overview_lists_every_command(capsys):
    main([])
    printed = capsys.readouterr().out
    assert all(f'  {name} ' in printed for name in NAMES)
    main(['--version'])
    assert capsys.readouterr().out.startswith('mmroad 0.')


@pytest.mark.parametrize(
    ('typed', 'said'),
    [
        (['trian'], "no command 'trian'; did you mean train"),
        (['data', 'road'], "no command 'data road'; did you mean data road-scenes"),
        (['zzzz'], '`mmroad --help` lists them'),
    ],
)
def test_an_unknown_command_names_those_that_are_near(typed, said, capsys):
    with pytest.raises(SystemExit) as end:
        main(typed)
    assert end.value.code == 2 and said in capsys.readouterr().err


def test_models_are_listed_by_a_part_of_their_names(capsys):
    main(['list', 'convnext-b'])
    printed = capsys.readouterr().out
    assert 'upernet_convnext-b_fp16_512x1024_80k_sem_seg_bdd100k ' in printed and ' r50' not in printed
    main(['list', '*convnext-b*'])
    assert capsys.readouterr().out == printed
    with pytest.raises(SystemExit, match=r"no model is called '\*convnext': mmroad list names all"):
        main(['list', '*convnext'])


def test_a_group_lists_its_commands(capsys):
    with pytest.raises(SystemExit) as end:
        main(['data', '--help'])
    printed = capsys.readouterr().out
    assert not end.value.code and 'data road-scenes' in printed and 'train a model' not in printed


def test_words_after_a_command_are_its_arguments():
    assert _find(['data', 'road-scenes', '--out', 'x']) == ('data road-scenes', ['--out', 'x'])
    assert _find(['list', '*r50*']) == ('list', ['*r50*'])


def test_an_unknown_option_names_the_nearest(capsys):
    parser = Parser(prog='mmroad x')
    parser.add_argument('--threshold')
    with pytest.raises(SystemExit):
        parser.parse_args(['--treshold', '0.5'])
    assert 'did you mean --threshold?' in capsys.readouterr().err


def test_a_mistake_is_one_line_and_debug_shows_where(tmp_path):
    missing = str(tmp_path / 'none.pth')
    command = ['convert', 'imagenet', missing, str(tmp_path / 'o.pth'), '--config', 'retinanet_r50']
    with pytest.raises(
        SystemExit, match='mmroad convert: no model is named .retinanet_r50.; near: retinanet_r50'
    ):
        main(command)
    with pytest.raises(KeyError, match='no model is named'):
        main([*command, '--debug'])
