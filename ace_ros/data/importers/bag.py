# SPDX-License-Identifier: Apache-2.0
"""Scene folders from rosbag2 (sqlite3, mcap) and ROS 1 bags; no ROS is needed, only `rosbags`.

Keyframes are chosen as the mapper node chooses them while it records: by distance and angle, with
the pose interpolated at the image's stamp.
"""

from __future__ import annotations

import logging
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from ace_ros.config import BagConfig
from ace_ros.data.camera_info import camera_of_info
from ace_ros.data.depth_image import check_aspect, depth_of_message, encode_depth
from ace_ros.data.image_decoding import decode_compressed, decode_image
from ace_ros.data.importers.bag_file import Bag, list_topics
from ace_ros.data.importers.new_scene import is_test_frame, new_scene
from ace_ros.data.importers.transforms import NoTransform, TransformTree
from ace_ros.data.recorder import SceneRecorder
from ace_ros.data.scene import DEPTH_FOLDER
from ace_ros.errors import CameraError, SceneError
from ace_ros.files.whole import write_atomically
from ace_ros.geometry.camera import Camera
from ace_ros.geometry.metrics import pose_error

log = logging.getLogger(__name__)

IMAGES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
CAMERA_INFO = ("sensor_msgs/msg/CameraInfo",)
TRANSFORMS = ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage")
POSES = (
    "nav_msgs/msg/Odometry",
    "geometry_msgs/msg/PoseStamped",
    "geometry_msgs/msg/PoseWithCovarianceStamped",
    "geometry_msgs/msg/TransformStamped",
)
# What a pose topic's frame is called when it is the camera and the bag has no name for it.
UNNAMED_CAMERA = "camera"


@dataclass
class BagReport:
    """What became of a bag's images: `dropped` counts them by reason."""

    images: int = 0
    train_frames: int = 0
    test_frames: int = 0
    with_depth: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


