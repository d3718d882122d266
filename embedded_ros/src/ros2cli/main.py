# SPDX-License-Identifier: Apache-2.0
"""Entry point of the `ros2` command: choose a command, run it, turn errors into one sentence."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

# Each module has `add_arguments(parser)`, which sets the default `main` to a function of the
# parsed arguments; that returns an exit status, an error message, or None.
_COMMANDS = {
    "interface": "Show information about ROS interfaces",
    "launch": "Run a launch file",
    "node": "Various node related sub-commands",
    "param": "Various param related sub-commands",
    "pkg": "Various package related sub-commands",
    "run": "Run a package specific executable",
    "service": "Various service related sub-commands",
    "topic": "Various topic related sub-commands",
}
_STEPPED_ASIDE = "EMBEDDED_ROS_STEPPED_ASIDE"


def main() -> NoReturn:
    """Run `ros2` with the arguments of the command line; a sourced ROS 2 goes first."""
    real = find_other_ros2()
    if real is not None:
        os.environ[_STEPPED_ASIDE] = "1"
        os.execv(real, [real, *sys.argv[1:]])
    sys.stdout.reconfigure(line_buffering=True)
    try:
        status = run(sys.argv[1:])
    except BrokenPipeError:  # e.g. `ros2 topic echo /x | head -3`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)


def run(argv: list[str]) -> int | str | None:
    """Run `ros2 ARGV` and return the exit status or an error message."""
    parser = argparse.ArgumentParser(
        prog="ros2", description="ros2 is an extensible command-line tool for ROS 2."
    )
    chosen = next((word for word in argv if not word.startswith("-")), None)
    subparsers = parser.add_subparsers(metavar="command", title="Commands")
    for name, description in _COMMANDS.items():
        subparser = subparsers.add_parser(name, help=description, description=description + ".")
        if name == chosen:  # the others need not be imported
            importlib.import_module(f"ros2cli.{name}").add_arguments(subparser)
    args = parser.parse_args(argv)
    if "main" not in args:
        parser.print_help()
        return 0
    try:
        return args.main(args)
    except KeyboardInterrupt:
        return int(signal.SIGINT)
    except RuntimeError as error:
        return str(error)


def find_other_ros2() -> str | None:
    """Return the `ros2` of a sourced ROS 2, or None where there is none."""
    if not (os.environ.get("ROS_DISTRO") or os.environ.get("AMENT_PREFIX_PATH")):
        return None
    if os.environ.get(_STEPPED_ASIDE):  # two embedded ones would call each other for ever
        return None
    own = {Path(sys.argv[0]).resolve(), Path(sys.executable).parent.resolve() / "ros2"}
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        candidate = Path(folder) / "ros2"
        if candidate.is_file() and os.access(candidate, os.X_OK) and candidate.resolve() not in own:
            return str(candidate)
    return None


if __name__ == "__main__":
    main()
