"""Every command and every piece of Python in the documents is run, or at least taken by the program that it is for."""

import argparse
import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mmroad import commands

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / 'docs').rglob('*.md'), ROOT / 'README.md', ROOT / 'CONTRIBUTING.md'])
#: Pages whose commands run here; of the others they are parsed.
RUN = ['own_data.md', 'scores.md']
CHAIN = 'own_classes.md'


def blocks(page, language):
    return re.findall(rf'```{language}\n(.*?)```', page.read_text(encoding='utf-8'), re.DOTALL)


def lines(page):
    """The commands of a page, one a line; a comment behind one is none of it."""
    text = '\n'.join(blocks(page, 'bash')).replace('\\\n', ' ')
    return [
        line.split('  #')[0].strip() for line in text.split('\n') if line.strip() and not line.startswith('#')
    ]


def words(line):
    return [word for word in shlex.split(line) if not re.fullmatch(r'[A-Z_]+=\S*', word)]


def parsed(argv):
    """The command module and the arguments of an `mmroad` line."""
    name, rest = commands._find(argv)
    module = importlib.import_module('mmroad.commands.' + name.replace('-', '_').replace(' ', '.'))
    parser = argparse.ArgumentParser(prog=name)
    module.add_arguments(parser)
    args = parser.parse_args(rest)
    if hasattr(module, 'check'):
        module.check(parser, args)
    return name, args


EVERY = [(page.relative_to(ROOT).as_posix(), line) for page in PAGES for line in lines(page)]


def test_there_are_commands_and_links_lead_somewhere():
    assert len(EVERY) > 60 and len({page for page, _ in EVERY}) > 15
    for page in PAGES:
        for target in re.findall(r'\]\(([^)#\s]+)(?:#[^)]*)?\)', page.read_text(encoding='utf-8')):
            if '://' not in target:
                assert (page.parent / target).exists(), f'{page.name}: {target}'


@pytest.mark.parametrize(('page', 'line'), EVERY, ids=lambda value: value[:60])
def test_every_command_is_taken(page, line):
    program, *argv = words(line)
    if program == 'mmroad':
        parsed(argv)
    elif program in ('bash', 'python') and argv[0] != '-m' and '/' in argv[0]:
        assert (ROOT / argv[0]).is_file(), line


def run(line):
    with pytest.raises(SystemExit) as ended:
        commands.main(words(line)[1:])
        raise SystemExit(0)
    return ended.value.code


@pytest.mark.parametrize('name', RUN)
def test_cheap_commands_run(name, place, capsys):
    for line in lines(ROOT / 'docs' / name):
        assert run(line) in (0, None), f'{line}\n{capsys.readouterr().err}'
    said = capsys.readouterr()
    if name == 'scores.md':
        assert said.out.count('OVERALL') == 8 and 'left out' not in said.err
        assert set(re.findall(r'OVERALL +([\d.]+)', said.out)) == {'100.0'}


TRAIN = [
    (page, line) for page, line in EVERY if line.startswith('mmroad train ') and page.startswith('docs/')
]


@pytest.mark.parametrize(('page', 'line'), TRAIN, ids=lambda value: value[-60:])
def test_training_commands_write_their_configs(page, line, place, monkeypatch):
    from mmengine.config import Config

    from mmroad.labels.own import options
    from mmroad.labels.own.own_config import write_own_config
    from mmroad.zoo import weights

    monkeypatch.setattr(weights, 'published', lambda name: Path(name))
    _, args = parsed(words(line)[1:])
    if options.is_own(args):
        file, _ = write_own_config(args)
        cfg = Config.fromfile(file)
        assert cfg.train_dataloader.dataset and cfg.work_dir == str((place / args.work_dir).resolve())


@pytest.mark.slow
@pytest.mark.parametrize(
    ('page', 'line'), [(p, li) for p, li in TRAIN if '--data' in li], ids=lambda value: value[-60:]
)
def test_training_commands_train(page, line, place):
    """One epoch each, the quick start's detector in the place of R50's."""
    import torch

    import mmroad

    small = 'faster_rcnn_r18_fpn_quickstart'
    for file, model in (('data/coco_detector.pth', small), ('out/rba.pth', 'rba_small_1dl_road_scenes')):
        if file in line:
            torch.save(mmroad.init_model(model).state_dict(), file)
    argv = [re.sub(r'^faster_rcnn_r50_.*', small, word) for word in words(line)[1:]]
    subprocess.run(
        [sys.executable, '-m', 'mmroad', *argv, '--epochs', '1', '--work-dir', 'out/trained'], check=True
    )
    assert list((place / 'out/trained').glob('*_1.pth')) or list((place / 'out/trained').glob('iter_*.pth'))


def test_the_python_of_the_pages_runs(place):
    space = {}
    for code in blocks(ROOT / 'docs/python.md', 'python'):
        exec(compile(code, 'docs/python.md', 'exec'), space)
    assert space['scores'].summary()['AP50'] > 99.9 and not space['left_out'] and len(space['table']) == 55
    assert len(space['result'].to_scalabel()['labels']) == len(space['result'])
    assert len(list((place / 'out/pictures/pictures').iterdir())) == 12


def test_the_config_of_the_page_is_one(place):
    from mmdet.registry import DATASETS
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    from mmroad.zoo.configs import configs_folder

    (code,) = blocks(ROOT / 'docs' / CHAIN, 'python')
    (place / 'own.py').write_text(code.replace('./faster', str(configs_folder() / 'det/faster')))
    cfg = Config.fromfile(place / 'own.py')
    init_default_scope('mmdet')
    data = DATASETS.build(cfg.train_dataloader.dataset)
    assert len(data) == 12 and data.metainfo['classes'] == ('forklift', 'cone', 'person')


@pytest.mark.slow
def test_the_chain_of_a_training_runs(place):
    for line in lines(ROOT / 'docs' / CHAIN)[1:5]:
        argv = words(line.replace('epoch_334', 'epoch_1'))[1:]
        argv += ['--epochs', '1'] if '--val-split' in argv else []
        subprocess.run([sys.executable, '-m', 'mmroad', *argv], check=True)
    assert (place / 'out/found/det.json').is_file()
