# SPDX-License-Identifier: Apache-2.0
"""`ros2 pkg`: which packages are installed and what can be run."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix, get_packages_with_prefixes

from .cli import add_verbs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs of `ros2 pkg`."""
    _, prefix, _ = add_verbs(
        parser,
        ("list", list_packages, ""),
        ("prefix", show_prefix, "package_name"),
        ("executables", show_executables, "[package_name]"),
    )
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


def show_executables(args: argparse.Namespace) -> None:
    """Output a list of package specific executables."""
    for package in [args.package_name] if args.package_name else sorted(get_packages_with_prefixes()):
        for name in executables(package):
            print(package, name)


def executables(package: str) -> dict[str, list[str]]:
    """Return the commands (program and leading arguments) of a package's executables by their names.

    Python scripts run under this interpreter whatever their first line finds, so that a virtual
    environment need not be activated. Raises RuntimeError for an unknown package.
    """
    try:
        folder = Path(get_package_prefix(package), "lib", package)
    except (PackageNotFoundError, ValueError):
        raise RuntimeError(f"Package '{package}' not found") from None
    commands = {}
    for path in sorted(folder.iterdir() if folder.is_dir() else []):
        if path.is_file() and _is_python(path):
            commands[path.name] = [sys.executable, str(path)]
        elif path.is_file() and os.access(path, os.X_OK):
            commands[path.name] = [str(path)]
    return commands


def _is_python(path: Path) -> bool:
    with path.open("rb") as file:
        line = file.readline(256)
    return line.startswith(b"#!") and b"python" in line
