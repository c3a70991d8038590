"""Meta classification: remove segments of high entropy that are not on unknown objects.

    mmroad scores save CONFIG CHECKPOINT --images IMAGES --out SCORES --probs
    mmroad scores meta SCORES --masks MASKS --out kept

Leave-one-out over the images (Meta-OOD, arXiv 2012.06575). Masks: NAME.png, 1 on unknown objects. With
--out the remaining segments are written as NAME.png (255).
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('scores', help='folder that `mmroad scores save --probs` wrote')
    parser.add_argument('--masks', required=True)
    parser.add_argument('--threshold', type=float, default=0.7, help='on the normalized entropy')
    parser.add_argument('--keep', type=float, default=0.5, help='least probability of a segment that stays')
    parser.add_argument('--out', help='folder for the remaining segments')


def missed(images, masks, keep) -> int:
    """Unknown objects that no remaining segment touches."""
    import numpy as np
    from scipy import ndimage

    count = 0
    for image, mask, kept in zip(images, masks, keep, strict=True):
        objects, n = ndimage.label(mask == 1, np.ones((3, 3)))
        touched = np.unique(objects[np.append(False, kept)[image.label]])
        count += n - np.count_nonzero(touched)
    return count


def run(args: argparse.Namespace) -> None:
    from pathlib import Path

    import numpy as np

    from ...anomaly.io import load_probabilities, map_names
    from ...anomaly.map_folders import mask_paths
    from ...anomaly.meta_classification import leave_one_out, segments
    from ...files import OutputNames, write_image
    from ...files.label_maps import read_label_map

    folder = Path(args.scores) / 'probs'
    names = map_names(folder) if folder.is_dir() else []
    if not names:
        raise FileNotFoundError(f'{folder}: no class probabilities; `mmroad scores save --probs` writes them')
    images, masks = [], []
    for name, path in mask_paths(args.masks, names).items():
        probs = load_probabilities(folder / f'{name}.npz')
        masks.append(read_label_map(path, size=probs.shape[1:]))
        try:
            images.append(segments(probs, args.threshold, masks[-1]))
        except ValueError as error:
            raise ValueError(f'{folder}/{name}.npz: {error}') from error
    if args.out:  # before the work
        outputs = OutputNames(args.out, [Path(args.masks) / f'{name}.png' for name in names])
        places = [outputs.path(f'{name}.png') for name in names]
    probability = leave_one_out(images, names)
    from sklearn.metrics import roc_auc_score

    true = np.concatenate([image.true for image in images])
    judged = np.concatenate(probability)
    keep = [p >= args.keep for p in probability]
    kept = np.concatenate(keep)
    everything = [np.ones(len(p), bool) for p in probability]
    print(f'{len(images)} images, {len(true)} segments, {images[0].features.shape[1]} features')
    print(f'meta classifier: accuracy {(kept == true).mean():.4f}, AUROC {roc_auc_score(true, judged):.4f}')
    print(f'before: {(~true).sum()} false positives, {missed(images, masks, everything)} missed objects')
    print(f'after:  {(kept & ~true).sum()} false positives, {missed(images, masks, keep)} missed objects')
    if args.out:
        for place, image, k in zip(places, images, keep, strict=True):
            write_image(place, np.append(False, k)[image.label].astype(np.uint8) * 255)
