# SPDX-License-Identifier: Apache-2.0
"""What ROS needs of the machine before a node can begin, and what to do where it is not there."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from ace_ros.errors import AceError

NOT_A_MIDDLEWARE = "rmw_implementation"  # only loads one


class StartError(AceError):
    """ROS cannot begin here; one sentence says why and what to do."""


def begin_ros(arguments: list[str] | None) -> None:
    """Initialize rclpy. Raises StartError, and ImportError where there is no rclpy."""
    check_middleware()
    choose_log_folder()
    import rclpy

    from ace_ros.nodes.large_images import use_profile

    use_profile()

    try:
        rclpy.init(args=arguments)
    except Exception as error:  # rclpy's own errors are private; their first line says it
        raise StartError(f"ROS cannot begin: {str(error).splitlines()[0]}") from error


def check_middleware() -> None:
    """Raise StartError where RMW_IMPLEMENTATION names a middleware that is not installed.

    ROS itself would end the process while rclpy is imported.
    """
    wanted = os.environ.get("RMW_IMPLEMENTATION", "")
    if not wanted:
        return
    try:
        from ament_index_python import get_resources

        installed = set(get_resources("rmw_typesupport")) - {NOT_A_MIDDLEWARE}
    except (ImportError, OSError):  # no ROS is sourced, which is said later
        return
    if installed and wanted not in installed:
        raise StartError(
            f"RMW_IMPLEMENTATION is {wanted!r}, but installed is only {', '.join(sorted(installed))}; "
            f"unset it or install that middleware (apt install ros-$ROS_DISTRO-{wanted.replace('_', '-')})"
        )


def choose_log_folder() -> None:
    """Have ROS write its logs elsewhere where its own folder cannot be written, and say so.

    Raises StartError where that folder was asked for by ROS_LOG_DIR.
    """
    asked = os.environ.get("ROS_LOG_DIR", "")
    home = os.environ.get("ROS_HOME") or "~/.ros"
    folder = Path(asked or f"{home}/log").expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return
    except OSError as error:
        found = f"{folder}: {error.strerror or error}"
    if asked:
        raise StartError(f"no logs can be written to {found} (ROS_LOG_DIR)")
    os.environ["ROS_LOG_DIR"] = tempfile.mkdtemp(prefix="ros_log_")
    print(f"no logs can be written to {found}; they go to {os.environ['ROS_LOG_DIR']}", file=sys.stderr)


def explain_import(error: ImportError) -> str:
    """Return what to do about a package that is missing or does not load."""
    module = (error.name or "").split(".")[0]
    if module == "cv_bridge" and not isinstance(error.__cause__, ModuleNotFoundError):
        return (
            f"{sys.executable} has a cv_bridge that does not work with {_versions()}: {error}; it needs "
            "those that it was built with: remove pip's numpy and OpenCV from this environment, or "
            'pip install "numpy<2" "opencv-python-headless<5"'
        )
    if module in ("torch", "cv2", "numpy", "safetensors"):
        return (
            f"{sys.executable} cannot import {module} ({error}); install it for the Python that ROS uses, or "
            "make the environment with: python3 -m venv --system-site-packages"
        )
    return f"{sys.executable} cannot import what it needs: {error}; source your ROS 2 workspace first"


def _versions() -> str:
    found = []
    for name, module in (("numpy", "numpy"), ("OpenCV", "cv2")):
        version = getattr(sys.modules.get(module), "__version__", None)
        found.append(f"{name} {version}" if version else f"this {name}")
    return " and ".join(found)
