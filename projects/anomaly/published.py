"""Numbers that others published, which a table shows beside one's own. None was measured here."""

from __future__ import annotations

from typing import NamedTuple


class Published(NamedTuple):
    """A published row, in percent; None where a number is not published."""

    dataset: str  #: a key of ``LAYOUTS``
    method: str
    score: str
    ap: float | None
    auroc: float | None
    fpr95: float | None
    source: str


_RBA = 'https://github.com/NazirNayal8/RbA'
_DETSEG = 'https://github.com/huachao0124/DetSeg-official'
#: AbeT's are read off histograms of 100 bins.
_ABET = 'https://arxiv.org/abs/2401.12129'


def _rba(model: str, road_anomaly: tuple[float, float], laf: tuple[float, float]) -> list[Published]:
    return [
        Published(dataset, f'RbA {model}', 'rba', ap, None, fpr95, _RBA)
        for dataset, (ap, fpr95) in (('road_anomaly', road_anomaly), ('fishyscapes_laf', laf))
    ]


def _abet(score: str, laf: tuple[float, ...], road_anomaly: tuple[float, ...]) -> list[Published]:
    """Numbers are FPR95, AP and AUROC, as the paper orders them."""
    method = 'AbeT' if score == 'abet' else 'DeepLabV3+ WRN-38'
    return [
        Published(dataset, method, score, ap, auroc, fpr95, _ABET)
        for dataset, (fpr95, ap, auroc) in (('lost_and_found', laf), ('road_anomaly', road_anomaly))
    ]


def _detseg(method: str, *numbers: tuple[float, float, float]) -> list[Published]:
    """Numbers are AUROC, AP and FPR95 on Road Anomaly and on Fishyscapes Lost and Found."""
    return [
        Published(dataset, f'DetSeg-R on {method}', 'refined', ap, auroc, fpr95, _DETSEG)
        for dataset, (auroc, ap, fpr95) in zip(('road_anomaly', 'fishyscapes_laf'), numbers, strict=True)
    ]


PUBLISHED: tuple[Published, ...] = (
    *_rba('swin_b_1dl', (78.45, 11.83), (60.96, 10.63)),
    *_rba('swin_l_1dl', (79.68, 15.02), (58.61, 71.79)),
    *_rba('swin_b_1dl_rba_ood_coco', (85.42, 6.92), (70.81, 6.30)),
    *_rba('swin_b_1dl_rba_ood_map_coco', (89.16, 4.50), (78.27, 3.98)),
    *_rba('swin_l_1dl_rba_ood_map_coco', (90.28, 4.92), (80.35, 4.58)),
    *_detseg('Mask2Anomaly', (98.33, 87.57, 5.70), (96.79, 78.15, 4.84)),
    *_detseg('RbA swin_b_1dl', (97.76, 86.12, 11.12), (97.38, 69.39, 6.53)),
    *_detseg('UNO', (99.02, 93.89, 1.94), (99.15, 87.01, 1.95)),
    *_abet('entropy', (35.47, 46.01, 93.42), (65.26, 16.89, 68.24)),
    *_abet('msp', (31.80, 27.49, 91.98), (56.28, 15.24, 65.96)),
    *_abet('max_logit', (15.56, 65.45, 94.52), (70.48, 18.98, 72.78)),
    *_abet('abet', (3.42, 68.35, 99.09), (53.50, 31.12, 81.55)),
)
