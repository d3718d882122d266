# SPDX-License-Identifier: Apache-2.0
"""`ros2 launch`: run a launch file."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from launch import LaunchDescription, LaunchService, logging
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import (
    PythonLaunchDescriptionSource,
    get_launch_description_from_python_launch_file,
)

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

# Read by launch itself, so never declared by a launch file.
_KNOWN_ARGUMENTS = {"emulate_tty", "launch-prefix", "sigkill_timeout", "sigterm_timeout"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `ros2 launch`."""
    parser.add_argument(
        "-n",
        "--noninteractive",
        default=not sys.stdin.isatty(),
        action="store_true",
        help="Run the launch system non-interactively, with no terminal associated",
    )
    parser.add_argument(
        "-d", "--debug", action="store_true", help="Print more details, e.g. tracebacks"
    )
    parser.add_argument(
        "-s",
        "--show-args",
        "--show-arguments",
        action="store_true",
        help="Show arguments that may be given to the launch file.",
    )
    parser.add_argument(
        "-a",
        "--show-all-subprocesses-output",
        action="store_true",
        help="Show all launched subprocesses' output",
    )
    parser.add_argument("--launch-prefix", help="command to put before all executables")
    parser.add_argument(
        "package_name", help="Name of the ROS package which contains the launch file"
    )
    parser.add_argument("launch_file_name", nargs="?", help="Name of the launch file")
    parser.add_argument(
        "launch_arguments",
        nargs="*",
        help="Arguments to the launch file; '<name>:=<value>' (for duplicates, last one wins)",
    )
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int | str | None:
    """Run the launch file, or show its arguments."""
    words = list(args.launch_arguments)
    if os.path.isfile(args.package_name):
        path = args.package_name
        if args.launch_file_name is not None:
            words.insert(0, args.launch_file_name)
    elif args.launch_file_name is None:
        return f"No launch file supplied: '{args.package_name}' is not a file"
    else:
        path = find_launch_file(args.package_name, args.launch_file_name)
    if args.show_args:
        show_arguments(get_launch_description_from_python_launch_file(path))
        return None
    arguments = parse_arguments(words)
    if args.launch_prefix:
        arguments["launch-prefix"] = args.launch_prefix
    if args.show_all_subprocesses_output:
        os.environ["OVERRIDE_LAUNCH_PROCESS_OUTPUT"] = "both"
    return launch_file(path, arguments, args)


def launch_file(path: str, arguments: dict[str, str], args: argparse.Namespace) -> int:
    """Run a launch file beside a router, to which all nodes of this machine connect."""
    from embedded_ros.router import router  # --show-args and errors do not wait for its import

    include = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(path), launch_arguments=arguments.items()
    )
    service = LaunchService(
        argv=[f"{name}:={value}" for name, value in arguments.items()],
        noninteractive=args.noninteractive,
        debug=args.debug,
    )
    service.include_launch_description(LaunchDescription([include]))
    _warn_of_unknown(include, set(arguments))
    with router():
        return service.run()


def find_launch_file(package: str, name: str) -> str:
    """Return the path of a launch file in a package's share directory.

    Raises RuntimeError for an unknown package, and where there is no such file or more than one.
    """
    try:
        share = Path(get_package_share_directory(package))
    except (PackageNotFoundError, ValueError) as error:
        raise RuntimeError(f"Package '{package}' not found: {error.args[0]}") from None
    usual = share / "launch" / name
    if usual.is_file():  # also keeps a source checkout's build folders out of the search
        return str(usual)
    paths = sorted(
        path for path in share.rglob(name) if path.is_file() and not _is_hidden(path, share)
    )
    if not paths:
        raise RuntimeError(
            f"file '{name}' was not found in the share directory of package '{package}' "
            f"which is at '{share}'"
        )
    if len(paths) > 1:
        raise RuntimeError(
            f"file '{name}' was found more than once in the share directory of package "
            f"'{package}': [{', '.join(map(str, paths))}]"
        )
    return str(paths[0])


def parse_arguments(words: list[str]) -> dict[str, str]:
    """Return `name:=value` words as a dictionary; raise RuntimeError for a malformed one."""
    arguments = {}
    for word in words:
        name, sign, value = word.partition(":=")
        if not (name and sign and value):
            raise RuntimeError(
                f"malformed launch argument '{word}', expected format '<name>:=<value>'"
            )
        arguments[name] = value
    return arguments


def show_arguments(description: LaunchDescription) -> None:
    """Print the arguments of a launch file with descriptions and defaults."""
    print("Arguments (pass arguments as '<name>:=<value>'):")
    declared = description.get_launch_arguments()
    for argument in declared:
        mark = "*" if argument._conditionally_included else ""
        print(f"\n    '{argument.name}':{mark}\n        {argument.description}")
        if argument.default_value is not None:
            default = " + ".join(part.describe() for part in argument.default_value)
            print(f"        (default: {default})")
    if not declared:
        print("\n  No arguments.")
    elif any(argument._conditionally_included for argument in declared):
        print("\n* argument(s) which are only used if specific conditions occur")


def _warn_of_unknown(include: IncludeLaunchDescription, given: set[str]) -> None:
    """Warn of arguments that the launch file does not declare: most are misspelled.

    A warning and no error: the file may read an argument without declaring it.
    """
    if not given:
        return
    declared = {
        argument.name
        for description in include.get_sub_entities()
        for argument in description.get_launch_arguments()
    }
    for name in sorted(given - declared - _KNOWN_ARGUMENTS):
        names = ", ".join(sorted(declared)) or "none"
        logging.get_logger("launch").warning(
            f"the launch file does not declare the argument '{name}', it declares: {names}"
        )


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)
