# SPDX-License-Identifier: Apache-2.0
"""Bags of a drive with known poses, written with rosbags."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from small_scenes import HEIGHT, MATRIX, WIDTH, picture

START_NS = 1_700_000_000_000_000_000
IMAGE_NS = 100_000_000
POSE_NS = 30_000_000  # no pose has the stamp of an image
SPEED, TURN = 1.0, 0.5  # metres and radians a second

T_BASE_CAMERA = np.eye(4)
T_BASE_CAMERA[:3, :3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]]
T_BASE_CAMERA[:3, 3] = 0.2, 0.05, 0.3


def true_pose(stamp_ns: int) -> np.ndarray:
    """Return T_odom_base (4, 4): straight on along x while turning about z."""
    seconds = (stamp_ns - START_NS) / 1e9
    T = np.eye(4)
    T[:3, :3] = cv2.Rodrigues(np.array([0, 0, TURN * seconds]))[0]
    T[0, 3] = SPEED * seconds
    return T


def quaternion(R: np.ndarray) -> tuple[float, ...]:
    rotation = cv2.Rodrigues(R)[0][:, 0]
    angle = float(np.linalg.norm(rotation))
    axis = rotation / angle if angle else rotation
    return *(axis * math.sin(angle / 2)), math.cos(angle / 2)


def depth(i: int) -> np.ndarray:
    """Return the depth image of an image, of half its size, in millimetres."""
    return np.full((HEIGHT // 2, WIDTH // 2), 1000 + i, "<u2")


@dataclass
class Drive:
    """What a bag holds. `kind` is sqlite3, mcap or ros1; `poses` tf, odometry, pose or none."""

    kind: str = "mcap"
    poses: str = "tf"
    images: int = 20
    compressed: bool = False
    matrix: np.ndarray = field(default_factory=lambda: MATRIX)
    info: bool = True
    info_height: int = HEIGHT
    pose_shift_ns: int = 0
    more_images: bool = False
    depth_shift_ns: int = 0
    depth_frame: str = "camera_optical"
    slash: str = ""  # before the names of all frames
    bits: int = 8  # of the images; of every second one, half the brightness where they are more
    zoom_at: int = 1000  # the image from which on the focal length is twice as long
    infos_lost: tuple[int, ...] = ()

    def write(self, path: Path) -> Path:
        """Write the bag and return what to open."""
        ros1 = self.kind == "ros1"
        path = path.with_suffix(".bag") if ros1 else path
        self._types = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_JAZZY)
        tf = "tf2_msgs/msg/TFMessage"
        if ros1:
            self._types.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", tf))
        self._seq: tuple = (0,) if ros1 else ()
        plugin = StoragePlugin.SQLITE3 if self.kind == "sqlite3" else StoragePlugin.MCAP
        self._connections: dict[str, Any] = {}
        with Writer1(path) if ros1 else Writer(path, version=9, storage_plugin=plugin) as self._bag:
            self._write_static()
            end = START_NS + self.images * IMAGE_NS
            for stamp in range(START_NS - POSE_NS // 2, end + POSE_NS, POSE_NS):
                self._write_pose(stamp + self.pose_shift_ns)
            for i in range(self.images):
                self._write_image(i, START_NS + i * IMAGE_NS)
        return path

    def _make(self, kind: str, *values: Any) -> Any:
        return self._types.types[kind](*values)

    def _header(self, stamp: int, frame: str) -> Any:
        time = self._make("builtin_interfaces/msg/Time", *divmod(stamp, 1_000_000_000))
        return self._make("std_msgs/msg/Header", *self._seq, time, self.slash + frame)

    def _write(self, topic: str, stamp: int, message: Any) -> None:
        kind = message.__msgtype__
        if topic not in self._connections:
            self._connections[topic] = self._bag.add_connection(topic, kind, typestore=self._types)
        ros1 = self.kind == "ros1"
        serialize = self._types.serialize_ros1 if ros1 else self._types.serialize_cdr
        self._bag.write(self._connections[topic], stamp, serialize(message, kind))

    def _transform(self, stamp: int, parent: str, child: str, T: np.ndarray) -> Any:
        t = self._make("geometry_msgs/msg/Vector3", *map(float, T[:3, 3]))
        q = self._make("geometry_msgs/msg/Quaternion", *quaternion(T[:3, :3]))
        transform = self._make("geometry_msgs/msg/Transform", t, q)
        header = self._header(stamp, parent)
        return self._make("geometry_msgs/msg/TransformStamped", header, self.slash + child, transform)

    def _write_static(self) -> None:
        static = self._transform(START_NS, "base_link", "camera_optical", T_BASE_CAMERA)
        self._write("/tf_static", START_NS, self._make("tf2_msgs/msg/TFMessage", [static]))

    def _write_pose(self, stamp: int) -> None:
        T = true_pose(stamp)
        if self.poses == "tf":
            moving = self._transform(stamp, "odom", "base_link", T)
            self._write("/tf", stamp, self._make("tf2_msgs/msg/TFMessage", [moving]))
        elif self.poses == "zero":
            moving = self._transform(stamp, "odom", "base_link", T)
            moving.transform.rotation = self._make("geometry_msgs/msg/Quaternion", 0.0, 0.0, 0.0, 0.0)
            self._write("/tf", stamp, self._make("tf2_msgs/msg/TFMessage", [moving]))
        elif self.poses == "odometry":
            self._write("/wheels", stamp, self._odometry(stamp, T))
            # tf of the same edge disagrees: the topic that was named must win.
            wrong = self._transform(stamp, "odom", "base_link", np.eye(4))
            self._write("/tf", stamp, self._make("tf2_msgs/msg/TFMessage", [wrong]))
        elif self.poses == "pose":
            header, pose = self._header(stamp, "world"), self._pose(T @ T_BASE_CAMERA)
            self._write("/camera_pose", stamp, self._make("geometry_msgs/msg/PoseStamped", header, pose))

    def _pose(self, T: np.ndarray) -> Any:
        point = self._make("geometry_msgs/msg/Point", *map(float, T[:3, 3]))
        q = self._make("geometry_msgs/msg/Quaternion", *quaternion(T[:3, :3]))
        return self._make("geometry_msgs/msg/Pose", point, q)

    def _odometry(self, stamp: int, T: np.ndarray) -> Any:
        zero = self._make("geometry_msgs/msg/Vector3", 0.0, 0.0, 0.0)
        twist = self._make("geometry_msgs/msg/Twist", zero, zero)
        return self._make(
            "nav_msgs/msg/Odometry",
            self._header(stamp, "odom"),
            "base_link",
            self._make("geometry_msgs/msg/PoseWithCovariance", self._pose(T), np.zeros(36)),
            self._make("geometry_msgs/msg/TwistWithCovariance", twist, np.zeros(36)),
        )

    def _write_depth(self, i: int, stamp: int) -> None:
        header, data = self._header(stamp, self.depth_frame), depth(i).view(np.uint8).ravel()
        values = (header, HEIGHT // 2, WIDTH // 2, "16UC1", 0, WIDTH, data)
        self._write("/front/depth", stamp, self._make("sensor_msgs/msg/Image", *values))

    def _write_image(self, i: int, stamp: int) -> None:
        header, image = self._header(stamp, "camera_optical"), picture(i)
        if self.bits > 8:
            image = np.asarray(image[..., 1] * ((1 + i % 2) / 2) * 2 ** (self.bits - 8), "<u2")
        if self.compressed:
            data = cv2.imencode(".png", image)[1].ravel()
            message = self._make("sensor_msgs/msg/CompressedImage", header, "bgr8; png", data)
            self._write("/front/image_raw/compressed", stamp, message)
        else:
            data = np.ascontiguousarray(image[..., ::-1]).ravel()
            values = (header, HEIGHT, WIDTH, "rgb8", 0, 3 * WIDTH, data)
            if self.bits > 8:
                values = (header, HEIGHT, WIDTH, "mono16", 0, 2 * WIDTH, image.view(np.uint8).ravel())
            self._write("/front/image_raw", stamp, self._make("sensor_msgs/msg/Image", *values))
            self._write_depth(i, stamp + self.depth_shift_ns)
            if self.more_images:
                self._write("/back/image_raw", stamp, self._make("sensor_msgs/msg/Image", *values))
        if self.info and i not in self.infos_lost:
            matrix = self.matrix * ([[2], [2], [1]] if i >= self.zoom_at else 1)
            matrix[:2, 2] = self.matrix[:2, 2]
            roi = self._make("sensor_msgs/msg/RegionOfInterest", 0, 0, 0, 0, False)
            P = np.column_stack([matrix, np.zeros(3)])
            message = self._make(
                "sensor_msgs/msg/CameraInfo", header, self.info_height, WIDTH, "plumb_bob",
                np.array([0.1, 0, 0, 0, 0]), matrix.ravel(), np.eye(3).ravel(), P.ravel(),
                0, 0, roi,
            )  # fmt: skip
            self._write("/front/camera_info", stamp, message)
