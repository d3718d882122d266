# SPDX-License-Identifier: Apache-2.0
"""The camera_info that belongs to an image, and whether it fits."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from typing import Any

import torch

from ace_ros.data.camera_info import camera_of_info
from ace_ros.errors import CameraError
from ace_ros.geometry.camera import Camera
from ace_ros.nodes.conversions import stamp_ns

KEPT_INFOS = 100
SAME_RAY = 0.05  # on the plane z = 1: zoom and focus move rays by less from image to image
SETTLED_S = 5.0


class CameraSource:
    """Keeps the newest CameraInfo messages; they are looked at when an image needs one.

    An image takes the message of its own stamp, else the newest. After a change to another lens (images
    that change their size, too, show that by themselves) none has a camera until it has lasted: two
    calibrations that take turns are two publishers on one topic, and poses with the wrong one are wrong.
    """

    def __init__(self, topic: str, rectified: bool) -> None:
        self._topic, self._rectified = topic, rectified
        self._lock = threading.Lock()
        self._infos: OrderedDict[int, Any] = OrderedDict()
        self._newest: Any = None
        self._camera: Camera | None = None  # of the newest that was usable
        self._change, self._changed_at = "", -math.inf

    def take(self, info: Any) -> None:
        """Take a sensor_msgs/CameraInfo message."""
        with self._lock:
            if self._newest is None or _contents(info) != _contents(self._newest):
                self._notice_change(info)
            self._newest = info
            stamp = stamp_ns(info.header.stamp)
            self._infos.pop(stamp, None)
            self._infos[stamp] = info
            if len(self._infos) > KEPT_INFOS:
                self._infos.popitem(last=False)

    def camera(self, stamp: int = 0) -> Camera:
        """Return the camera of an image stamped so, in nanoseconds.

        Raises CameraError where none has arrived, it is unusable, or has just become another one.
        """
        with self._lock:
            info = self._infos.get(stamp, self._newest)
            since = time.monotonic() - self._changed_at
        if info is None:
            raise CameraError(f"no camera_info has arrived on {self._topic}")
        camera = camera_of_info(info, self._rectified)
        if since < SETTLED_S:
            raise CameraError(
                f"camera_info on {self._topic} has changed {self._change}; expected one lens for at least "
                f"{SETTLED_S:g} s: do two nodes publish it?"
            )
        return camera

    def _notice_change(self, info: Any) -> None:
        try:
            camera = camera_of_info(info, self._rectified)
        except CameraError:  # said when an image needs it
            return
        before, self._camera = self._camera, camera
        if before is not None and not see_alike(before, camera):
            self._change = f"from {_in_words(before)} to {_in_words(camera)}"
            self._changed_at = time.monotonic()


def _contents(info: Any) -> tuple[Any, ...]:
    """Return what a message says of the camera."""
    roi = info.roi
    size = (info.width, info.height, info.binning_x, info.binning_y)
    region = (roi.x_offset, roi.y_offset, roi.width, roi.height)
    return info.distortion_model, tuple(info.k), tuple(info.p), tuple(info.d), size, region


def see_alike(one: Camera, other: Camera) -> bool:
    """Return whether two cameras see the same way, by the rays of the borders of their images."""
    if one.size != other.size:
        return True
    x, y = (torch.linspace(0.0, n - 1.0, 3, dtype=torch.float64) for n in one.size)
    pixels = torch.cartesian_prod(x, y)
    apart = (one.unproject(pixels) - other.unproject(pixels)).norm(dim=1)
    return not bool((apart > SAME_RAY).any())


def _in_words(camera: Camera) -> str:
    return f"{camera.model} with a focal length of {float(camera.matrix[0, 0]):.1f} px"


def check_size(pixels_shape: tuple[int, ...], camera: Camera) -> None:
    """Raise CameraError where an image of shape (H, W, ...) is not of the camera's size."""
    height, width = pixels_shape[:2]
    if (width, height) != camera.size:
        raise CameraError(
            f"the image is {width}x{height}, its camera_info says {camera.size[0]}x{camera.size[1]}"
        )
