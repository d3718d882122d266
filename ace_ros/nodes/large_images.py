# SPDX-License-Identifier: Apache-2.0
"""Shared memory of Fast DDS that holds images (nodes, launch files) where the user has not chosen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launch import Action, LaunchContext

PROFILE = "config/fastdds_large_images.xml"
# Fast DDS 3 (Kilted and later) reads the first. Fast DDS 2 reads the second, of which Kilted complains.
PROFILES, OLD_PROFILES = "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"
WITH_FASTDDS_2 = ("humble", "iron", "jazzy")
# With any of these the user has chosen how Fast DDS transports; the last one names the interfaces that
# it may use, which a profile would overrule.
CHOICES = (PROFILES, OLD_PROFILES, "FASTDDS_BUILTIN_TRANSPORTS", "ROS_LOCALHOST_ONLY")


def use_profile() -> None:
    """Name config/fastdds_large_images.xml to this process; call it before rclpy.init."""
    from ament_index_python import get_package_share_directory

    try:
        path = Path(get_package_share_directory("ace_ros")) / PROFILE
    except LookupError:  # not installed as a ROS package
        return
    for name in variables(os.environ):
        os.environ[name] = str(path)


def fit_images_into_shared_memory() -> Action:
    """Return the action that names it to all nodes launched after it, those of other packages, too."""
    from launch.actions import OpaqueFunction

    return OpaqueFunction(function=_set_profile)


def _set_profile(context: LaunchContext) -> list[Action]:
    from launch.actions import SetEnvironmentVariable
    from launch.substitutions import PathJoinSubstitution
    from launch_ros.substitutions import FindPackageShare

    path = PathJoinSubstitution([FindPackageShare("ace_ros"), PROFILE])
    return [SetEnvironmentVariable(name, path) for name in variables(context.environment)]


def variables(environment: Mapping[str, str]) -> list[str]:
    """Return the variables to set in an environment; none where it has another middleware or a choice."""
    middleware = environment.get("RMW_IMPLEMENTATION", "")
    other = middleware != "" and not middleware.startswith("rmw_fastrtps")
    chosen = any(environment.get(name, "") not in ("", "0") for name in CHOICES)
    if other or chosen:
        return []
    old = environment.get("ROS_DISTRO", "") in WITH_FASTDDS_2
    return [PROFILES, OLD_PROFILES] if old else [PROFILES]
