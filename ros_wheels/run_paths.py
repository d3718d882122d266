# SPDX-License-Identifier: Apache-2.0
"""Run paths relative to each library, so that a prefix works without LD_LIBRARY_PATH, and wherever it is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

AT_ONCE = 32


def set_run_paths(prefix: Path, packages: Path) -> int:
    """Let every library of a prefix find the others; return how many there were.

    The wheels come without: they expect a second start of Python with LD_LIBRARY_PATH, which all child
    processes inherit, also those of another ROS 2. Raises CalledProcessError.
    """
    folders = [prefix / "lib", *sorted(packages.glob("ros_*.libs"))]
    libraries = [
        path
        for pattern in ("lib/*.so*", f"{packages.relative_to(prefix)}/**/*.so*")
        for path in prefix.glob(pattern)
        if not path.is_symlink()
    ]
    by_folder: dict[Path, list[str]] = {}
    for path in libraries:
        by_folder.setdefault(path.parent, []).append(str(path))
    for folder, paths in by_folder.items():
        run_path = ":".join(f"$ORIGIN/{os.path.relpath(target, folder)}" for target in folders)
        for i in range(0, len(paths), AT_ONCE):
            # DT_RPATH, not DT_RUNPATH: it also holds for what a library loads by name at run time, as it does
            # the middleware, and the LD_LIBRARY_PATH of another ROS 2 does not come before it.
            command = [prefix / "bin" / "patchelf", "--force-rpath", "--set-rpath", run_path]
            subprocess.run([*command, *paths[i : i + AT_ONCE]], check=True)
    return len(libraries)
