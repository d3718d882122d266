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
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ace_ros.config import BagConfig
from ace_ros.data.depth_image import check_aspect, depth_of_message, encode_depth
from ace_ros.data.image_decoding import decode_message
from ace_ros.data.importers.bag_cameras import Cameras, read_cameras, stamp_of
from ace_ros.data.importers.bag_file import Bag
from ace_ros.data.importers.bag_poses import Poses
from ace_ros.data.importers.new_scene import is_test_frame, new_scene
from ace_ros.data.importers.transforms import NoTransform
from ace_ros.data.plausibility import warn_of_drive
from ace_ros.data.recorder import SceneRecorder
from ace_ros.data.scene import DEPTH_FOLDER
from ace_ros.data.sixteen_bits import GrowingRange, Range, range_of, to_8_bit
from ace_ros.errors import CameraError, SceneError
from ace_ros.files.names import frame_name
from ace_ros.files.whole import write_atomically
from ace_ros.geometry.camera import Camera
from ace_ros.geometry.metrics import pose_error

log = logging.getLogger(__name__)

IMAGES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
RANGE_SAMPLES = 8  # images from which the range of 16-bit values is taken


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
        cameras = read_cameras(opened, image_topic, config)
        poses = Poses(opened, config)
        writer = _Writer(folder, config, _range_of(opened, image_topic))
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
        warn_of_drive(Path(bag), writer.keyframes)
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
        stamp = stamp_of(message.header)
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
    camera: Camera
    frame: str
    T_map_camera: np.ndarray

    def encoded_depth(self, message: Any) -> bytes:
        """Return a depth message as a file of this keyframe. Raises CameraError."""
        frame = frame_name(message.header.frame_id)
        if frame != self.frame:
            raise CameraError(
                f"depth is in frame {frame!r}, the images in {self.frame!r}; expected depth registered to "
                "the images"
            )
        depth_mm = depth_of_message(message)
        check_aspect((depth_mm.shape[1], depth_mm.shape[0]), self.camera.size)
        return encode_depth(depth_mm)


def _range_of(bag: Bag, topic: str) -> GrowingRange:
    """Return the range of the values of a topic's images, from some of them; empty where they have 8 bits."""
    step = max(1, bag.count(topic) // RANGE_SAMPLES)
    ranges: list[Range] = []

    def note(image: np.ndarray) -> np.ndarray:
        if image.dtype == np.uint16:
            ranges.append(range_of(image))
        return to_8_bit(image)

    for message in bag.messages([topic], step):
        with suppress(CameraError):  # said where that image is imported
            decode_message(message, note)
        if not ranges:  # the first has 8 bits, and so have the others
            break
    return GrowingRange(ranges)


class _NoCamera(CameraError):
    """No usable camera_info is known for an image."""


REASONS = {NoTransform: "no pose", _NoCamera: "no usable camera_info"}


def _camera_at(cameras: Cameras, stamp_ns: int) -> Camera:
    try:
        return cameras.at(stamp_ns)
    except CameraError as error:
        raise _NoCamera(str(error)) from error


class _Writer:
    """Chooses keyframes among images and writes them."""

    def __init__(self, folder: Path, config: BagConfig, given: GrowingRange) -> None:
        self.report = BagReport()
        self.example: dict[str, str] = {}  # the first error of each reason
        self.keyframes: list[_Keyframe] = []
        self._config = config
        self._folder = folder
        self._range = given
        self._train = SceneRecorder(folder, "train", config.image_format)
        self._test: SceneRecorder | None = None
        self._last: torch.Tensor | None = None

    def take(self, message: Any, cameras: Cameras, poses: Poses) -> None:
        """Write one image if it is a keyframe; count it."""
        self.report.images += 1
        stamp, frame = stamp_of(message.header), frame_name(message.header.frame_id)
        try:
            T = poses.at(stamp, frame)
            if self._is_near(torch.from_numpy(T)):
                self.report.dropped["near the last keyframe"] += 1
                return
            camera = _camera_at(cameras, stamp)
            image = decode_message(message, self._range.to_8_bit)
            path = self._recorder().add(image, T, camera, stamp, frame)
        except (NoTransform, _NoCamera, CameraError) as error:
            reason = REASONS.get(type(error), "no usable image")
            self.report.dropped[reason] += 1
            self.example.setdefault(reason, str(error))
            return
        self._last = torch.from_numpy(T)
        self.keyframes.append(_Keyframe(stamp, path, camera, frame, T))
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
