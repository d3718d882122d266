# SPDX-License-Identifier: Apache-2.0
"""What the mapper shows in RViz: keyframes while it records, the map as it grows while it trains."""

from __future__ import annotations

import threading
from typing import Any

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from ace_ros.mapping.jobs.messages import decode_cloud
from ace_ros.nodes.clouds import cloud_message
from ace_ros.nodes.conversions import fill_path
from ace_ros.nodes.keyframes import Trail
from ace_ros.nodes.publishing import LATCHED, publish

GROWTH = 1.0 / 16.0  # of a path that is worth showing it anew
MOST_POSES = 4096  # of a path: as many again take 5 MB of messages


class MappingViews:
    """Topics keyframes and mapping_cloud; what is shown already is not published again."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._cloud = node.create_publisher(PointCloud2, "mapping_cloud", LATCHED)
        self._keyframes = node.create_publisher(Path, "keyframes", LATCHED)
        self._shown_keyframes = 0
        self._lock = threading.Lock()  # the timer and services show keyframes
        self._shown_cloud: dict[str, Any] = {}

    def show_cloud(self, event: dict[str, Any], frame: str) -> None:
        """Publish the cloud that the trainer has told of last; an empty `event` is none yet."""
        if not event or event is self._shown_cloud:
            return
        self._shown_cloud = event
        header = Header(frame_id=frame, stamp=self._node.get_clock().now().to_msg())
        publish(self._node, self._cloud, cloud_message(header, *decode_cloud(event)))

    def begin_recording(self) -> None:
        """Take note that keyframes begin anew; those shown stay until there is one."""
        self._shown_keyframes = 0

    def show_keyframes(self, keyframes: Trail, frame: str, all_of_them: bool = False) -> None:
        """Publish the path of keyframes in a frame, if it has grown by a part or `all_of_them` are wanted.

        The message has them all, or a few thousand evenly chosen ones of a long drive. If each new one were
        published, a drive of twice the length would cost four times as much.
        """
        with self._lock:
            count = len(keyframes)
            if count == self._shown_keyframes or not (
                all_of_them or count >= (1.0 + GROWTH) * self._shown_keyframes
            ):
                return
            self._shown_keyframes = count
            path = Path()
            path.header.frame_id = frame
            publish(self._node, self._keyframes, fill_path(path, PoseStamped, keyframes.thinned(MOST_POSES)))
