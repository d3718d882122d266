# SPDX-License-Identifier: Apache-2.0
"""For launch files: Fast DDS with shared memory that holds images, where the user has not chosen."""

from __future__ import annotations

from collections.abc import Mapping

from launch import Action, LaunchContext
from launch.actions import OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

# Fast DDS 3 (Kilted and later) reads the first. Fast DDS 2 reads the second, of which Kilted complains.
PROFILES, OLD_PROFILES = "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"
WITH_FASTDDS_2 = ("humble", "iron", "jazzy")
# With any of these the user has chosen how Fast DDS transports; the last one names the interfaces that
# it may use, which a profile would overrule.
CHOICES = (PROFILES, OLD_PROFILES, "FASTDDS_BUILTIN_TRANSPORTS", "ROS_LOCALHOST_ONLY")


def fit_images_into_shared_memory() -> Action:
    """Return the action that names config/fastdds_large_images.xml to the nodes launched after it."""
    return OpaqueFunction(function=_set_profile)


def _set_profile(context: LaunchContext) -> list[Action]:
    path = PathJoinSubstitution([FindPackageShare("ace_ros"), "config", "fastdds_large_images.xml"])
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
