# SPDX-License-Identifier: Apache-2.0
"""Which images of a drive are worth keeping: far enough from the last one, and sharp; where those were."""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Iterator

import cv2
import numpy as np
from torch import Tensor

from ace_ros.geometry.metrics import pose_error
from ace_ros.geometry.se3 import to_quaternion

RECENT_IMAGES = 15
MEASURED_WIDTH = 640


def is_far(T_a: Tensor, T_b: Tensor, distance_m: float, angle_deg: float) -> bool:
    """Return whether two poses (4, 4) are at least so far apart or turned by so much."""
    distance, angle = pose_error(T_a, T_b)
    return float(distance) >= distance_m or float(angle) >= math.radians(angle_deg)


def sharpness(grey: np.ndarray) -> float:
    """Return the variance of the Laplacian of a grey image (H, W), at most 640 pixels wide.

    Large images are reduced first, so that one limit holds for any camera.
    """
    width = grey.shape[1]
    if width > MEASURED_WIDTH:
        height = max(1, round(grey.shape[0] * MEASURED_WIDTH / width))
        grey = cv2.resize(grey, (MEASURED_WIDTH, height), interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())


class Trail:
    """The keyframes' stamps and poses in 64 bytes each: a long drive has ten thousands.

    One thread appends while others read.
    """

    def __init__(self) -> None:
        self._stamps, self._poses = array("q"), array("d")

    def __len__(self) -> int:
        return len(self._stamps)

    def append(self, stamp_ns: int, T: Tensor) -> None:
        """Take note of a pose (4, 4) at a stamp in nanoseconds."""
        self._poses.extend([*T[:3, 3].tolist(), *to_quaternion(T[:3, :3]).tolist()])
        self._stamps.append(stamp_ns)

    @property
    def stamps(self) -> list[int]:
        """In nanoseconds."""
        return list(self._stamps)

    @property
    def positions(self) -> np.ndarray:
        """Where the camera was (N, 3), in metres."""
        return np.array(self._poses).reshape(-1, 7)[: len(self), :3]

    def thinned(self, most: int) -> Iterator[tuple[int, array[float]]]:
        """Yield stamps in nanoseconds, and x, y, z with the quaternion x, y, z, w.

        All of them, or every so-manieth up to the newest where there are more than `most`.
        """
        count = len(self)
        step = max(1, math.ceil(count / most))
        for number in range((count - 1) % step, count, step):
            yield self._stamps[number], self._poses[7 * number : 7 * number + 7]


class BlurFilter:
    """Finds blurred images by an absolute floor and by comparison with the images before.

    What counts as sharp changes with the place: a plain wall has less than a shelf. The median of
    the last images, blurred ones too, follows such a change within a few images.
    """

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=RECENT_IMAGES)

    def complaint(self, grey: np.ndarray, floor: float, share: float) -> str:
        """Return why a grey image (H, W) is too blurred to keep, empty where it is not."""
        found = sharpness(grey)
        usual = float(np.median(self._recent)) if self._recent else 0.0
        self._recent.append(found)
        if found < floor:
            return f"blurred: sharpness {found:.1f}, at least {floor:.1f} is needed"
        if found < share * usual:
            return f"blurred: sharpness {found:.1f}, recent images have {usual:.1f}"
        return ""
