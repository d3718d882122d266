# SPDX-License-Identifier: Apache-2.0
"""`ros2 pkg`: which packages are installed, and where."""

from __future__ import annotations

import argparse
import os

from ament_index_python.packages import PackageNotFoundError, get_package_prefix, get_packages_with_prefixes

from .cli import add_verbs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs of `ros2 pkg`."""
    _, prefix = add_verbs(parser, ("list", list_packages, ""), ("prefix", show_prefix, "package_name"))
    prefix.add_argument("--share", action="store_true", help="Show the share directory")


def list_packages(args: argparse.Namespace) -> None:
    """Output a list of available packages."""
    print(*sorted(get_packages_with_prefixes()), sep="\n")


def show_prefix(args: argparse.Namespace) -> str | None:
    """Output the prefix path of a package."""
    try:
        prefix = get_package_prefix(args.package_name)
    except (PackageNotFoundError, ValueError):
        return "Package not found"
    print(os.path.join(prefix, "share", args.package_name) if args.share else prefix)
    return None
