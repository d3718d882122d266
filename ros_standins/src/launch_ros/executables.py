# SPDX-License-Identifier: Apache-2.0
"""Where executables of packages are, for launch_ros and the `ros2` command."""

from __future__ import annotations

import os
from pathlib import Path

from ament_index_python.packages import get_package_prefix


def find_executable(package: str, executable: str) -> str:
    """Return the path of an executable. Raises PackageNotFoundError or FileNotFoundError."""
    folder = Path(get_package_prefix(package), "lib", package)
    path = folder / executable
    if not (path.is_file() and os.access(path, os.X_OK)):
        problem = f"executable '{executable}' not found on the libexec directory '{folder}'"
        raise FileNotFoundError(problem if folder.is_dir() else f"{problem}, which does not exist")
    return str(path)
