# SPDX-License-Identifier: Apache-2.0
"""The picture that shows what the localizer saw: which cells of the image agree with the pose."""

from __future__ import annotations

import cv2
import numpy as np

AGREES_BGR = (80, 220, 60)
DISAGREES_BGR = (60, 60, 220)
TEXT_HEIGHT_PX = 24


def draw_cells(image: np.ndarray, pixels: np.ndarray, inliers: np.ndarray, text: str) -> np.ndarray:
    """Return a BGR copy of an image (H, W, 3) with a dot at each pixel (N, 2) and a line of text.

    Green dots are inliers (N,) bool; what is not is a single red pixel, so the picture stays a picture.
    """
    picture = image.copy()
    x, y = np.round(pixels[~inliers]).astype(int).T
    picture[y.clip(0, image.shape[0] - 1), x.clip(0, image.shape[1] - 1)] = DISAGREES_BGR
    radius = max(1, round(image.shape[1] / 320))
    for column, row in np.round(pixels[inliers]).astype(int).tolist():
        cv2.circle(picture, (column, row), radius, AGREES_BGR, -1)
    cv2.rectangle(picture, (0, 0), (image.shape[1], TEXT_HEIGHT_PX), (0, 0, 0), -1)
    cv2.putText(picture, text, (6, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return picture
