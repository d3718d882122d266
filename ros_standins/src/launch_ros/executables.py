# SPDX-License-Identifier: Apache-2.0
"""Which command runs `package/executable`, for launch_ros and the `ros2` command."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ament_index_python.checkout import package_name_of
from ament_index_python.packages import PackageNotFoundError, get_package_prefix

# Executables that are part of this runtime and are installed as modules, not as files.
_MODULES = {("tf2_ros", "static_transform_publisher"): "tf2_ros.static_transform_publisher"}


def executables_folder(package: str) -> Path:
    """Return `<prefix>/lib/<package>`, or `scripts/` of a source checkout.

    Raises PackageNotFoundError for an unknown package.
    """
    prefix = Path(get_package_prefix(package))
    if package_name_of(prefix / "package.xml") == package:
        return prefix / "scripts"
    return prefix / "lib" / package


def list_executables(package: str) -> list[str]:
    """Return the names of a package's executables, sorted."""
    names = {name for owner, name in _MODULES if owner == package}
    try:
        folder = executables_folder(package)
    except PackageNotFoundError:
        if names:
            return sorted(names)
        raise
    if folder.is_dir():
        names |= {path.name for path in folder.iterdir() if _is_program(path)}
    return sorted(names)


def find_executable(package: str, executable: str) -> list[str]:
    """Return the command (program and leading arguments) that runs an executable.

    Python scripts run under this interpreter whatever their shebang line finds, so that a virtual
    environment need not be activated. Raises PackageNotFoundError or FileNotFoundError.
    """
    module = _MODULES.get((package, executable))
    if module is not None:
        return [sys.executable, "-m", module]
    folder = executables_folder(package)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"package '{package}' found at '{get_package_prefix(package)}', "
            f"but libexec directory '{folder}' does not exist"
        )
    path = folder / executable
    if not _is_program(path):
        raise FileNotFoundError(
            f"executable '{executable}' not found on the libexec directory '{folder}'"
        )
    return [sys.executable, str(path)] if _is_python(path) else [str(path)]


def _is_python(path: Path) -> bool:
    """Tell whether a file's shebang line names Python."""
    with path.open("rb") as file:
        line = file.readline(256)
    return line.startswith(b"#!") and b"python" in line


def _is_program(path: Path) -> bool:
    """Tell whether a file can be run; pip's data_files keep the shebang but lose the run bit."""
    return path.is_file() and (os.access(path, os.X_OK) or _is_python(path))
