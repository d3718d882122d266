# SPDX-License-Identifier: Apache-2.0
"""The size at which the networks see every image, in mapping and in localization alike."""

from __future__ import annotations

import cv2
import numpy as np

from ace_ros.config import IMAGE_SHORT_SIDE


def network_size(width: int, height: int) -> tuple[int, int]:
    """Return (width, height) of an image after resizing its short side to what the encoder expects."""
    scale = IMAGE_SHORT_SIDE / min(width, height)
    return round(width * scale), round(height * scale)


def network_batch(images: np.ndarray, stride: int) -> np.ndarray:
    """Return grey images (B, H, W) as the encoder sees them: resized, whole cells of `stride`."""
    size = network_size(images.shape[2], images.shape[1])
    width, height = (n // stride * stride for n in size)
    return np.stack([resize_image(image, size)[:height, :width] for image in images])


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return an image (H, W) resized to (width, height), averaging when it gets smaller."""
    if (image.shape[1], image.shape[0]) == size:
        return image
    shrinks = size[0] < image.shape[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
