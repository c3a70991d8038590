"""Several methods on several data sets: each image is inferred once for all scores of a model, and what is there from
an earlier run is taken again where nothing changed."""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..files import read_image, write_bytes, write_json
from ..files.json_files import read_json
from ..files.replacing import own_name, remove_dead_parts
from .found_sets import FoundSet
from .io import find_map, map_names
from .layouts import LAYOUTS
from .report import FolderScores, plain, write

#: Data sets whose official metrics are SMIYC's, or ISSU's, and the track.
TRACKS = dict(smiyc_anomaly='anomaly', smiyc_obstacle='obstacle') | {
    layout: 'issu' for layout in LAYOUTS if layout.startswith('issu')
}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Method:
    """A model with its weights, or a folder of maps."""

    name: str
    config: str = ''  #: of a model
    weights: str = ''
    maps: Path | None = None

    def folder_of(self, found: FoundSet, only: bool) -> Path:
        """Where the maps of a data set lie: in the subfolder of its name, or of one set alone in the folder."""
        assert self.maps is not None
        below = self.maps / found.name.replace('/', '+')
        return self.maps if only and not below.is_dir() else below


def methods_of(items: Sequence[str]) -> list[Method]:
    """Methods of ``CONFIG=WEIGHTS`` (a model), ``NAME=FOLDER`` or ``FOLDER`` (saved maps).

    Raises:
        FileNotFoundError: A folder or weights are not there.
        ValueError: Two methods of one name, or a text of another form.
    """
    methods: list[Method] = []
    for item in items:
        left, sign, right = _split(item)
        if Path(right).is_dir():
            methods.append(Method(left or Path(right).resolve().name, maps=Path(right)))
        elif not sign:
            raise FileNotFoundError(f'{item}: no such folder of maps; a model is given as NAME=CHECKPOINT')
        elif right not in ('published', 'none') and '://' not in right and not Path(right).is_file():
            raise FileNotFoundError(f'{right}: no such checkpoint or folder of maps')
        else:
            methods.append(Method(Path(left).stem, left, right))
    names = [method.name for method in methods]
    for i, method in enumerate(methods):
        if names.count(method.name) > 1 and method.config:  # one config with several checkpoints
            methods[i] = Method(f'{method.name} {Path(method.weights).stem}', method.config, method.weights)
    names = [method.name for method in methods]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f'two methods are called {twice[0]!r}: tell folders apart by NAME=FOLDER')
    if odd := [name for name in names if '/' in name or name.startswith('.')]:
        raise ValueError(
            f'{odd[0]!r}: the name of a method is a folder too, and has no "/" and no dot in front'
        )
    return methods


def _split(item: str) -> tuple[str, str, str]:
    """``NAME=PATH`` in its parts; a path may have "=" too, and is what is there, the longest first."""
    parts = item.split('=')
    cuts = [('='.join(parts[:i]), '=' if i else '', '='.join(parts[i:])) for i in range(len(parts))]
    return next((cut for cut in cuts if Path(cut[2]).exists()), item.rpartition('='))


