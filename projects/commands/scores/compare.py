"""Anomaly scores side by side on the same images: rows of images, columns of scores, cut at 95 % TPR.

    mmroad scores save CONFIG CHECKPOINT --images IMAGES --out SCORES
    mmroad scores compare SCORES --images IMAGES --masks MASKS --out figure.png

Below the images: ROC and precision-recall curves and histograms; FPR95, AP and AUROC of the whole folder
are printed too. Masks: NAME.png, 0 in, 1 out, anything else ignored.
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('scores', nargs='+', help='folders of save_scores.py; several as NAME=FOLDER')
    parser.add_argument('--images', required=True)
    parser.add_argument('--masks', required=True)
    parser.add_argument('--out', required=True, help='the picture to write')
    parser.add_argument('--rows', type=positive, default=4, help='images to show (evenly spaced ones)')
    parser.add_argument('--json', help='also write the measures')


def positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError
    return number


def load(items, masks):
    """Of each image its mask and every score, {name: (mask, {score: (H, W)})}; the same scores for all."""
    import numpy as np

    from ...anomaly.saved_scores import load_scores

    images = {}
    for item in items:
        prefix, folder = item.split('=', 1) if '=' in item else ('', item)
        for name, arrays, mask in load_scores(folder, masks):
            found = {k.removeprefix('score_'): v for k, v in arrays.items() if k.startswith('score_')}
            if not found:
                raise ValueError(f'{folder}/{name}.npz: no array score_NAME; there are {", ".join(arrays)}')
            own = images.setdefault(name, (mask, {}))[1]
            for score, values in found.items():
                if np.isnan(values[mask <= 1]).any():
                    raise ValueError(
                        f'{folder}/{name}.npz: score_{score} holds values that are not numbers (NaN)'
                    )
                title = f'{prefix} {score}'.strip()
                if title in own:
                    raise ValueError(
                        f'{folder}/{name}.npz: {title} is in another folder too; tell them apart with NAME=FOLDER'
                    )
                own[title] = values
    titles = {title for _, own in images.values() for title in own}
    for name, (_, own) in images.items():
        if lacking := sorted(titles - set(own)):
            raise ValueError(
                f'{name}: no score {", ".join(lacking)}, which other images have: save them anew'
            )
    return images


def find_images(folder, names):
    """The picture of each name."""
    from pathlib import Path

    from ...files import is_image

    found = {}
    for path in sorted(Path(folder).iterdir()):
        if is_image(path) and not path.name.startswith('.') and path.stem in names:
            if path.stem in found:
                raise ValueError(
                    f'{found[path.stem]} and {path} have one name: which one is {path.stem}.npz of?'
                )
            found[path.stem] = path
    if lacking := sorted(set(names) - set(found)):
        raise FileNotFoundError(
            f'{folder}: no picture of {lacking[0]} ({len(lacking)} of {len(names)} have none)'
        )
    return found


def run(args: argparse.Namespace) -> None:
    from pathlib import Path

    import numpy as np

    from ...anomaly.figure import curves, draw
    from ...files import read_image, write_json

    if not Path(args.out).suffix:
        raise ValueError(f'--out {args.out}: the ending says the format, such as .png')
    for path in filter(None, (args.out, args.json)):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    images = load(args.scores, args.masks)
    files = find_images(args.images, images)
    valid = {name: mask <= 1 for name, (mask, _) in images.items()}
    truth = np.concatenate([mask[valid[name]] == 1 for name, (mask, _) in images.items()])
    measured = {}
    for score in next(iter(images.values()))[1]:
        values = [own[score][valid[name]] for name, (_, own) in images.items()]
        measured[score] = curves(np.concatenate(values), truth)
    print(f'{len(images)} images, {100 * truth.mean():.2f} % outlier pixels')
    print(f'{"score":24} {"FPR95":>7} {"AP":>7} {"AUROC":>7}')
    for score, c in measured.items():
        print(f'{score:24} {100 * c.fpr95:7.2f} {100 * c.ap:7.2f} {100 * c.auroc:7.2f}')
    if args.json:
        write_json(args.json, {k: dict(fpr95=c.fpr95, ap=c.ap, auroc=c.auroc) for k, c in measured.items()})
    shown = [name for name, (mask, _) in images.items() if (mask == 1).any()]
    shown = shown[:: max(1, len(shown) // args.rows)][: args.rows]
    pictures = [read_image(files[name])[..., ::-1] for name in shown]
    for name, picture in zip(shown, pictures):
        if picture.shape[:2] != images[name][0].shape:
            raise ValueError(f'{files[name]} is {picture.shape[:2]}, its mask {images[name][0].shape}')
    draw(pictures, [images[n][0] for n in shown], [images[n][1] for n in shown], measured, args.out)
    print(args.out)
