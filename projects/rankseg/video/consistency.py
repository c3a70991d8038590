"""How steady a video's labels are (VC_n of VSPW: Miao et al., CVPR 2021).

Pure numpy.
"""

from __future__ import annotations

import numpy as np


def run_lengths(labels: np.ndarray) -> np.ndarray:
    """For every pixel of every frame, for how many frames up to this one its label is the same.

    Args:
        labels: (T, H, W).

    Returns:
        (T, H, W) int32, at least 1.
    """
    runs = np.ones(labels.shape, np.int32)
    for t in range(1, len(labels)):
        same = labels[t] == labels[t - 1]
        runs[t][same] += runs[t - 1][same]
    return runs


def video_consistency(gt: np.ndarray, pred: np.ndarray, n: int) -> np.ndarray:
    """VC_n of every window of a video: among the pixels whose ground truth is the same in all n frames, the
    fraction whose prediction is the same in all of them too (right or wrong).

    As in the published script, a video of T frames has the T - n windows that start at 0 to T - n - 1 (not the
    last possible one), and unlabeled pixels count as one more class.

    Args:
        gt, pred: (T, H, W).

    Returns:
        (max(T - n, 0),); NaN where no pixel's ground truth is constant.
    """
    if gt.shape != pred.shape:
        raise ValueError(f'the prediction is {pred.shape}, its ground truth {gt.shape}')
    steady, predicted = run_lengths(gt) >= n, run_lengths(pred) >= n
    ends = range(n - 1, len(gt) - 1)
    with np.errstate(invalid='ignore'):
        return np.array([(steady[t] & predicted[t]).sum() / np.float64(steady[t].sum()) for t in ends])
