# SPDX-License-Identifier: Apache-2.0
"""What the localizer publishes besides its status: poses, transforms, the map's points, a picture."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import PoseWithCovarianceStamped, TransformStamped
from rclpy.node import Node
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header
from tf2_ros import TransformBroadcaster
from torch import Tensor

from ace_ros.maps.scene_map import SceneMap
from ace_ros.nodes.clouds import cloud_message
from ace_ros.nodes.conversions import fill_covariance, fill_pose, fill_transform
from ace_ros.nodes.debug_image import draw_cells
from ace_ros.nodes.images import image_message, to_bgr
from ace_ros.nodes.map_loading import Located
from ace_ros.nodes.publishing import LATCHED, publish, send


class LocalizerTopics:
    """The topics pose, map_cloud, debug_image and /tf of a node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._pose = node.create_publisher(PoseWithCovarianceStamped, "pose", 10)
        self._cloud = node.create_publisher(PointCloud2, "map_cloud", LATCHED)
        self._debug = node.create_publisher(Image, "debug_image", 1)
        self._tf = TransformBroadcaster(node)

    def send_cloud(self, scene_map: SceneMap, frame: str) -> None:
        """Publish the points of a map."""
        header = Header(frame_id=frame, stamp=self._node.get_clock().now().to_msg())
        publish(self._node, self._cloud, cloud_message(header, *scene_map.cloud()))

    def send_pose(self, stamp: Any, frame: str, T_map_base: Tensor, covariance: Tensor) -> None:
        """Publish where the robot is in the map's frame."""
        pose = PoseWithCovarianceStamped()
        pose.header.stamp, pose.header.frame_id = stamp, frame
        fill_pose(pose.pose.pose, T_map_base)
        fill_covariance(pose.pose, covariance)
        publish(self._node, self._pose, pose)

    def send_transform(self, stamp: Any, parent: str, child: str, T_parent_child: Tensor) -> None:
        """Publish a transform on /tf."""
        transform = TransformStamped(child_frame_id=child)
        transform.header.stamp, transform.header.frame_id = stamp, parent
        fill_transform(transform.transform, T_parent_child)
        send(self._node, self._tf.sendTransform, transform)

    def send_debug_image(self, message: Any, image: Any, found: Located, latency_ms: float) -> None:
        """Publish which parts of an image agree with its pose, if anybody looks."""
        if self._debug.get_subscription_count() == 0:
            return
        text = f"{int(found.inliers.sum())} of {len(found.inliers)} cells agree, {latency_ms:.0f} ms"
        picture = draw_cells(to_bgr(image), found.pixels.numpy(), found.inliers.numpy(), text)
        publish(self._node, self._debug, image_message(picture, message.header))
