# SPDX-License-Identifier: Apache-2.0
"""16-bit pixels as 8 bits, alike for all images of a recording.

Cameras put 10, 12, 14 or 16 bits into 16, thermal cameras a narrow band: a fixed shift would leave most
of them black. A range of its own for each image would make one wall bright here and dark there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

EIGHT_BITS = 255.0
MAX_SPAN_RATIO = 3.0  # of the ranges of two images: cameras of 12 and of 14 bits differ by 4
Stretch = Callable[[np.ndarray], np.ndarray]


class Range(NamedTuple):
    """The values that become 0 and 255."""

    low: float
    high: float


def range_of(image: np.ndarray) -> Range:
    """Return the range that 98 % of the pixels of an image (H, W) or (H, W, C) lie in."""
    step = min(image.shape[:2]) // 120 | 1  # odd, to meet all colours of a Bayer pattern
    low, high = np.percentile(image[::step, ::step], (1.0, 99.0))
    return Range(float(low), float(high))


def common_range(ranges: Sequence[Range]) -> Range:
    """Return the range that holds all of the ranges, of which there is one at least."""
    return Range(min(r.low for r in ranges), max(r.high for r in ranges))


def range_among(own: Range, others: Sequence[Range]) -> Range:
    """Return the range of an image and of those others that can be of the same camera and light."""

    def span(one: Range) -> float:
        return max(one.high - one.low, 1.0)

    alike = [other for other in others if 1 / MAX_SPAN_RATIO < span(other) / span(own) < MAX_SPAN_RATIO]
    return common_range([own, *alike])


def to_8_bit(image: np.ndarray, given: Range | None = None) -> np.ndarray:
    """Return 16-bit pixels as uint8: a range, the image's own without one, spread over 0 to 255.

    Pixels that are uint8 are returned as they are. A range of 8 bits or less is not stretched further.
    """
    if image.dtype == np.uint8:
        return image
    low, high = given or range_of(image)
    scale = EIGHT_BITS / max(high - low, EIGHT_BITS)
    stretched = (image.astype(np.float32) - low) * scale + 0.5
    return np.asarray(stretched.clip(0, EIGHT_BITS), np.uint8)


class GrowingRange:
    """One range for images that come one by one: that of the first, grown by those that need more."""

    def __init__(self, ranges: Sequence[Range] = ()) -> None:
        self._ranges = list(ranges)

    def to_8_bit(self, image: np.ndarray) -> np.ndarray:
        """Return 16-bit pixels as uint8; pixels that are uint8 are returned as they are."""
        if image.dtype == np.uint8:
            return image
        self._ranges = [common_range([*self._ranges, range_of(image)])]
        return to_8_bit(image, self._ranges[0])
