# SPDX-License-Identifier: Apache-2.0
"""Launch ROS nodes, with the API of ROS 2's launch_ros."""

from __future__ import annotations

from launch_ros import actions, parameter_descriptions, substitutions
