"""Anomaly scores side by side on the same images: rows of images, columns of scores, cut at 95 % TPR.

    mmroad scores save CONFIG CHECKPOINT --images IMAGES --out SCORES
    mmroad scores compare SCORES --images IMAGES --masks MASKS --out figure.png

Below the images: ROC and precision-recall curves and histograms; FPR95, AP and AUROC of the whole folder
are printed too. Masks: NAME.png, 0 in, 1 out, anything else ignored.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'scores',
        nargs='+',
        help='folders of anomaly maps, or of one subfolder a score; NAME=FOLDER gives another name',
    )
    parser.add_argument('--images', required=True)
    parser.add_argument('--masks', required=True)
    parser.add_argument('--out', required=True, help='the picture to write')
    parser.add_argument('--rows', type=positive, default=4, help='images to show (evenly spaced ones)')
    parser.add_argument('--json', help='also write the measures')


def positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError
    return number


def find_images(folder: str | Path, names: Collection[str]) -> dict[str, Path]:
    """The picture of each name."""
    from ...files import is_image

    found: dict[str, Path] = {}
    for path in sorted(Path(folder).iterdir()):
        if is_image(path) and not path.name.startswith('.') and path.stem in names:
            if path.stem in found:
                raise ValueError(
                    f'{found[path.stem]} and {path} have one name: which of them are the maps of {path.stem} of?'
                )
            found[path.stem] = path
    if lacking := sorted(set(names) - set(found)):
        raise FileNotFoundError(
            f'{folder}: no picture of {lacking[0]} ({len(lacking)} of {len(names)} have none)'
        )
    return found


def run(args: argparse.Namespace) -> None:
    from ...anomaly.figure import draw
    from ...anomaly.io import find_map
    from ...anomaly.map_folders import common_names, mask_paths, read_scores, score_folders
    from ...anomaly.pixel import PixelMetrics
    from ...files import read_image, write_json

    if not Path(args.out).suffix:
        raise ValueError(f'--out {args.out}: the ending says the format, such as .png')
    for path in filter(None, (args.out, args.json)):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    folders = score_folders(args.scores)
    names = common_names(folders)
    masks, files = mask_paths(args.masks, names), find_images(args.images, names)
    metrics, shown = {title: PixelMetrics() for title in folders}, []
    for name, mask, maps in read_scores(folders, masks):
        for title, values in maps.items():
            metrics[title].add(values, mask, str(find_map(folders[title], name)))
        if (mask == 1).any():
            shown.append(name)
    measured = {title: metric.compute() for title, metric in metrics.items()}
    total = next(iter(measured.values()))
    if total.note:
        raise ValueError(f'{args.masks}: {total.note}')
    measures = {title: dict(fpr95=s.at_95.fpr, ap=s.ap, auroc=s.auroc) for title, s in measured.items()}
    share = total.outliers / (total.inliers + total.outliers)
    print(f'{len(names)} images, {100 * share:.2f} % outlier pixels')
    print(f'{"score":24} {"FPR95":>7} {"AP":>7} {"AUROC":>7}')
    for title, row in measures.items():
        print(f'{title:24} {100 * row["fpr95"]:7.2f} {100 * row["ap"]:7.2f} {100 * row["auroc"]:7.2f}')
    if args.json:
        write_json(args.json, measures)
    shown = shown[:: max(1, len(shown) // args.rows)][: args.rows]
    pictures = [read_image(files[name])[..., ::-1] for name in shown]
    rows = list(read_scores(folders, {name: masks[name] for name in shown}))
    for picture, (name, mask, _) in zip(pictures, rows, strict=True):
        if picture.shape[:2] != mask.shape:
            raise ValueError(f'{files[name]} is {picture.shape[:2]}, its mask {mask.shape}')
    draw(pictures, [mask for _, mask, _ in rows], [maps for *_, maps in rows], measured, args.out)
    print(args.out)
