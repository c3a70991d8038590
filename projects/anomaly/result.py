"""The metrics of a data set."""

from __future__ import annotations

from typing import NamedTuple


class Point(NamedTuple):
    """A point of the ROC curve."""

    fpr: float
    tpr: float
    threshold: float


class PixelScores(NamedTuple):
    """The metrics of a data set; NaN and None where a class is missing (``note`` says which)."""

    ap: float  #: average precision, scikit-learn's step sum, outliers positive
    auroc: float  #: area under the ROC curve, by trapezoids
    fpr95: Point | None  #: first point with TPR >= 0.95
    fpr95_gt: Point | None  #: first point with TPR > 0.95
    fpr95_nearest: Point | None  #: point with TPR nearest 0.95, the first of equals
    fpr95_rba: float  #: first point with TPR > 0.95 of scikit-learn's thinned curve, as RbA reports
    inliers: int
    outliers: int
    ignored: int
    note: str = ''
    curve: tuple[Point, ...] = ()  #: about a thousand points of the ROC curve, thresholds falling

    @property
    def at_95(self) -> Point:
        """``fpr95`` of a data set that has both classes.

        Raises:
            ValueError: A class is missing.
        """
        if self.fpr95 is None:
            raise ValueError(self.note)
        return self.fpr95

    def precision(self, point: Point) -> float:
        """The share of outliers among the pixels from a point's threshold up."""
        found = point.tpr * self.outliers
        return found / (found + point.fpr * self.inliers)

    def summary(self) -> dict[str, float]:
        """The numbers by name, in percent."""
        nan = float('nan')
        return dict(
            AP=100 * self.ap,
            AUROC=100 * self.auroc,
            FPR95=100 * self.fpr95.fpr if self.fpr95 else nan,
            FPR95_gt=100 * self.fpr95_gt.fpr if self.fpr95_gt else nan,
            FPR95_nearest=100 * self.fpr95_nearest.fpr if self.fpr95_nearest else nan,
            FPR95_rba=100 * self.fpr95_rba,
        )

    def table(self) -> str:
        """A line of names, a line of numbers and a line that counts the pixels."""
        numbers = self.summary()
        head = ''.join(f'{key:>15}' for key in numbers)
        row = ''.join(f'{value:15.2f}' for value in numbers.values())
        pixels = f'{self.inliers} inlier, {self.outliers} outlier and {self.ignored} ignored pixels'
        return f'\n{head}\n{row}\n{pixels}' + (f'\n{self.note}' if self.note else '')
