# SPDX-License-Identifier: Apache-2.0
"""The newest camera_info, and whether it fits an image."""

from __future__ import annotations

from typing import Any

from ace_ros.data.camera_info import camera_of_info
from ace_ros.errors import CameraError
from ace_ros.geometry.camera import Camera


class CameraSource:
    """Keeps the newest CameraInfo message; it is looked at when an image needs it."""

    def __init__(self, topic: str, rectified: bool) -> None:
        self._topic = topic
        self._rectified = rectified
        self._info: Any = None

    def take(self, info: Any) -> None:
        """Take a sensor_msgs/CameraInfo message."""
        self._info = info

    def camera(self) -> Camera:
        """Return the camera. Raises CameraError where none has arrived or it is unusable."""
        if self._info is None:
            raise CameraError(f"no camera_info has arrived on {self._topic}")
        return camera_of_info(self._info, self._rectified)


def check_size(pixels_shape: tuple[int, ...], camera: Camera) -> None:
    """Raise CameraError where an image of shape (H, W, ...) is not of the camera's size."""
    height, width = pixels_shape[:2]
    if (width, height) != camera.size:
        raise CameraError(
            f"the image is {width}x{height}, its camera_info says {camera.size[0]}x{camera.size[1]}"
        )
