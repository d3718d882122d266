# SPDX-License-Identifier: Apache-2.0
"""Pairs of warped views of one photograph, with exact correspondences, to train the encoder on."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np

from ace_ros.errors import SceneError

logger = logging.getLogger(__name__)


def load_photos(folder: Path) -> list[np.ndarray]:
    """Return all readable photographs of a folder as grey uint8 images, sorted by name.

    Raises SceneError when there are fewer than 20.
    """
    paths = sorted(p for p in folder.glob("**/*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    photos = [cv2.imread(str(p), cv2.IMREAD_GRAYSCALE) for p in paths]
    readable = [p for p in photos if p is not None and min(p.shape) >= 160]
    if len(readable) < 20:
        raise SceneError(f"{folder}: {len(readable)} photographs of 160 px or more, at least 20 needed")
    logger.info("%d photographs from %s, %d left out", len(readable), folder, len(paths) - len(readable))
    return readable


def random_pair(
    photo: np.ndarray, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return two views (size, size) float32 in [0, 1] of a photo and the homography from first to second.

    The second view differs by a scale of up to 2 either way, an in-plane rotation, a perspective
    warp and a shift; each has its own light, contrast, blur and noise.
    """
    height, width = photo.shape
    extent = min(height, width) * rng.uniform(0.45, 0.95)  # of the first view, in photo pixels
    centre = np.array([rng.uniform(0.3, 0.7) * width, rng.uniform(0.3, 0.7) * height])
    photo_to_first = _view(centre, extent, rng.uniform(-0.3, 0.3), size, 0.1, rng)
    relative_scale = 2.0 ** rng.uniform(-1.0, 1.0)
    # Most robots keep their camera upright: rotations are mostly small, sometimes any.
    rotation = rng.normal(0.0, 0.35) if rng.random() < 0.8 else rng.uniform(-np.pi, np.pi)
    shift = rng.uniform(-0.2, 0.2, 2) * extent
    photo_to_second = _view(centre + shift, extent * relative_scale, rotation, size, 0.2, rng)
    first = _photometric(_warp(photo, photo_to_first, size, extent), rng)
    second = _photometric(_warp(photo, photo_to_second, size, extent * relative_scale), rng)
    return first, second, photo_to_second @ np.linalg.inv(photo_to_first)


def _view(
    centre: np.ndarray, extent: float, angle: float, size: int, perspective: float, rng: np.random.Generator
) -> np.ndarray:
    """Return the homography (3, 3) from a photo to a view of `extent` photo pixels around `centre`."""
    corners = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    corners += rng.uniform(-perspective, perspective, (4, 2))
    cos, sin = np.cos(angle), np.sin(angle)
    in_photo = centre + 0.5 * extent * corners @ np.array([[cos, sin], [-sin, cos]])
    end = size - 1.0
    in_view = np.array([[0, 0], [end, 0], [end, end], [0, end]])
    return cv2.getPerspectiveTransform(in_photo.astype(np.float32), in_view.astype(np.float32))


def _warp(photo: np.ndarray, homography: np.ndarray, size: int, extent: float) -> np.ndarray:
    shrink = extent / size
    if shrink > 1.2:  # low-pass first, or the smaller view is full of aliases
        photo = cv2.GaussianBlur(photo, (0, 0), 0.45 * shrink)
    warped = cv2.warpPerspective(
        photo, homography, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return warped.astype(np.float32) / 255.0


def _photometric(view: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a view under other light: gamma, contrast, brightness, shading, blur, noise."""
    size = view.shape[0]
    view = view ** np.float32(2.0 ** rng.uniform(-0.7, 0.7))
    ramp = np.linspace(-1.0, 1.0, size, dtype=np.float32)
    slope_x, slope_y = rng.normal(0.0, 0.12, 2).astype(np.float32)
    shading = 1.0 + slope_x * ramp[None, :] + slope_y * ramp[:, None]
    contrast, brightness = np.float32(rng.uniform(0.55, 1.45)), np.float32(rng.uniform(-0.2, 0.2))
    mean = view.mean()
    view = ((view - mean) * contrast + mean + brightness) * shading
    if rng.random() < 0.4:
        view = cv2.GaussianBlur(view, (0, 0), rng.uniform(0.3, 1.5))
    view = view + rng.normal(0.0, rng.uniform(0.0, 0.04), view.shape).astype(np.float32)
    return np.clip(view, 0.0, 1.0)
