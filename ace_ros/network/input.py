# SPDX-License-Identifier: Apache-2.0
"""The size at which the networks see every image, in mapping and in localization alike."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from ace_ros.config import IMAGE_SHORT_SIDE
from ace_ros.errors import CameraError
from ace_ros.geometry.camera import Camera


def network_size(width: int, height: int) -> tuple[int, int]:
    """Return (width, height) of an image after resizing its short side to what the encoder expects."""
    scale = IMAGE_SHORT_SIDE / min(width, height)
    return round(width * scale), round(height * scale)


def encoder_input(images: np.ndarray, camera: Camera, stride: int, device: torch.device) -> Tensor:
    """Return images (H, W), (H, W, 3) BGR or (B, H, W), uint8, as an encoder takes them.

    That is (B, 1, h, w) float32 in [0, 1], h and w whole cells of `stride`, on a device. Raises CameraError
    when they are no images, or of another size than the camera's.
    """
    resized = torch.from_numpy(network_batch(_grey_batch(images, camera), stride))
    grey = resized[:, None].to(device).float() / 255.0
    return grey.contiguous(memory_format=torch.channels_last)


def _grey_batch(images: np.ndarray, camera: Camera) -> np.ndarray:
    """Return images as a checked grey batch (B, H, W) uint8."""
    if images.dtype != np.uint8 or images.ndim not in (2, 3) or 0 in images.shape:
        raise CameraError(
            f"images must be uint8 (H, W), (H, W, 3) or (B, H, W), got {images.dtype} {images.shape}"
        )
    if images.ndim == 3 and images.shape[2] == 3:
        images = to_grey(images)
    batch = images[None] if images.ndim == 2 else images
    width, height = camera.size
    if batch.shape[1:] != (height, width):
        raise CameraError(
            f"the image is {batch.shape[2]}x{batch.shape[1]}, its camera_info says {width}x{height}"
        )
    return batch


def to_grey(pixels: np.ndarray) -> np.ndarray:
    """Return grey (H, W) of grey (H, W) or BGR (H, W, 3) pixels, as the networks are shown them."""
    return pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)


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
