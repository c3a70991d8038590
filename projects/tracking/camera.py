"""The motion of the camera between two frames, from corners of the background (sparse optical flow)."""

from __future__ import annotations

import cv2
import numpy as np

#: The longer side of the images in which motion is sought.
SIDE = 640
CORNERS = dict(maxCorners=400, qualityLevel=0.01, minDistance=7)
#: Corners that must agree on a motion.
AGREE = 12


class CameraMotion:
    """Motion from frame to frame: shift, turn and scale of the whole image."""

    def __init__(self) -> None:
        self._image: np.ndarray | None = None
        self._boxes = np.zeros((0, 4))

    def update(self, image: np.ndarray, boxes: np.ndarray) -> np.ndarray | None:
        """How places of the frame before move into this one.

        Args:
            image: (H, W, 3) BGR uint8.
            boxes: (n, 4) x1, y1, x2, y2 of objects, whose corners are left out in the next step.

        Returns:
            (2, 3) affine motion; None for the first frame, and where too few corners agree.
        """
        scale = min(1.0, SIDE / max(image.shape[:2]))
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        gray = (
            gray if scale == 1 else cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        )
        before, old = self._image, self._boxes
        self._image, self._boxes = gray, np.asarray(boxes, float).reshape(-1, 4) * scale
        if before is None or before.shape != gray.shape:
            return None
        mask = np.full(before.shape, 255, np.uint8)
        for x1, y1, x2, y2 in old.round().astype(int):
            mask[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)] = 0
        corners = cv2.goodFeaturesToTrack(before, mask=mask, **CORNERS)
        if corners is None:
            return None
        moved, found, _ = cv2.calcOpticalFlowPyrLK(before, gray, corners, None)
        keep = found[:, 0] == 1
        if keep.sum() < AGREE:
            return None
        motion, agree = cv2.estimateAffinePartial2D(corners[keep], moved[keep], method=cv2.RANSAC)
        if motion is None or agree.sum() < AGREE:
            return None
        motion[:, 2] /= scale
        return motion
