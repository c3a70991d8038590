"""YouTube-VIS's result file."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

from ...files import replacing, write_json


def to_results(video_id: Any, tracks: list[dict]) -> list[dict]:
    """A video's entries of ``results.json`` from its tracks (`TrackStitcher.finish`): categories count from 1,
    and every frame has a run-length code, empty masks too.

    Raises:
        ValueError: A score is not finite.
    """
    if wrong := [track['score'] for track in tracks if not math.isfinite(track['score'])]:
        raise ValueError(
            f'video {video_id}: {len(wrong)} tracks have a score of {wrong[0]}; did training diverge?'
        )
    return [
        dict(
            video_id=video_id,
            score=track['score'],
            category_id=track['label'] + 1,
            segmentations=track['segmentations'],
        )
        for track in tracks
    ]


def write_results(results: list[dict], folder: str | Path) -> Path:
    """Write ``results.json`` and ``results.zip``, which holds it and is what the server takes, by `replacing`.

    Returns:
        The path of ``results.json``.
    """
    path, archive = Path(folder) / 'results.json', Path(folder) / 'results.zip'
    write_json(path, results)
    with replacing(archive) as part, zipfile.ZipFile(part, 'w', zipfile.ZIP_DEFLATED) as file:
        file.write(path, 'results.json')
    return path
