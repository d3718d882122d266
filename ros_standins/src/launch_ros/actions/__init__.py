# SPDX-License-Identifier: Apache-2.0
"""Actions for ROS nodes."""

from __future__ import annotations

from launch_ros.actions.node import Node
from launch_ros.actions.scope import PushRosNamespace, SetParameter

__all__ = ["Node", "PushRosNamespace", "SetParameter"]
