# SPDX-License-Identifier: Apache-2.0
"""Publishes one static transform: `ros2 run tf2_ros static_transform_publisher --help`."""

from __future__ import annotations

import argparse
import sys

import rclpy
from geometry_msgs.msg import TransformStamped
from rclpy.executors import ExternalShutdownException
from rclpy.utilities import remove_ros_args
from tf2_ros.broadcasters import StaticTransformBroadcaster
from tf2_ros.rigid import Quaternion, from_euler, normalize


def main() -> int:
    """Publish until interrupted."""
    transform = parse(remove_ros_args(sys.argv)[1:])
    rclpy.init()
    node = rclpy.create_node("static_transform_publisher")
    try:
        transform.header.stamp = node.get_clock().now().to_msg()
        StaticTransformBroadcaster(node).sendTransform(transform)
        node.get_logger().info(
            f"Spinning until stopped - publishing transform from '{transform.header.frame_id}' "
            f"to '{transform.child_frame_id}'"
        )
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


def parse(given: list[str]) -> TransformStamped:
    """Return the transform that a command line describes; exit with a usage line if it does not."""
    parser = argparse.ArgumentParser("static_transform_publisher", description=__doc__)
    for name in ("x", "y", "z"):
        parser.add_argument(f"--{name}", type=float, default=0.0, help="translation in metres")
    for name in ("qx", "qy", "qz", "qw"):
        parser.add_argument(f"--{name}", type=float, help="rotation as a quaternion")
    for name in ("roll", "pitch", "yaw"):
        parser.add_argument(f"--{name}", type=float, help="rotation in radians about x, y, z")
    parser.add_argument("--frame-id", required=True, help="parent frame")
    parser.add_argument("--child-frame-id", required=True, help="child frame")
    values = parser.parse_args(given)

    transform = TransformStamped(child_frame_id=values.child_frame_id)
    transform.header.frame_id = values.frame_id
    t, r = transform.transform.translation, transform.transform.rotation
    t.x, t.y, t.z = values.x, values.y, values.z
    r.x, r.y, r.z, r.w = _rotation(values, parser)
    return transform


def _rotation(values: argparse.Namespace, parser: argparse.ArgumentParser) -> Quaternion:
    quaternion = (values.qx, values.qy, values.qz, values.qw)
    euler = (values.roll, values.pitch, values.yaw)
    if any(v is not None for v in quaternion) and any(v is not None for v in euler):
        parser.error("give the rotation as a quaternion or as angles, not both")
    if all(v is None for v in quaternion):
        return from_euler(*(v or 0.0 for v in euler))
    x, y, z = (v or 0.0 for v in quaternion[:3])
    w = 1.0 if values.qw is None else values.qw
    if x == y == z == w == 0.0:
        parser.error("the quaternion is zero")
    return normalize((x, y, z, w))
