# SPDX-License-Identifier: Apache-2.0
"""`ros2 run`: run an executable of a package."""

from __future__ import annotations

import argparse
import contextlib
import signal
import subprocess

from ament_index_python.packages import PackageNotFoundError
from launch_ros.executables import find_executable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `ros2 run`."""
    parser.add_argument("package_name", help="Name of the ROS package")
    parser.add_argument("executable_name", help="Name of the executable")
    parser.add_argument("argv", nargs=argparse.REMAINDER, help="arguments of the executable")
    parser.set_defaults(main=run)


def run(args: argparse.Namespace) -> int | str:
    """Run the executable and return its exit status, negative for a signal."""
    try:
        path = find_executable(args.package_name, args.executable_name)
    except (PackageNotFoundError, ValueError):
        return f"Package '{args.package_name}' not found"
    except FileNotFoundError:
        return "No executable found"
    process = subprocess.Popen([path, *args.argv])
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    while process.returncode is None:
        # A Ctrl-C reaches the program, too, and it decides when to end.
        with contextlib.suppress(KeyboardInterrupt):
            process.wait()
    if process.returncode < 0:
        print("[ros2run]:", signal.strsignal(-process.returncode))
    elif process.returncode:
        print(f"[ros2run]: Process exited with failure {process.returncode}")
    return process.returncode
