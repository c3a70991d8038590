"""Predicting and converting: killed, at once, by several processes; the real programs on small models and data."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

import numpy as np
import torch
from children import Attempt, finish, fork, kill_when, leftovers, program, ranks_of
from torch import nn

import mmroad.converters
from mmroad.commands import main
from mmroad.files.images import read_image, write_image
from mmroad.road_scenes.write import write_dataset
from mmroad.zoo import weights
from mmroad.zoo.checkpoint import load_state_file

CONFIG = 'faster_rcnn_r18_fpn_quickstart'


def small_detector(folder: Path) -> Path:
    """Random weights of the quick start's detector."""
    torch.manual_seed(0)
    path = folder / 'weights.pth'
    if not path.exists():
        mmroad.__version__  # noqa: B018
        torch.save(dict(state_dict=mmroad.init_model(CONFIG, weights=None).state_dict()), path)
    return path


def contents(folder: Path) -> dict[str, str]:
    """The files of a folder, by digest."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }


class Job:
    """A program that writes into a folder.

    Args:
        run: The folder -> the program, as `fork` takes it; of one rank of several, the environment too.
        folder: Where this works.
    """

    def __init__(self, run: Callable[..., Callable[[], object]], folder: Path) -> None:
        self.run, self.folder, self.log = run, folder, folder / 'log'
        start = time.monotonic()
        if wrong := finish(fork(run(folder / 'whole'), self.log)):
            raise RuntimeError(f'{wrong}: {self.log.read_text()[-2000:]}')
        self.seconds = time.monotonic() - start
        self.whole = contents(folder / 'whole')

    def broken(self, out: Path, ends: list[str]) -> list[str]:
        """What is not as it is after a run that nobody disturbed."""
        found = [f'{end}: {self.log.read_text()[-800:]}' for end in ends if end]
        if not found and contents(out) != self.whole:
            found.append(f'{out} differs from an undisturbed run')
        found = found or leftovers(out.parent)
        if not found:
            shutil.rmtree(out.parent)
        return found

    def killed(self, rng: Random) -> Iterator[Attempt]:
        """Kill it at random moments, half of them while it writes; look at the files, and run it again."""
        number = 0
        while number := number + 1:
            out = self.folder / f'killed-{number}' / 'out'
            child = fork(self.run(out), self.log)
            seconds, writes = rng.random() * self.seconds, number % 2

            def writing(out: Path = out) -> bool:
                return next(out.parent.rglob('.*part-*'), None) is not None

            died = kill_when(child, writing if writes else lambda: False, 60 if writes else seconds)
            now = contents(out) if out.exists() else {}
            half = [
                f'{out}/{name} is half a file'
                for name, digest in now.items()
                if '/.' not in f'/{name}' and digest != self.whole.get(name)
            ]
            ends = [finish(fork(self.run(out), self.log))]
            kind = ('killed while it writes' if writes else 'killed') if died else 'ended before'
            yield Attempt(kind, half + self.broken(out, ends))

    def at_once(self, rng: Random) -> Iterator[Attempt]:
        """Two runs into one folder."""
        number = 0
        while number := number + 1:
            out = self.folder / f'twice-{number}' / 'out'
            children = []
            for _ in range(2):
                children.append(fork(self.run(out), self.log))
                time.sleep(rng.choice((0, rng.random() * self.seconds / 2)))
            yield Attempt('two runs at once', self.broken(out, [finish(child) for child in children]))

    def by_ranks(self, rng: Random) -> Iterator[Attempt]:
        """1 to 4 processes of one run."""
        while True:
            for number in (2, 3, 4, 1):
                out = self.folder / f'ranks-{number}-{rng.random()}' / 'out'
                children = [
                    fork(self.run(out, '--launcher', 'pytorch', **env), self.log) for env in ranks_of(number)
                ]
                yield Attempt(f'{number} ranks', self.broken(out, [finish(child) for child in children]))


def predicting(folder: Path) -> Job:
    write_dataset(folder / 'data', train=1, val=6, ood=1)
    model, data = small_detector(folder), folder / 'data'
    options = (
        f'test_dataloader.dataset.data_root={data}/',
        f'test_evaluator.ann_file={data}/labels/det_20/det_val.json',
        'test_dataloader.num_workers=0',
        'test_dataloader.persistent_workers=False',
    )

    def run(out: Path, *more: str, **env: object) -> Callable[[], object]:
        paths = ('--format-only', '--format-dir', out, '--work-dir', folder / 'work')
        return program('test.py', CONFIG, model, *paths, *more, '--cfg-options', *options, **env)

    return Job(run, folder)


def converting(folder: Path) -> Job:
    """A checkpoint of 16 MB, of a model that is one layer."""
    holder = nn.Module()
    holder.backbone = nn.Linear(2000, 2000)
    mmroad.converters.build = lambda config: holder
    torch.save(
        {key: torch.randn_like(value) for key, value in holder.backbone.state_dict().items()},
        folder / 'a.pth',
    )
    return Job(
        lambda out: partial(
            main, ['convert', 'imagenet', str(folder / 'a.pth'), str(out / 'b.pth'), '--config', 'any']
        ),
        folder,
    )


def drawing(folder: Path) -> Job:
    """A data set, which is a folder that appears whole."""
    small = ('--train', '2', '--val', '2', '--ood', '1')

    def run(out: Path) -> Callable[[], object]:
        def once() -> None:
            if not (out / 'data').exists():
                main(['data', 'road-scenes', '--out', str(out / 'data'), *small])

        return once

    return Job(run, folder)


def images_at_once(folder: Path, rng: Random) -> Iterator[Attempt]:
    """Four processes write one image and read it, which is one of theirs each time."""
    path = folder / 'street.png'

    def write(value: int) -> None:
        for _ in range(50):
            write_image(path, np.full((40, 60, 3), value, np.uint8))
            assert len(np.unique(read_image(path))) == 1

    while True:
        children = [fork(partial(write, value), folder / 'log') for value in range(4)]
        ends = [finish(child) for child in children]
        broken = [f'{end}: {(folder / "log").read_text()[-800:]}' for end in ends if end] + leftovers(folder)
        yield Attempt('images', broken, 200)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def empty_cache(folder: Path, rng: Random) -> Iterator[Attempt]:
    """2 to 4 processes want one published file that is not in the cache; in every second turn one is killed."""
    name, mirror = 'retinanet_r50_fpn_3x_det_bdd100k', folder / 'mirror'
    mirror.mkdir()
    torch.save(dict(state_dict=dict(w=torch.randn(2_000_000))), mirror / f'{name}.pth')
    content = (mirror / f'{name}.pth').read_bytes()
    (mirror / f'{name}.md5').write_text(hashlib.md5(content).hexdigest())
    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(_Quiet, directory=str(mirror)))
    serving = fork(server.serve_forever, folder / 'server')
    home = folder / 'home'

    def load() -> None:
        weights._bar = lambda name: lambda done, total: None
        path = weights.published(name)
        load_state_file(path)
        assert path.read_bytes() == content

    os.environ.update(MMROAD_HOME=str(home), MMROAD_MIRROR=f'http://127.0.0.1:{server.server_port}')
    try:
        number = 1
        while number := number + 1:
            children = [fork(load, folder / 'log') for _ in range(2 + number % 3)]
            dies = number % 2 and kill_when(children.pop(0), lambda: False, rng.random() * 0.1)
            ends = [finish(child, 60) for child in children]
            broken = [f'{end}: {(folder / "log").read_text()[-800:]}' for end in ends if end] + leftovers(
                home
            )
            yield Attempt(f'{2 + number % 3} processes{", one killed" if dies else ""}', broken)
            shutil.rmtree(home)
    finally:
        del os.environ['MMROAD_HOME'], os.environ['MMROAD_MIRROR']
        os.kill(serving, 9)
        os.waitpid(serving, 0)
        server.server_close()


def odd_images(folder: Path, rng: Random) -> Iterator[Attempt]:
    """A folder with images that cannot be: the run goes on, names them at its end and exits 1."""
    from mutants import mutated, odd_pictures

    model = small_detector(folder)
    write_dataset(folder / 'data', train=1, val=2, ood=1)
    good = {path.name: path.read_bytes() for path in (folder / 'data/images/100k/val').iterdir()}
    number = 0
    while number := number + 1:
        source, out = folder / f'source-{number}', folder / f'out-{number}'
        source.mkdir()
        given = dict(good) | odd_pictures()
        given |= {f'mutated-{i}.jpg': mutated(next(iter(good.values())), rng) for i in range(6)}
        for name, content in given.items():
            (source / name).write_bytes(content)
        log = folder / f'log-{number}'
        end = finish(fork(partial(main, ['infer', CONFIG, str(model), str(source), '--out', str(out)]), log))
        said, broken = log.read_text(), []
        names = {frame['name'] for frame in json.loads((out / 'det.json').read_text())['frames']}
        broken += [f'{name} is missing' for name in good if name not in names]
        broken += [
            f'{name} is neither predicted nor named'
            for name in given
            if name not in names and name not in said
        ]
        if end != ('exit code 1' if names < given.keys() else '') or 'Traceback' in said:
            broken.append(f'{end or "exit code 0"}: {said[-800:]}')
        yield Attempt('images', broken, len(given) - len(good))
