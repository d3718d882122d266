# SPDX-License-Identifier: Apache-2.0
"""`ros2 pkg`: where packages are installed."""

from __future__ import annotations

import argparse
import os

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from ros2cli.cli import add_verbs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs of `ros2 pkg`."""
    (prefix,) = add_verbs(parser, ("prefix", show_prefix, "package_name"))
    prefix.add_argument("--share", action="store_true", help="Show the share directory")


def show_prefix(args: argparse.Namespace) -> str | None:
    """Output the prefix path of a package."""
    try:
        prefix = get_package_prefix(args.package_name)
    except (PackageNotFoundError, ValueError):
        return "Package not found"
    print(os.path.join(prefix, "share", args.package_name) if args.share else prefix)
    return None
