# SPDX-License-Identifier: Apache-2.0
"""Between ROS messages and the core's types: transforms, poses, cameras.

Messages are read and filled by their attributes only, so nothing here imports ROS. Transforms are
(4, 4) float64 tensors; `T_a_b` is the message with frame_id a and child_frame_id b.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from ace_ros.files.limits import MAX_POSITION_M
from ace_ros.geometry.camera import Camera
from ace_ros.geometry.se3 import from_quaternion, from_rotation_translation, skew, to_quaternion

NANOSECONDS = 1_000_000_000
IDEAL_FISHEYE_K1 = 1e-12  # all zeros would mean that there is no distortion, whatever the model's name
UNIT_TOLERANCE = 1e-2  # of the squared length of a quaternion, as in tf2


def stamp_ns(stamp: Any) -> int:
    """Return a builtin_interfaces/Time in nanoseconds."""
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def fill_stamp(stamp: Any, nanoseconds: int) -> Any:
    """Write nanoseconds into a builtin_interfaces/Time and return it."""
    stamp.sec, stamp.nanosec = divmod(nanoseconds, NANOSECONDS)
    return stamp


def matrix_of_transform(transform: Any) -> Tensor:
    """Return the matrix of a geometry_msgs/Transform; NaN where its quaternion is of no length."""
    return _matrix(transform.translation, transform.rotation)


def matrix_of_pose(pose: Any) -> Tensor:
    """Return the matrix of a geometry_msgs/Pose; NaN where its quaternion is of no length."""
    return _matrix(pose.position, pose.orientation)


def complaint_of(t: Any, q: Any) -> str:
    """Return what is wrong with a position and a quaternion of a message, empty where they are a pose."""
    numbers = (t.x, t.y, t.z, q.x, q.y, q.z, q.w)
    if not all(map(math.isfinite, numbers)):
        return f"has numbers that are not finite: {', '.join(f'{number:g}' for number in numbers)}"
    if max(map(abs, numbers[:3])) > MAX_POSITION_M:
        return f"has the position ({t.x:g}, {t.y:g}, {t.z:g}) m, expected less than {MAX_POSITION_M:g} m"
    length = math.hypot(*numbers[3:])
    if abs(length * length - 1.0) > UNIT_TOLERANCE:
        return f"has a quaternion of length {length:.3g}, expected 1"
    return ""


def _matrix(t: Any, q: Any) -> Tensor:
    translation = torch.tensor([t.x, t.y, t.z], dtype=torch.float64)
    rotation = from_quaternion(torch.tensor([q.x, q.y, q.z, q.w], dtype=torch.float64))
    return from_rotation_translation(rotation, translation)


def fill_transform(transform: Any, T: Tensor) -> Any:
    """Write a matrix into a geometry_msgs/Transform and return it."""
    _fill(transform.translation, transform.rotation, T)
    return transform


def fill_pose(pose: Any, T: Tensor) -> Any:
    """Write a matrix into a geometry_msgs/Pose and return it."""
    _fill(pose.position, pose.orientation, T)
    return pose


def fill_path(path: Any, pose_stamped: type, poses: Iterable[tuple[int, Sequence[float]]]) -> Any:
    """Write poses into a nav_msgs/Path whose frame is set; return it.

    Each is a stamp in nanoseconds and x, y, z with the quaternion x, y, z, w; `pose_stamped` is the class
    PoseStamped.
    """
    for stamp, (x, y, z, *quaternion) in poses:
        pose = pose_stamped()
        pose.header.frame_id = path.header.frame_id
        fill_stamp(pose.header.stamp, stamp)
        t, q = pose.pose.position, pose.pose.orientation
        t.x, t.y, t.z = x, y, z
        q.x, q.y, q.z, q.w = quaternion
        path.poses.append(pose)
    path.header.stamp = path.poses[-1].header.stamp
    return path


def _fill(t: Any, q: Any, T: Tensor) -> None:
    t.x, t.y, t.z = T[:3, 3].tolist()
    q.x, q.y, q.z, q.w = to_quaternion(T[:3, :3]).tolist()


def covariance_of_base(covariance: Tensor, T_map_camera: Tensor, T_camera_base: Tensor) -> Tensor:
    """Return the covariance (6, 6) of the base's pose from that (6, 6) of the camera's.

    Both are about the map's axes, position first. An error of the camera's rotation moves the base
    by the lever between them.
    """
    lever = T_map_camera[:3, :3] @ T_camera_base[:3, 3]
    J = torch.eye(6, dtype=covariance.dtype)
    J[:3, 3:] = -skew(lever)
    return J @ covariance @ J.T


def fill_covariance(message: Any, covariance: Tensor) -> Any:
    """Write a covariance (6, 6) into the field of a geometry_msgs/PoseWithCovariance."""
    message.covariance = covariance.reshape(36).tolist()
    return message


def fill_camera_info(info: Any, camera: Camera) -> Any:
    """Write a camera into a sensor_msgs/CameraInfo (but its header) and return it."""
    info.width, info.height = camera.size
    K = camera.matrix
    info.k = K.reshape(9).tolist()
    info.r = torch.eye(3, dtype=torch.float64).reshape(9).tolist()
    info.p = torch.cat([K, K.new_zeros(3, 1)], 1).reshape(12).tolist()
    info.distortion_model = "plumb_bob" if camera.model == "pinhole" else camera.model
    info.d = [0.0] * 5 if camera.distortion is None else camera.distortion.tolist()
    if camera.model == "equidistant" and not any(info.d):
        info.d = [IDEAL_FISHEYE_K1, 0.0, 0.0, 0.0]
    return info