def import_bag(
    bag: Path,
    scene_folder: Path,
    config: BagConfig | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> BagReport:
    """Write the keyframes of a bag as a new scene folder.

    `bag` is a rosbag2 folder, an .mcap or .db3 file, or a ROS 1 .bag file. `on_progress` is called
    with the images done and all images. Raises SceneError in one sentence: no bag, a topic that is
    not there (and which are), no pose at any image.
    """
    config = config or BagConfig()
    with Bag(Path(bag)) as opened, new_scene(scene_folder) as folder:
        image_topic = opened.find("images", config.image_topic, IMAGES)
        cameras = _read_cameras(opened, image_topic, config)
        poses = _Poses(opened, config)
        writer = _Writer(folder, config)
        total = opened.count(image_topic)
        for message in opened.messages([image_topic]):
            writer.take(message, cameras, poses)
            if on_progress:
                on_progress(writer.report.images, total)
        if config.depth_topic:
            topic = opened.find("depth", config.depth_topic, IMAGES[:1])
            writer.report.with_depth = _add_depths(opened, topic, writer.keyframes, config.max_depth_gap_s)
        if writer.report.train_frames == 0:
            reasons = "; ".join(f"{why} ({first})" for why, first in writer.example.items())
            raise SceneError(
                f"{bag}: none of {total} images on {image_topic} could be used: "
                f"{reasons or 'the topic is empty'}"
            )
    log.info("%s: %s", scene_folder, writer.report)
    return writer.report


def _add_depths(bag: Bag, topic: str, keyframes: list[_Keyframe], max_gap_s: float) -> int:
    """Write depth images beside keyframes; return how many have one.

    Each has the one nearest in time. The topic is read once, whatever the order in the bag. Raises
    SceneError where its images are not registered.
    """
    keyframes = sorted(keyframes, key=lambda keyframe: keyframe.stamp_ns)
    stamps = [keyframe.stamp_ns for keyframe in keyframes]
    nearest: dict[int, int] = {}
    for message in bag.messages([topic]):
        stamp = _stamp(message.header)
        after = bisect_right(stamps, stamp)
        for index in range(max(0, after - 1), min(after + 1, len(stamps))):
            gap_ns = abs(stamps[index] - stamp)
            if gap_ns > min(1e9 * max_gap_s, nearest.get(index, math.inf)):
                continue
            try:
                data = keyframes[index].encoded_depth(message)
            except CameraError as error:
                raise SceneError(f"{bag.path}: topic {topic}: {error}") from error
            path = keyframes[index].image_path
            write_atomically(path.parent.with_name(DEPTH_FOLDER) / f"{path.stem}.png", data)
            nearest[index] = gap_ns
    return len(nearest)


@dataclass(frozen=True)
class _Keyframe:
    stamp_ns: int
    image_path: Path
    size: tuple[int, int]
    frame: str

    def encoded_depth(self, message: Any) -> bytes:
        """Return a depth message as a file of this keyframe. Raises CameraError."""
        if message.header.frame_id != self.frame:
            raise CameraError(
                f"depth is in frame {message.header.frame_id!r}, the images in {self.frame!r}; expected "
                "depth registered to the images"
            )
        depth_mm = depth_of_message(message)
        check_aspect((depth_mm.shape[1], depth_mm.shape[0]), self.size)
        return encode_depth(depth_mm)


class _Cameras:
    """The cameras of a bag over time: the last camera_info up to an image's stamp counts."""

    def __init__(self, stamps: list[int], cameras: list[Camera]) -> None:
        self._stamps, self._cameras = stamps, cameras

    def at(self, stamp_ns: int) -> Camera:
        """Return the camera of an image's stamp."""
        return self._cameras[max(0, bisect_right(self._stamps, stamp_ns) - 1)]


def _read_cameras(bag: Bag, image_topic: str, config: BagConfig) -> _Cameras:
    topic = config.camera_info_topic
    if not topic:
        beside = image_topic.removesuffix("/compressed").rsplit("/", 1)[0] + "/camera_info"
        topic = beside if beside in bag.topics(CAMERA_INFO) else ""
    topic = bag.find("camera_info", topic, CAMERA_INFO)
    stamps: list[int] = []
    cameras: list[Camera] = []
    for message in bag.messages([topic]):
        try:
            camera = camera_of_info(_info(message), config.rectified)
        except CameraError as error:
            raise SceneError(f"{bag.path}: topic {topic}: {error}") from error
        stamps.append(_stamp(message.header))
        cameras.append(camera)
    if not cameras:
        raise SceneError(f"{bag.path}: topic {topic} has no messages, expected the intrinsics")
    return _Cameras(stamps, cameras)


def _info(message: Any) -> Any:
    """Return a CameraInfo with ROS 2's names; ROS 1 has K, D and P."""
    if hasattr(message, "k"):
        return message
    names = ("width", "height", "distortion_model", "binning_x", "binning_y", "roi")
    values = {name: getattr(message, name) for name in names}
    return SimpleNamespace(**values, k=message.K, d=message.D, p=message.P)


def _stamp(header: Any) -> int:
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def _decode(message: Any) -> np.ndarray:
    if hasattr(message, "format"):
        return decode_compressed(message.data, message.format)
    return decode_image(
        message.encoding, message.height, message.width, message.step,
        bool(message.is_bigendian), message.data,
    )  # fmt: skip


class _Poses:
    """The transforms of a bag, and T_odom_camera at a stamp."""

    def __init__(self, bag: Bag, config: BagConfig) -> None:
        self._bag, self._config = bag, config
        self._tree = TransformTree(int(config.max_gap_s * 1e9))
        self._odom = config.odom_frame
        # A topic's pose replaces what /tf says about the same frame.
        self._child = ""
        if config.pose_topic:
            self._read_topic(bag.find("poses", config.pose_topic, POSES))
        self._read_tf()

    def at(self, stamp_ns: int, image_frame: str) -> np.ndarray:
        """Return T_odom_camera (4, 4); raises NoTransform."""
        named = UNNAMED_CAMERA if self._child == UNNAMED_CAMERA else image_frame.lstrip("/")
        return self._tree.lookup(self._odom, self._config.camera_frame or named, stamp_ns)

    def _read_topic(self, topic: str) -> None:
        for message in self._bag.messages([topic]):
            child = getattr(message, "child_frame_id", "") or self._config.base_frame
            child = child.lstrip("/") or self._config.camera_frame or UNNAMED_CAMERA
            self._odom, self._child = message.header.frame_id.lstrip("/"), child
            T = getattr(message, "transform", None)
            if T is None:
                pose = getattr(message.pose, "pose", message.pose)
                t, q = pose.position, pose.orientation
            else:
                t, q = T.translation, T.rotation
            self._add(self._odom, child, _stamp(message.header), t, q)

    def _read_tf(self) -> None:
        topics = list(self._bag.topics(TRANSFORMS))
        if not topics and not self._config.pose_topic:
            known = list_topics(self._bag.topics())
            raise SceneError(f"{self._bag.path}: no /tf for the poses, name a pose topic; {known}")
        for topic, message in self._bag.messages_with_topic(topics):
            for transform in message.transforms:
                child = transform.child_frame_id.lstrip("/")
                if child != self._child:
                    stamp = None if topic.endswith("_static") else _stamp(transform.header)
                    parent = transform.header.frame_id.lstrip("/")
                    T = transform.transform
                    self._add(parent, child, stamp, T.translation, T.rotation)

    def _add(self, parent: str, child: str, stamp_ns: int | None, t: Any, q: Any) -> None:
        self._tree.add(parent, child, stamp_ns, np.array([t.x, t.y, t.z]), np.array([q.x, q.y, q.z, q.w]))


class _Writer:
    """Chooses keyframes among images and writes them."""

    def __init__(self, folder: Path, config: BagConfig) -> None:
        self.report = BagReport()
        self.example: dict[str, str] = {}  # the first error of each reason
        self.keyframes: list[_Keyframe] = []
        self._config = config
        self._folder = folder
        self._train = SceneRecorder(folder, "train", config.image_format)
        self._test: SceneRecorder | None = None
        self._last: torch.Tensor | None = None

    def take(self, message: Any, cameras: _Cameras, poses: _Poses) -> None:
        """Write one image if it is a keyframe; count it."""
        self.report.images += 1
        stamp = _stamp(message.header)
        try:
            T = poses.at(stamp, message.header.frame_id)
            if self._is_near(torch.from_numpy(T)):
                self.report.dropped["near the last keyframe"] += 1
                return
            image, camera = _decode(message), cameras.at(stamp)
            path = self._recorder().add(image, T, camera, stamp, message.header.frame_id)
        except (NoTransform, CameraError) as error:
            reason = "no pose" if isinstance(error, NoTransform) else "no usable image"
            self.report.dropped[reason] += 1
            self.example.setdefault(reason, str(error))
            return
        self._last = torch.from_numpy(T)
        self.keyframes.append(_Keyframe(stamp, path, camera.size, message.header.frame_id))
        self.report.train_frames = self._train.frames
        self.report.test_frames = self._test.frames if self._test else 0

    def _recorder(self) -> SceneRecorder:
        if not is_test_frame(self.report.train_frames + self.report.test_frames, self._config.test_share):
            return self._train
        self._test = self._test or SceneRecorder(self._folder, "test", self._config.image_format)
        return self._test

    def _is_near(self, T: torch.Tensor) -> bool:
        if self._last is None:
            return False
        distance, angle = pose_error(self._last, T)
        return (
            float(distance) < self._config.keyframe_distance_m
            and float(torch.rad2deg(angle)) < self._config.keyframe_angle_deg
        )
