# SPDX-License-Identifier: Apache-2.0
"""Choose a command of `ros2`, run it, turn errors into one sentence."""

from __future__ import annotations

import argparse
import importlib
import signal

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
