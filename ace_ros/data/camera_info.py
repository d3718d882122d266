# SPDX-License-Identifier: Apache-2.0
"""Cameras of sensor_msgs/CameraInfo messages.

Only attributes of messages are read, so nothing here needs ROS.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ace_ros.data.lens import read_lens
from ace_ros.data.plausibility import require_fitting
from ace_ros.errors import CameraError
from ace_ros.geometry.camera import Camera


def camera_of_info(info: Any, rectified: bool = False) -> Camera:
    """Return the camera of a sensor_msgs/CameraInfo, for images of the size that it implies.

    Region of interest and binning are applied. `rectified` takes P, without distortion, in place
    of K and D. Raises CameraError with what was found and what was expected.
    """
    matrix = np.asarray(info.p if rectified else info.k, dtype=np.float64)
    name = "P" if rectified else "K"
    if not np.any(matrix):
        raise CameraError(f"camera_info has an all-zero {name}: the camera is not calibrated")
    K = matrix.reshape(3, -1)[:, :3]
    width, height = int(info.width), int(info.height)
    if width < 1 or height < 1:
        raise CameraError(f"camera_info says {width}x{height} pixels; expected the size of the images")
    model, distortion = ("pinhole", None)
    if not rectified:
        model, distortion = read_lens(info.distortion_model, info.d, "camera_info")
    camera = Camera(torch.from_numpy(K.copy()), (width, height), model, distortion)
    try:
        require_fitting(camera)  # before the region is cut out, which may leave the axis outside
    except CameraError as error:
        raise CameraError(f"camera_info: {error}") from error
    return _bin(_crop(camera, info.roi), int(info.binning_x), int(info.binning_y))


def _crop(camera: Camera, roi: Any) -> Camera:
    x, y, width, height = int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height)
    if width == 0 and height == 0:  # zero means the whole image
        return camera
    if width < 1 or height < 1 or x + width > camera.size[0] or y + height > camera.size[1]:
        raise CameraError(
            f"camera_info has a region of {width}x{height} at ({x}, {y}), which is not inside "
            f"{camera.size[0]}x{camera.size[1]}"
        )
    K = camera.matrix.clone()
    K[0, 2] -= x
    K[1, 2] -= y
    return Camera(K, (width, height), camera.model, camera.distortion)


def _bin(camera: Camera, x: int, y: int) -> Camera:
    x, y = max(x, 1), max(y, 1)  # 0 means 1
    width, height = camera.size[0] // x, camera.size[1] // y
    if width < 1 or height < 1:
        raise CameraError(f"camera_info has binning {x}x{y} of {camera.size[0]}x{camera.size[1]} pixels")
    # Binning drops a rest of pixels at the right and the bottom, and averages the others.
    whole = Camera(camera.matrix, (width * x, height * y), camera.model, camera.distortion)
    return whole.resize(width, height)
