# SPDX-License-Identifier: Apache-2.0
"""Random light, optics and sensor noise for the views that encoders are trained on."""

from __future__ import annotations

import cv2
import numpy as np


def random_light(view: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a uint8 view (S, S) as float32 in [0, 1]: other exposure, shading, blur and noise."""
    size = view.shape[0]
    # Exposure, contrast and gamma act on single values: one table instead of three passes.
    levels = (np.arange(256, dtype=np.float32) / 255.0) ** np.float32(2.0 ** rng.uniform(-0.6, 0.6))
    mean = levels[int(view.mean())]
    levels = (levels - mean) * rng.uniform(0.6, 1.4) + mean + rng.uniform(-0.15, 0.15)
    view = levels.astype(np.float32)[view]
    slope_x, slope_y = rng.normal(0.0, 0.12, 2).astype(np.float32)
    ramp = np.linspace(-1.0, 1.0, size, dtype=np.float32)
    view *= 1.0 + slope_x * ramp[None, :] + slope_y * ramp[:, None]
    blur = rng.random()
    if blur < 0.35:
        view = cv2.GaussianBlur(view, (0, 0), rng.uniform(0.3, 1.5))
    elif blur < 0.5:
        view = cv2.filter2D(view, -1, _motion_blur(rng), borderType=cv2.BORDER_REFLECT_101)
    view += rng.standard_normal(view.shape, np.float32) * np.float32(rng.uniform(0.0, 0.04))
    return np.clip(view, 0.0, 1.0, out=view)


def _motion_blur(rng: np.random.Generator) -> np.ndarray:
    """Return the kernel (7, 7) of a straight motion of up to 7 pixels in a random direction."""
    kernel = np.zeros((7, 7), np.float32)
    angle, half = rng.uniform(0, np.pi), rng.uniform(1.0, 3.0)
    tip = half * np.array([np.cos(angle), np.sin(angle)])
    start, end = (np.rint(16 * (3 + sign * tip)).astype(int).tolist() for sign in (-1, 1))
    cv2.line(kernel, start, end, 1.0, 1, cv2.LINE_AA, shift=4)
    return kernel / kernel.sum()
