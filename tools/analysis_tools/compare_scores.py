"""Anomaly scores side by side on the same images: rows of images, columns of scores, cut at 95 % TPR.

    python tools/analysis_tools/save_scores.py CONFIG CHECKPOINT --images IMAGES --out SCORES
    python tools/analysis_tools/compare_scores.py SCORES --images IMAGES --masks MASKS --out figure.png

Below the images: ROC and precision-recall curves and histograms; FPR95, AP and AUROC of the whole folder
are printed too. Masks: NAME.png, 0 in, 1 out, anything else ignored.
"""

import argparse
import sys


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('scores', nargs='+', help='folders of save_scores.py; several as NAME=FOLDER')
    parser.add_argument('--images', required=True)
    parser.add_argument('--masks', required=True)
    parser.add_argument('--out', required=True, help='the picture to write')
    parser.add_argument('--rows', type=int, default=4, help='images to show (evenly spaced ones)')
    parser.add_argument('--json', help='also write the measures')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from pathlib import Path

    import numpy as np

    from mmroad.abet.figure import curves, draw
    from mmroad.abet.saved_scores import load_scores
    from mmroad.files import is_image, read_image, write_json

    of_image, masks = {}, {}
    try:
        for item in args.scores:
            prefix, folder = item.split('=', 1) if '=' in item else ('', item)
            for name, arrays, mask in load_scores(folder, args.masks):
                found = {k.removeprefix('score_'): v for k, v in arrays.items() if k.startswith('score_')}
                found = {f'{prefix} {k}'.strip(): v for k, v in found.items()}
                of_image.setdefault(name, {}).update(found)
                masks[name] = mask
        names = list(of_image)
        measured = {}
        valid = [masks[n] <= 1 for n in names]
        truth = np.concatenate([masks[n][v] == 1 for n, v in zip(names, valid, strict=True)])
        for score in of_image[names[0]]:
            values = [of_image[n][score][v] for n, v in zip(names, valid, strict=True)]
            measured[score] = curves(np.concatenate(values), truth)
    except (OSError, ValueError, KeyError) as error:
        sys.exit(str(error))
    print(f'{len(names)} images, {100 * truth.mean():.2f} % outlier pixels')
    print(f'{"score":24} {"FPR95":>7} {"AP":>7} {"AUROC":>7}')
    for score, c in measured.items():
        print(f'{score:24} {100 * c.fpr95:7.2f} {100 * c.ap:7.2f} {100 * c.auroc:7.2f}')
    if args.json:
        write_json(args.json, {k: dict(fpr95=c.fpr95, ap=c.ap, auroc=c.auroc) for k, c in measured.items()})
    shown = [n for n in names if (masks[n] == 1).any()]
    shown = shown[:: max(1, len(shown) // args.rows)][: args.rows]
    files = {p.stem: p for p in Path(args.images).iterdir() if is_image(p)}
    pictures = [read_image(files[n])[..., ::-1] for n in shown]
    draw(pictures, [masks[n] for n in shown], [of_image[n] for n in shown], measured, args.out)
    print(args.out)


if __name__ == '__main__':
    main()
