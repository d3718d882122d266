# SPDX-License-Identifier: Apache-2.0
"""Entry point of the `ros2` command: a sourced ROS 2 goes first, otherwise ours runs.

It lies here and not in ros2cli because a sourced ROS 2 has a ros2cli, too, which comes first.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

_STEPPED_ASIDE = "EMBEDDED_ROS_STEPPED_ASIDE"


def main() -> NoReturn:
    """Run `ros2` with the arguments of the command line; a sourced ROS 2 goes first."""
    real = find_other_ros2()
    if real is not None:
        os.environ[_STEPPED_ASIDE] = "1"
        os.execv(real, [real, *sys.argv[1:]])
    from ros2cli.main import run  # only now: this one is ours

    sys.stdout.reconfigure(line_buffering=True)
    try:
        status = run(sys.argv[1:])
    except BrokenPipeError:  # e.g. `ros2 topic echo /x | head -3`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)


def find_other_ros2() -> str | None:
    """Return the `ros2` of a sourced ROS 2, or None where there is none."""
    if not (os.environ.get("ROS_DISTRO") or os.environ.get("AMENT_PREFIX_PATH")):
        return None
    if os.environ.get(_STEPPED_ASIDE):  # two embedded ones would call each other for ever
        return None
    own = {Path(sys.argv[0]).resolve(), Path(sys.executable).parent.resolve() / "ros2"}
    for folder in filter(None, os.environ.get("PATH", "").split(os.pathsep)):
        candidate = Path(folder) / "ros2"
        if candidate.is_file() and os.access(candidate, os.X_OK) and candidate.resolve() not in own:
            return str(candidate)
    return None


if __name__ == "__main__":
    main()
