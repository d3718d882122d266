# SPDX-License-Identifier: Apache-2.0
"""The cameras of a bag over time: one that zooms or is calibrated again is another from then on."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from types import SimpleNamespace
from typing import Any

import torch

from ace_ros.config import BagConfig
from ace_ros.data.camera_info import camera_of_info
from ace_ros.data.importers.bag_file import Bag
from ace_ros.errors import CameraError, SceneError
from ace_ros.geometry.camera import Camera

CAMERA_INFO = ("sensor_msgs/msg/CameraInfo",)


class Cameras:
    """The cameras of a bag, by the stamps of their camera_info in nanoseconds.

    An image has that of its own stamp, or that of the messages around it where they agree.
    """

    def __init__(self, infos: list[tuple[int, Camera | CameraError]]) -> None:
        infos = sorted(infos, key=lambda info: info[0])
        self._stamps = [stamp for stamp, _ in infos]
        self._cameras = [camera for _, camera in infos]

    def at(self, stamp_ns: int) -> Camera:
        """Return the camera of an image's stamp. Raises CameraError where it is unusable or not known."""
        first, after = bisect_left(self._stamps, stamp_ns), bisect_right(self._stamps, stamp_ns)
        last = len(self._stamps) - 1
        around = self._cameras[max(0, min(first - (first == after), last)) : min(after, last) + 1]
        if first < after:  # of the same stamp
            around = self._cameras[first:after]
        for camera in around:
            if isinstance(camera, CameraError):
                raise camera
        if not all(_alike(camera, around[0]) for camera in around):
            raise CameraError("camera_info changes at the image, which may be of the camera before or after")
        return around[0]  # type: ignore[return-value]


def read_cameras(bag: Bag, image_topic: str, config: BagConfig) -> Cameras:
    """Return the cameras of an image topic's camera_info. Raises SceneError where none is usable."""
    topic = config.camera_info_topic
    if not topic:
        beside = image_topic.removesuffix("/compressed").rsplit("/", 1)[0] + "/camera_info"
        topic = beside if beside in bag.topics(CAMERA_INFO) else ""
    topic = bag.find("camera_info", topic, CAMERA_INFO)
    infos: list[tuple[int, Camera | CameraError]] = []
    for message in bag.messages([topic]):
        try:
            camera: Camera | CameraError = camera_of_info(_with_names_of_ros2(message), config.rectified)
        except CameraError as error:
            camera = error
        infos.append((stamp_of(message.header), camera))
    if not infos:
        raise SceneError(f"{bag.path}: topic {topic} has no messages, expected the intrinsics")
    errors = [camera for _, camera in infos if isinstance(camera, CameraError)]
    if len(errors) == len(infos):
        raise SceneError(f"{bag.path}: topic {topic}: {errors[0]}") from errors[0]
    return Cameras(infos)


def stamp_of(header: Any) -> int:
    """Return the stamp of a header in nanoseconds."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def _alike(one: Camera | CameraError, other: Camera | CameraError) -> bool:
    assert isinstance(one, Camera) and isinstance(other, Camera)
    if (one.size, one.model) != (other.size, other.model) or not torch.equal(one.matrix, other.matrix):
        return False
    a, b = one.distortion, other.distortion
    return a is b or (a is not None and b is not None and torch.equal(a, b))


def _with_names_of_ros2(message: Any) -> Any:
    """Return a CameraInfo with ROS 2's names; ROS 1 has K, D and P."""
    if hasattr(message, "k"):
        return message
    names = ("width", "height", "distortion_model", "binning_x", "binning_y", "roi")
    values = {name: getattr(message, name) for name in names}
    return SimpleNamespace(**values, k=message.K, d=message.D, p=message.P)
