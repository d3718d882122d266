# SPDX-License-Identifier: Apache-2.0
"""Make the ROS 2 in `ros/` of this virtual environment visible, unless another ROS 2 is.

`make setup` puts this file and a .pth file that calls `activate` into site-packages, so that every Python of
the environment does this as it starts, without a shell script to source. A sourced ROS 2 always wins: then
nothing of ours is visible, and the two never mix.
"""

from __future__ import annotations

import os
import site
import sys
from importlib.machinery import PathFinder
from pathlib import Path

DISTRIBUTION = "kilted"
MARKER = Path("share", "ace_ros_prefix")  # tells prefixes made by `make setup` from others; holds a stamp


def activate() -> None:
    """Add the prefix of this environment to the paths of this process and of those it starts."""
    prefix = Path(sys.prefix, "ros")
    if not (prefix / MARKER).is_file() or other_ros():
        return
    site.addsitedir(str(packages_folder(prefix)))
    os.environ["AMENT_PREFIX_PATH"] = str(prefix)
    os.environ["ROS_DISTRO"] = DISTRIBUTION
    if "HOME" not in os.environ:  # as under env -i; without it ROS finds no place for its logs
        os.environ.setdefault("ROS_HOME", os.path.join(os.path.expanduser("~"), ".ros"))


def other_ros() -> bool:
    """Tell whether a ROS 2 is sourced that is not one of ours, of this environment or of another."""
    sourced = filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep))
    # A folder that is not there is left from a ROS 2 that was removed.
    if any(os.path.isdir(entry) and not Path(entry, MARKER).is_file() for entry in sourced):
        return True
    return PathFinder.find_spec("rclpy") is not None


def packages_folder(prefix: Path) -> Path:
    """Return where the Python packages of a prefix are."""
    return prefix / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
