# SPDX-License-Identifier: Apache-2.0
"""The size at which the networks see every image, in mapping and in localization alike."""

from __future__ import annotations

import cv2
import numpy as np

from ace_ros.config import IMAGE_SHORT_SIDE
from ace_ros.errors import CameraError
from ace_ros.geometry.camera import Camera


def network_size(width: int, height: int) -> tuple[int, int]:
    """Return (width, height) of an image after resizing its short side to what the encoder expects."""
    scale = IMAGE_SHORT_SIDE / min(width, height)
    return round(width * scale), round(height * scale)


def grey_batch(images: np.ndarray, camera: Camera) -> np.ndarray:
    """Return images (H, W), (H, W, 3) BGR or (B, H, W), uint8, as a checked grey batch (B, H, W).

    Raises CameraError when they are no images, or of another size than the camera's.
    """
    if images.dtype != np.uint8 or images.ndim not in (2, 3) or 0 in images.shape:
        raise CameraError(
            f"images must be uint8 (H, W), (H, W, 3) or (B, H, W), got {images.dtype} {images.shape}"
        )
    if images.ndim == 3 and images.shape[2] == 3:
        images = cv2.cvtColor(images, cv2.COLOR_BGR2GRAY)
    batch = images[None] if images.ndim == 2 else images
    width, height = camera.size
    if batch.shape[1:] != (height, width):
        raise CameraError(
            f"the image is {batch.shape[2]}x{batch.shape[1]}, its camera_info says {width}x{height}"
        )
    return batch


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
