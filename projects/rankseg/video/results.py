"""YouTube-VIS's result file."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path


def to_results(video_id: int, tracks: list[dict]) -> list[dict]:
    """A video's entries of ``results.json`` from its tracks (`TrackStitcher.finish`): categories count from 1,
    and every frame has a run-length code, empty masks too."""
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
    """Write ``results.json`` and ``results.zip``, which holds it and is what the server takes. Each is first
    written to a temporary file.

    Returns:
        The path of ``results.json``.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path, archive = folder / 'results.json', folder / 'results.zip'
    part = folder / '.results.json.part'
    part.write_text(json.dumps(results))
    os.replace(part, path)
    part = folder / '.results.zip.part'
    with zipfile.ZipFile(part, 'w', zipfile.ZIP_DEFLATED) as file:
        file.write(path, 'results.json')
    os.replace(part, archive)
    return path
