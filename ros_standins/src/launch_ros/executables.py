# SPDX-License-Identifier: Apache-2.0
"""Which command runs `package/executable`, for launch_ros and the `ros2` command."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ament_index_python.packages import get_package_prefix


def find_executable(package: str, executable: str) -> list[str]:
    """Return the command (program and leading arguments) that runs an executable.

    Python scripts run under this interpreter whatever their shebang line finds, so that a virtual
    environment need not be activated. Raises PackageNotFoundError or FileNotFoundError.
    """
    folder = Path(get_package_prefix(package), "lib", package)
    path = folder / executable
    if not _is_program(path):
        what = f"executable '{executable}' not found on the libexec directory '{folder}'"
        raise FileNotFoundError(what if folder.is_dir() else f"{what}, which does not exist")
    return [sys.executable, str(path)] if _is_python(path) else [str(path)]


def _is_program(path: Path) -> bool:
    """Tell whether a file can be run; pip's data_files keep the shebang but lose the run bit."""
    return path.is_file() and (os.access(path, os.X_OK) or _is_python(path))


def _is_python(path: Path) -> bool:
    """Tell whether a file's shebang line names Python."""
    with path.open("rb") as file:
        line = file.readline(256)
    return line.startswith(b"#!") and b"python" in line