@dataclass
class Benchmark:
    """Runs methods on data sets and keeps what it finds below a folder.

    Args:
        out: ``results/DATASET/METHOD/SCORE/{data.json,images.csv,curves.png}`` are written below it.
        scores: Other scores than those of each model's config; a model computes those that it has.
        inferencer: Makes the inferencer of a config and weights (``mmroad.inferencer``).
        settings: What else the models' results depend on (such as bfloat16): another value is another result.
        keep_maps: Keep the maps, ``maps/DATASET/METHOD/SCORE/NAME.npy``; else they are removed once they are scored.
        say: Told what is done.
    """

    out: Path
    scores: Sequence[str] | None = None
    inferencer: Callable[[str, str], Any] | None = None
    settings: Any = None
    keep_maps: bool = False
    say: Say = print
    left_out: list[str] = field(default_factory=list)  #: what could not be done, and why
    _loaded: tuple[Method, Any] | None = field(default=None, init=False)  #: the model that was used last

    def run(
        self, methods: Sequence[Method], sets: Sequence[FoundSet], processes: int = 1
    ) -> list[dict[str, Any]]:
        """Results of all methods on all data sets, those of a data set together; what fails is left out.

        Args:
            processes: So many work at once, each on one method and data set (``inferencer`` and ``say`` are then
                pickled).
        """
        results: dict[str, list[dict[str, Any]]] = {found.name: [] for found in sets}
        usable = [found for found in sets if found.pairs]
        self.left_out += [f'{found.name}: {found.note}' for found in sets if not found.pairs]
        tasks = [(method, found, len(usable) == 1) for method in methods for found in usable]
        for (_, found, _), (own, why) in zip(tasks, self._outcomes(tasks, processes), strict=True):
            results[found.name] += own
            self.left_out += [why] if why else []
        found_results = [result for found in sets for result in results[found.name]]
        for result in found_results:
            if note := (result.get('smiyc') or {}).get('note'):
                self.left_out.append(f'{result["method"]} on {result["dataset"]}: {note}')
        if any(method.config for method in methods):
            computed = {result['score'] for result in found_results}
            self.left_out += [f'no model computes {s!r}' for s in self.scores or () if s not in computed]
        return found_results

    def _outcomes(self, tasks: Sequence[Task], processes: int) -> Iterator[Outcome]:
        if processes == 1:
            yield from (self.one(*task) for task in tasks)
            return
        context = multiprocessing.get_context('spawn')  # a process that has used a GPU cannot be forked
        number = context.Value('i', 0)
        with ProcessPoolExecutor(processes, context, _start, (self, number, processes)) as pool:
            for task, future in [(task, pool.submit(_work, task)) for task in tasks]:
                try:
                    yield future.result()
                except BrokenProcessPool:
                    yield (
                        [],
                        f'{task[0].name} on {task[1].name}: its process was killed; fewer need less memory',
                    )

    def one(self, method: Method, found: FoundSet, only: bool) -> Outcome:
        """A method's results on a data set, or why there are none.

        Args:
            only: There is one data set, whose maps may lie in the method's folder itself.
        """
        try:
            if method.maps is not None:
                return self._saved(method, found, only), ''
            stamp = self._stamp_of_model(method, found)
            if kept := self._kept(method, found, stamp):
                return kept, ''
            if self._loaded is None or self._loaded[0] != method:
                self._loaded = None  # its memory is free before the next is made
                self._loaded = method, self._model(method)
            return self._infer(self._loaded[1], method, found, stamp), ''
        except (OSError, ValueError, KeyError) as error:
            text = error.args[0] if isinstance(error, KeyError) and error.args else error
            return [], f'{method.name} on {found.name}: {text}'

    def maps_of(self, method: Method, found: FoundSet, score: str, only: bool) -> Path:
        """The folder of a result's maps; of a model, where they are kept."""
        if method.maps is None:
            return self._maps(found, method) / score
        folder = method.folder_of(found, only)
        return folder if map_names(folder) else folder / score

    def _maps(self, found: FoundSet, method: Method) -> Path:
        return self.out / 'maps' / found.name.replace('/', '+') / method.name

    def _place(self, found: FoundSet, method: Method, score: str = '') -> Path:
        return self.out / 'results' / found.name.replace('/', '+') / method.name / score

    def _kept(self, method: Method, found: FoundSet, stamp: str) -> list[dict[str, Any]]:
        """Results of an earlier run, where all are of this stamp; else none."""
        files = sorted(self._place(found, method).glob('*/data.json'))
        try:
            results = [read_json(file, dict[str, Any]) for file in files]
        except ValueError as error:
            self.say(f'{method.name} on {found.name}: {error}; done again')
            return []
        wanted = [result for result in results if result.get('stamp') == stamp]
        if not wanted or any(
            set(result['scores_of_run']) - {r['score'] for r in wanted} for result in wanted
        ):
            if files:
                self.say(
                    f'{method.name} on {found.name}: something changed since the last run, or it was stopped'
                )
            return []
        if self.keep_maps and method.config:
            if any(not self.maps_of(method, found, r['score'], False).is_dir() for r in wanted):
                self.say(f'{method.name} on {found.name}: the maps of the last run were not kept')
                return []
        self.say(f'{method.name} on {found.name}: kept from an earlier run')
        order = wanted[0]['scores_of_run']
        return sorted(wanted, key=lambda result: order.index(result['score']))

    def _stamp_of_model(self, method: Method, found: FoundSet) -> str:
        """What a model's result depends on: config and checkpoint, the set's files and the scores."""
        from ..zoo.configs import get_config

        weights = Path(method.weights)
        content = [
            get_config(method.config).pretty_text,
            method.weights,
            _identity([weights]),
            self.scores,
            self.settings,
        ]
        return _digest([*content, _identity(_files(found))])

    def _model(self, method: Method):
        if self.inferencer is None:
            raise ValueError('no inferencer: only saved maps can be scored')
        model = self.inferencer(method.config, method.weights)
        if getattr(model, 'kind', None) != 'anomaly':
            raise ValueError(
                f'{method.config} is no model of anomaly segmentation (configs/rba, configs/abet)'
            )
        if self.scores:
            model.model.set_scores(self._scores_of(model.model, method))
        return model

    def _scores_of(self, model, method: Method) -> list[str]:
        """Those of the scores that a model computes."""
        known = []
        for score in self.scores or ():
            try:
                model.set_scores([score])
                known.append(score)
            except KeyError as error:
                why = error.args[0]
                self.say(f'{method.name}: {why}')
        if not known:
            raise KeyError(f'{method.config} computes none of {", ".join(self.scores or ())}: {why}')
        return known

    def _infer(self, model, method: Method, found: FoundSet, stamp: str) -> list[dict[str, Any]]:
        """Maps of every score, each image inferred once, and their scores."""
        folder = self._maps(found, method)
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_dead_parts(folder.parent)
        part = folder.parent / own_name(method.name)
        names: list[str] = []
        try:
            for number, (path, _) in enumerate(found.pairs):
                maps = named_maps(model, read_image(path), path.name)
                names = list(maps)
                for score, values in maps.items():
                    _write_map(part / score / f'{path.stem}.npy', values)
                self.say(f'\r{method.name} on {found.name}: {number + 1} of {len(found.pairs)} images')
            results = [self._score(part / score, method, found, score, names, stamp) for score in names]
            if self.keep_maps:
                if folder.exists():
                    shutil.rmtree(folder)
                part.rename(folder)
            return results
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _saved(self, method: Method, found: FoundSet, only: bool) -> list[dict[str, Any]]:
        """The scores of saved maps: of a folder, or of each of its subfolders."""
        folder = method.folder_of(found, only)
        if not folder.is_dir():
            raise FileNotFoundError(f'{folder}: no such folder of maps')
        below = {p.name: p for p in sorted(folder.iterdir()) if p.is_dir() and map_names(p)}
        folders = {'saved': folder} if map_names(folder) else below
        if not folders:
            raise FileNotFoundError(f'{folder}: no anomaly maps in it or in its subfolders')
        maps = [find_map(path, image.stem) for path in folders.values() for image, _ in found.pairs]
        stamp = _digest([_identity(maps), _identity(_files(found))])
        if kept := self._kept(method, found, stamp):
            return kept
        self.say(f'{method.name} on {found.name}: {len(found.pairs)} images')
        return [
            self._score(path, method, found, name, list(folders), stamp) for name, path in folders.items()
        ]

    def _score(
        self, maps: Path, method: Method, found: FoundSet, score: str, names: list[str], stamp: str
    ) -> dict[str, Any]:
        scored = FolderScores(found.pairs, found.layout, maps, TRACKS.get(found.layout))
        if scored.scores.note:
            raise ValueError(scored.scores.note)
        result = plain(scored.scores.summary()) | scored.data()
        place = self._place(found, method, score)
        write(place, result)  # without a stamp: not taken by a later run
        result |= dict(dataset=found.name, layout=found.layout, method=method.name, score=score)
        result |= dict(number_of_images=len(found.pairs), scores_of_run=names, stamp=stamp)
        write_json(place / 'data.json', result, indent=1)
        return result


