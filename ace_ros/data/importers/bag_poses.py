# SPDX-License-Identifier: Apache-2.0
"""The poses of a bag: of its /tf, or of a topic."""

from __future__ import annotations

from typing import Any

import numpy as np

from ace_ros.config import BagConfig
from ace_ros.data.importers.bag_cameras import stamp_of
from ace_ros.data.importers.bag_file import Bag, list_topics
from ace_ros.data.importers.transforms import TransformTree
from ace_ros.errors import SceneError
from ace_ros.files.names import frame_name

TRANSFORMS = ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage")
POSES = (
    "nav_msgs/msg/Odometry",
    "geometry_msgs/msg/PoseStamped",
    "geometry_msgs/msg/PoseWithCovarianceStamped",
    "geometry_msgs/msg/TransformStamped",
)
# What a pose topic's frame is called when it is the camera and the bag has no name for it.
UNNAMED_CAMERA = "camera"


class Poses:
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
        """Return T_odom_camera (4, 4) for images of a frame; raises NoTransform."""
        named = UNNAMED_CAMERA if self._child == UNNAMED_CAMERA else image_frame
        return self._tree.lookup(self._odom, self._config.camera_frame or named, stamp_ns)

    def _read_topic(self, topic: str) -> None:
        for message in self._bag.messages([topic]):
            child = frame_name(getattr(message, "child_frame_id", "")) or self._config.base_frame
            child = child or self._config.camera_frame or UNNAMED_CAMERA
            self._odom, self._child = frame_name(message.header.frame_id), child
            T = getattr(message, "transform", None)
            if T is None:
                pose = getattr(message.pose, "pose", message.pose)
                t, q = pose.position, pose.orientation
            else:
                t, q = T.translation, T.rotation
            self._add(self._odom, child, stamp_of(message.header), t, q)

    def _read_tf(self) -> None:
        topics = list(self._bag.topics(TRANSFORMS))
        if not topics and not self._config.pose_topic:
            known = list_topics(self._bag.topics())
            raise SceneError(f"{self._bag.path}: no /tf for the poses, name a pose topic; {known}")
        for topic, message in self._bag.messages_with_topic(topics):
            for transform in message.transforms:
                child = frame_name(transform.child_frame_id)
                if child != self._child:
                    stamp = None if topic.endswith("_static") else stamp_of(transform.header)
                    parent = frame_name(transform.header.frame_id)
                    T = transform.transform
                    self._add(parent, child, stamp, T.translation, T.rotation)

    def _add(self, parent: str, child: str, stamp_ns: int | None, t: Any, q: Any) -> None:
        self._tree.add(parent, child, stamp_ns, np.array([t.x, t.y, t.z]), np.array([q.x, q.y, q.z, q.w]))
