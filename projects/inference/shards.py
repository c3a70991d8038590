"""A run over many images in parts, each of which is done whole or not at all.

``OUT/results/shard-00000.jsonl`` holds one Scalabel frame a line (`Result.to_scalabel`) for the images of a shard that
could be used, ``OUT/left_out/shard-00000.json`` the others' names and why; ``OUT/run.json`` says which images and which
model. A shard whose results are there is done: a run that was interrupted goes on with the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ..files import replacing, write_json
from ..files.json_files import read_json
from ..files.sources import Item, Source

if TYPE_CHECKING:
    from .base import Inferencer


class Shard(NamedTuple):
    """A part of a run."""

    number: int
    items: list[Item]
    results: Path  #: the file that is there when the shard is done
    left_out: Path

    @property
    def done(self) -> bool:
        """Whether its results are there."""
        return self.results.is_file()


def make_shards(source: Source, out_dir: str | Path, size: int, model: dict[str, Any]) -> list[Shard]:
    """The parts of a run, and ``run.json`` with what the run is of.

    Args:
        source: Images alone.
        out_dir: The output folder.
        size: Images a shard.
        model: What decides the results: config, checkpoint, options.

    Raises:
        ValueError: A video, a size below 1, or results of another run in the folder; names what differs.
    """
    if size < 1:
        raise ValueError(f'a shard holds at least 1 image, not {size}')
    if videos := [item.path for item in source.items if item.is_video]:
        raise ValueError(f'{videos[0]} is a video: shards are made of images; run videos without an engine')
    out = Path(out_dir)
    run = dict(model=model, shard_size=size, base=str(source.base.absolute()))
    run['images'] = [item.name for item in source.items]
    run = msgspec.json.decode(msgspec.json.encode(run))
    place = out / 'run.json'
    if place.exists():
        before = read_json(place, dict, 'what a run is of')
        if differs := [key for key in run if run[key] != before.get(key)]:
            raise ValueError(
                f'{place}: the results in this folder are of another run, with other {" and ".join(differs)}: '
                'give another folder, or the same source and options'
            )
    else:
        out.mkdir(parents=True, exist_ok=True)
        write_json(place, run)
    for name in ('results', 'left_out'):
        (out / name).mkdir(exist_ok=True)
    shards = []
    for number, start in enumerate(range(0, len(source.items), size)):
        name = f'shard-{number:05}'
        places = out / 'results' / f'{name}.jsonl', out / 'left_out' / f'{name}.json'
        shards.append(Shard(number, source.items[start : start + size], *places))
    return shards


def run_shard(inferencer: Inferencer, shard: Shard, batch_size: int = 1, workers: int | None = None) -> int:
    """Run a model over a shard's images and write its files, the results last.

    Returns:
        How many images were left out.
    """
    source = Source(shard.items, shard.items[0].path.parent, f'shard {shard.number}')
    run = inferencer.run(source, progress=False, batch_size=batch_size, workers=workers)
    with replacing(shard.results) as part:
        with part.open('wb') as file:
            for result in run:
                file.write(msgspec.json.encode(result.to_scalabel()) + b'\n')
        write_json(shard.left_out, run.left_out)
    return len(run.left_out)


def left_out_of(shards: Sequence[Shard]) -> dict[str, str]:
    """Names and reasons of the images that the shards left out."""
    found: dict[str, str] = {}
    for shard in shards:
        if shard.done:
            found |= read_json(shard.left_out, dict[str, str], 'names and reasons')
    return found
