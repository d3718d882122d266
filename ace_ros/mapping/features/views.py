# SPDX-License-Identifier: Apache-2.0
"""Augmented views of mapping images, and where their pixels were in the image they come from.

A view is a plain 2-D warp. Instead of inventing a camera that would have taken it, every feature
keeps the pixel of the original image that it shows; supervision stays with the recorded pose and
the true camera, which is exact for any intrinsics and distortion.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ace_ros.config import TrainingConfig


@dataclass(frozen=True)
class View:
    """A grey view (h, w) float32 in [0, 1] and the affine map (2, 3) from its pixels to the image's."""

    grey: np.ndarray
    to_image: np.ndarray


def random_view(image: np.ndarray, stride: int, config: TrainingConfig, rng: np.random.Generator) -> View:
    """Return an augmented view of a grey uint8 image (H, W): rotated, rescaled, in other light."""
    height, width = image.shape
    scale = config.scale ** rng.uniform(-1.0, 1.0)
    angle = np.radians(rng.uniform(-config.rotation_deg, config.rotation_deg))
    view_width = max(stride, int(width * scale) // stride * stride)
    view_height = max(stride, int(height * scale) // stride * stride)
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    linear = np.array([[cos, -sin], [sin, cos]])
    image_centre = np.array([(width - 1) / 2, (height - 1) / 2])
    view_centre = np.array([(view_width - 1) / 2, (view_height - 1) / 2])
    # A shift by less than a cell, so that features are seen at every position within a cell.
    shift = rng.uniform(-0.5, 0.5, 2) * stride
    to_image = np.column_stack([linear, image_centre - linear @ (view_centre + shift)])
    if scale < 0.9:
        image = cv2.GaussianBlur(image, (0, 0), 0.45 / scale)
    warped = cv2.warpAffine(
        image,
        to_image,
        (view_width, view_height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    contrast, brightness = np.float32(1.0 + rng.uniform(-config.light, config.light, 2))
    grey = warped.astype(np.float32) / 255.0
    grey = np.clip((grey - grey.mean()) * contrast + grey.mean() * brightness, 0.0, 1.0)
    return View(grey, to_image)


def plain_view(image: np.ndarray, stride: int) -> View:
    """Return a grey uint8 image (H, W) as the view that localization will see."""
    height, width = (n // stride * stride for n in image.shape)
    grey = image[:height, :width].astype(np.float32) / 255.0
    return View(grey, np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
