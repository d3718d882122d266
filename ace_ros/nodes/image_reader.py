# SPDX-License-Identifier: Apache-2.0
"""From an image message to what is localized: pixels and camera, or why it cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np

from ace_ros.compute.memory import is_out_of_memory
from ace_ros.errors import CameraError, MapError
from ace_ros.geometry.camera import Camera
from ace_ros.msg import LocalizationStatus as Status
from ace_ros.nodes.camera_source import CameraSource, check_size
from ace_ros.nodes.conversions import stamp_ns
from ace_ros.nodes.faults import Faults
from ace_ros.nodes.images import image_array
from ace_ros.nodes.stamps import Order, StampLine, apart

OUT_OF_MEMORY = (
    "memory ran out: close other programs, send smaller images, lower place_memory_mb or the solver's "
    "hypotheses, or set device to cpu where it was the GPU's"
)


class NotLocalized(Exception):
    """An image gave no accepted pose; `reason` is a constant of LocalizationStatus."""

    def __init__(self, reason: int, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ImageReader:
    """Reads the images of one stream, which are expected in the order of their stamps."""

    def __init__(self, cameras: CameraSource) -> None:
        self._cameras = cameras
        self._line = StampLine()

    def restart(self) -> None:
        """Take the next image whatever its stamp is: time has jumped."""
        self._line = StampLine()

    def read(self, message: Any) -> tuple[np.ndarray, Camera, int]:
        """Return pixels, camera and stamp in nanoseconds of an image message. Raises NotLocalized."""
        stamp = self._stamp(message)
        try:
            image = image_array(message)
        except CameraError as error:
            raise NotLocalized(Status.REASON_BAD_IMAGE, str(error)) from error
        try:
            camera = self._cameras.camera(stamp)
            check_size(image.shape, camera)
        except CameraError as error:
            raise NotLocalized(Status.REASON_NO_CAMERA, str(error)) from error
        return image, camera, stamp

    def _stamp(self, message: Any) -> int:
        stamp, newest = stamp_ns(message.header.stamp), self._line.newest
        if stamp <= 0:
            raise NotLocalized(Status.REASON_BAD_IMAGE, "the image has no time stamp")
        order = self._line.take(stamp)
        if order is Order.OLD or order is Order.APART:
            what = "has the stamp of the one before" if stamp == newest else apart(stamp, newest)
            raise NotLocalized(Status.REASON_BAD_IMAGE, f"the image {what}")
        return stamp


def why_not(error: Exception, faults: Faults) -> tuple[int, str]:
    """Return the reason and the sentence of an image that an error ended; an unexpected one is a fault."""
    if isinstance(error, NotLocalized):
        return error.reason, str(error)
    if isinstance(error, CameraError):
        return Status.REASON_NO_CAMERA, str(error)
    if isinstance(error, MapError):
        return Status.REASON_FAILED, str(error)
    said = faults.take(error, "localizing an image")
    return Status.REASON_FAILED, OUT_OF_MEMORY if is_out_of_memory(error) else said
