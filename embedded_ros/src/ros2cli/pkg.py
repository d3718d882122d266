# SPDX-License-Identifier: Apache-2.0
"""`ros2 pkg`: which packages are installed and what can be run."""

from __future__ import annotations

import argparse

from launch_ros.executables import find_executable, list_executables

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
    get_packages_with_prefixes,
)
from ros2cli.verbs import add_verb, add_verbs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs of `ros2 pkg`."""
    verbs = add_verbs(parser)
    add_verb(verbs, "list", "Output a list of available packages", list_packages)
    verb = add_verb(verbs, "prefix", "Output the prefix path of a package", show_prefix)
    verb.add_argument("package_name", help="The package name")
    verb.add_argument("--share", action="store_true", help="Show the share directory")
    verb = add_verb(
        verbs, "executables", "Output a list of package specific executables", show_executables
    )
    verb.add_argument("package_name", nargs="?", help="The package name")
    verb.add_argument("--full-path", action="store_true", help="Show full paths")


def list_packages(args: argparse.Namespace) -> None:
    """Print the names of installed packages."""
    for name in sorted(get_packages_with_prefixes()):
        print(name)


def show_prefix(args: argparse.Namespace) -> str | None:
    """Print where a package is installed."""
    find = get_package_share_directory if args.share else get_package_prefix
    try:
        print(find(args.package_name))
    except (PackageNotFoundError, ValueError):
        return "Package not found"
    return None


def show_executables(args: argparse.Namespace) -> str | None:
    """Print the executables of one package or of all."""
    packages = sorted(get_packages_with_prefixes())
    for package in [args.package_name] if args.package_name else packages:
        try:
            names = list_executables(package)
        except (PackageNotFoundError, ValueError):
            if args.package_name is None:
                continue  # one of those is an editable install of another environment
            return f"Package '{package}' not found"
        for name in names:
            print(find_executable(package, name)[-1] if args.full_path else f"{package} {name}")
    return None
