# SPDX-License-Identifier: Apache-2.0
"""`ros2 launch`: run a launch file."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import (
    PythonLaunchDescriptionSource,
    get_launch_description_from_python_launch_file,
)
from launch.substitutions import describe_all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `ros2 launch`."""
    add = parser.add_argument
    add("-d", "--debug", action="store_true", help="Print more details, e.g. tracebacks")
    add("-s", "--show-args", "--show-arguments", action="store_true", help="Show the launch file's arguments")
    add("package_name", help="Name of the ROS package, or the path of a launch file")
    add("launch_file_name", nargs="?", help="Name of the launch file")
    add("launch_arguments", nargs="*", help="'<name>:=<value>' (for duplicates, last one wins)")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int | str | None:
    """Run the launch file, or show its arguments."""
    words = list(args.launch_arguments)
    if os.path.isfile(args.package_name):
        path = args.package_name
        words = [args.launch_file_name, *words] if args.launch_file_name else words
    elif args.launch_file_name is None:
        return f"No launch file supplied: '{args.package_name}' is not a file"
    else:
        path = find_launch_file(args.package_name, args.launch_file_name)
    if args.show_args:
        return show_arguments(get_launch_description_from_python_launch_file(path))
    arguments = parse_arguments(words)
    source = PythonLaunchDescriptionSource(path)
    include = IncludeLaunchDescription(source, launch_arguments=arguments.items())
    service = LaunchService(debug=args.debug)
    service.include_launch_description(LaunchDescription([include]))
    return service.run()


def find_launch_file(package: str, name: str) -> str:
    """Return the path of a launch file in a package's share directory.

    Raises RuntimeError for an unknown package, and where there is no such file or more than one.
    """
    try:
        share = get_package_share_directory(package)
    except (PackageNotFoundError, ValueError) as error:
        raise RuntimeError(f"Package '{package}' not found: {error}") from None
    paths = sorted(path for path in Path(share).rglob(name) if path.is_file())
    if len(paths) == 1:
        return str(paths[0])
    found = f"more than once: {', '.join(map(str, paths))}" if paths else "nowhere"
    raise RuntimeError(
        f"file '{name}' was found {found} in the share directory of package '{package}' at '{share}'"
    )


def parse_arguments(words: list[str]) -> dict[str, str]:
    """Return `name:=value` words as a dictionary; raise RuntimeError for a malformed one."""
    arguments = {}
    for word in words:
        name, sign, value = word.partition(":=")
        if not (name and sign and value):
            raise RuntimeError(f"malformed launch argument '{word}', expected format '<name>:=<value>'")
        arguments[name] = value
    return arguments


def show_arguments(description: LaunchDescription) -> None:
    """Print the arguments of a launch file with descriptions and defaults."""
    print("Arguments (pass arguments as '<name>:=<value>'):")
    declared = description.get_launch_arguments()
    for argument in declared:
        print(f"\n    '{argument.name}':\n        {argument.description}")
        if argument.default_value is not None:
            print(f"        (default: {describe_all(argument.default_value)})")
    if not declared:
        print("\n  No arguments.")
