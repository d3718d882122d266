# SPDX-License-Identifier: Apache-2.0
"""Images to train small encoders on."""

from __future__ import annotations

import numpy as np


def textured_photo(rng: np.random.Generator, size: int = 320) -> np.ndarray:
    """Return an image with structure at every scale, as photographs have it (1/f spectrum)."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    spectrum = np.fft.fft2(rng.normal(size=(size, size))) / np.maximum(frequency, 1.0 / size) ** 1.2
    image = np.real(np.fft.ifft2(spectrum))
    return np.clip(128 + 50 * (image - image.mean()) / image.std(), 0, 255).astype(np.uint8)
