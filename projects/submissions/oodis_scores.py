"""Scores of a submission to OoDIS against a ground truth of its form."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..anomaly.instances import Instance, Matched, average_precision, match
from ..files.json_files import read_json
from ..files.label_maps import read_label_map
from .files import Files
from .oodis import END, Box, list_line

#: Columns of COCO's box evaluation and what the benchmark calls them.
_BOXES = {0: 'AP', 1: 'AP50', 6: 'AR1', 7: 'AR10', 8: 'AR100'}


def instance_scores(submission: str | Path, truth: str | Path, dataset: str) -> dict[str, float]:
    """``AP`` and ``AP50``, 0 to 1, of a submission's instances (see `mmroad.anomaly.instances`).

    Args:
        submission: Folder or archive, as `mmroad.submissions.oodis.write_oodis` writes it.
        truth: Folder of ``NAME_instanceIds.png``.
        dataset: Which of the submission's data sets.

    Raises:
        FileNotFoundError, ValueError: A list or mask is missing, damaged or of another size; names it.
    """
    pictures = sorted(Path(truth).glob('[!.]*_instanceIds.png'))
    if not pictures:
        raise FileNotFoundError(f'{truth}: no NAME_instanceIds.png in this folder')
    files = Files(submission)
    there, images = set(files.names), []
    for picture in pictures:
        name = f'{dataset}/{picture.name.removesuffix("_instanceIds.png")}{END}'
        if name not in there:
            raise FileNotFoundError(f'{submission}: no {name}, the instances of {picture}')
        images.append(_matched(files, name, picture, there))
    return average_precision(images)


def _matched(files: Files, name: str, picture: Path, there: set[str]) -> Matched:
    labels, found = read_label_map(picture), []
    for line in files.read(name).decode().splitlines():
        mask, score, problem = list_line(name, line, there)
        if problem:
            raise ValueError(f'{files.path}: {name}: {problem}')
        values = read_label_map(mask, size=labels.shape, content=files.read(mask))
        found.append(Instance(values != 0, score))
    return match(labels, found)


def box_scores(submission: str | Path, truth: str | Path, dataset: str) -> dict[str, float]:
    """``AP``, ``AP50`` and the average recall of 1, 10 and 100 boxes an image, 0 to 1, by pycocotools.

    Args:
        submission: Folder or archive, as `mmroad.submissions.oodis.write_oodis_det` writes it.
        truth: COCO file whose images have their names as ids; boxes of other images are left out.
        dataset: Which of the submission's data sets.

    Raises:
        FileNotFoundError, ValueError: A file is missing or of another form.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    content = read_json(truth, dict[str, Any], 'a COCO file')
    wanted = {image['id'] for image in content.get('images', ())}
    files, name = Files(submission), f'{dataset}.json'
    if name not in files.names:
        raise FileNotFoundError(f'{submission}: no {name} in it')
    boxes = msgspec.json.decode(files.read(name), type=list[Box])
    kept = [msgspec.to_builtins(box) for box in boxes if box.image_id in wanted]
    if not kept:
        raise ValueError(f'{submission}: {name} has no box of an image of {truth}')
    gt = COCO()
    gt.dataset = content
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        gt.createIndex()
        evaluation = COCOeval(gt, gt.loadRes(kept), 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    # pycocotools has -1 where there is no object
    return {key: float(v) if (v := evaluation.stats[i]) >= 0 else np.nan for i, key in _BOXES.items()}