#: A method, a data set and whether it is the only one; what came of it, or why nothing did.
Task = tuple[Method, FoundSet, bool]
Outcome = tuple[list[dict[str, Any]], str]
_own: list[Benchmark] = []  #: of a process that works for another


def _start(benchmark: Benchmark, number: Any, processes: int) -> None:
    """Prepare a process: its share of the processor's cores, and a GPU of its own where there are several."""
    import torch

    with number.get_lock():
        place = number.value
        number.value += 1
    torch.set_num_threads(max(1, torch.get_num_threads() // processes))
    if torch.cuda.is_available():
        torch.cuda.set_device(place % torch.cuda.device_count())
    _own.append(benchmark)


def _work(task: Task) -> Outcome:
    return _own[0].one(*task)


def named_maps(model, image: np.ndarray, name: str) -> dict[str, np.ndarray]:
    """The anomaly maps (H, W) float32 of an image, by the names of the model's scores, in one pass.

    Raises:
        ValueError: A score is not finite, or the model computes none.
    """
    (sample,) = model.forward([model.prepare(image, name)])
    if 'anomaly_map' not in sample:
        raise ValueError(f'{name}: the model computes no anomaly score (--scores names some)')
    values = {key: value for key, value in sample.anomaly_map.items() if key != 'data'}
    if not values:
        values = {model.model.anomaly_score.__name__: sample.anomaly_map.data}
    maps = {key: value[0].float().cpu().numpy() for key, value in values.items()}
    if wrong := [key for key, value in maps.items() if not np.isfinite(value).all()]:
        raise ValueError(f'{name}: the score {wrong[0]} is not finite; did training diverge?')
    return maps


def _write_map(path: Path, values: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.save(buffer, values)
    write_bytes(path, buffer.getbuffer())


def _files(found: FoundSet) -> list[Path]:
    return [path for pair in found.pairs for path in pair if path is not None]


def _identity(paths: Sequence[Path]) -> list:
    """Names, sizes and times of files; of one that is none its name."""
    found: list = []
    for path in paths:
        try:
            stat = path.stat()
            found.append((str(path.resolve()), stat.st_size, stat.st_mtime_ns))
        except OSError:
            found.append(str(path))
    return found


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
