# SPDX-License-Identifier: Apache-2.0
"""Choose a command and a verb of `ros2`, run it, turn errors into one sentence."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Callable

from ament_index_python import get_resources

# Each module has `add_arguments(parser)`, which sets the default `main` to a function of the
# parsed arguments; that returns an exit status, an error message, or None.
COMMANDS = {
    "launch": "Run a launch file",
    "node": "Various node related sub-commands",
    "param": "Various param related sub-commands",
    "pkg": "Various package related sub-commands",
    "run": "Run a package specific executable",
    "service": "Various service related sub-commands",
    "topic": "Various topic related sub-commands",
}
Verb = Callable[[argparse.Namespace], "int | str | None"]


def main(*, argv: list[str] | None = None) -> int | str | None:
    """Run `ros2 ARGV` and return the exit status or an error message."""
    complaint = missing_middleware()
    if complaint:
        return complaint
    from rclpy.exceptions import NameValidationException
    from rclpy.executors import ExternalShutdownException

    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser("ros2", description="ros2 is a command-line tool for ROS 2.")
    subparsers = parser.add_subparsers(metavar="command", title="Commands")
    chosen = next((word for word in argv if not word.startswith("-")), None)
    for name, description in COMMANDS.items():
        command = subparsers.add_parser(name, help=description, description=f"{description}.")
        command.set_defaults(main=lambda _, command=command: command.print_help())
        if name == chosen:  # the others need not be imported
            importlib.import_module(f"ros2cli.{name}").add_arguments(command)
    args = parser.parse_args(argv)
    sys.stdout.reconfigure(line_buffering=True)
    if "main" not in args:
        return parser.print_help()
    try:
        return args.main(args)
    except KeyboardInterrupt:
        return int(signal.SIGINT)
    except ExternalShutdownException:
        return int(signal.SIGTERM)
    except (NameValidationException, RuntimeError) as error:
        return str(error)


def missing_middleware() -> str:
    """Return what is wrong with RMW_IMPLEMENTATION: importing rclpy would end the process."""
    wanted = os.environ.get("RMW_IMPLEMENTATION", "")
    installed = sorted(set(get_resources("rmw_typesupport")) - {"rmw_implementation"})
    if not wanted or wanted in installed:
        return ""
    return f"RMW_IMPLEMENTATION is {wanted!r}, but installed is only {', '.join(installed)}; unset it"


def add_verbs(
    parser: argparse.ArgumentParser, *verbs: tuple[str, Verb, str]
) -> list[argparse.ArgumentParser]:
    """Add verbs, each with its function and the names of its arguments, and return their parsers.

    A verb's help is the first line of its function's docstring; of an argument in brackets, "[NAME]",
    there may be none.
    """
    subparsers = parser.add_subparsers(metavar="verb", title="Verbs")
    made = []
    for name, run, arguments in verbs:
        about = (run.__doc__ or "").partition("\n")[0]
        verb = subparsers.add_parser(name, help=about, description=about)
        for argument in arguments.split():
            verb.add_argument(argument.strip("[]"), nargs="?" if argument.startswith("[") else None)
        verb.set_defaults(main=run)
        made.append(verb)
    return made
