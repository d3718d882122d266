# SPDX-License-Identifier: Apache-2.0
"""What the tests of the `ros2` command share: running it, and packages with nodes to run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

ROS2 = [sys.executable, "-m", "embedded_ros.ros2"]


def environment(folder: Path, domain: int) -> dict[str, str]:
    """Return an environment with a ROS domain, a log folder and a package prefix of its own.

    The router is that of conftest.py: a process has one keeper for its place.
    """
    return {
        **os.environ,
        "AMENT_PREFIX_PATH": str(folder / "prefix"),
        "ROS_DOMAIN_ID": str(domain),
        "ROS_LOG_DIR": str(folder / "log"),
    }


def install(folder: Path, package: str, programs: dict[str, str], files: dict[str, str]) -> None:
    """Install a package with Python programs and share files, as pip does: without run bits."""
    share, libexec = (folder / "prefix" / kind / package for kind in ("share", "lib"))
    libexec.mkdir(parents=True)
    for name, text in {
        **files,
        "package.xml": f"<package><name>{package}</name></package>",
    }.items():
        (share / name).parent.mkdir(parents=True, exist_ok=True)
        (share / name).write_text(text)
    for name, text in programs.items():
        (libexec / name).write_text(f"#!/usr/bin/env python3\n{text}")


class Running:
    """A command in the background with its output, for a `with` statement."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self.text = ""
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            os.killpg(self.pid, signal.SIGINT)  # as a Ctrl-C would: `ros2 run` passes none on
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def send(self, number: int) -> None:
        """Send a signal to the command, not to what it started."""
        self._process.send_signal(number)

    def wait(self, timeout: float = 20.0) -> int:
        """Return the exit status once the command and its output have ended."""
        status = self._process.wait(timeout=timeout)
        self._reader.join(timeout=5)
        return status

    def wait_for(self, text: str, count: int = 1, timeout: float = 20.0) -> str:
        """Wait until a text was printed `count` times; return everything printed so far."""
        end = time.monotonic() + timeout
        with self._changed:
            while self.text.count(text) < count:
                left = end - time.monotonic()
                ended = not self._reader.is_alive()
                assert left > 0.0 and not ended, f"no {text!r} ({count} times) in:\n{self.text}"
                self._changed.wait(min(left, 0.2))
            return self.text

    def _read(self) -> None:
        for line in self._process.stdout:
            with self._changed:
                self.text += line
                self._changed.notify_all()


def ros2(*arguments: str, env: dict[str, str], timeout: float = 20.0) -> tuple[int, str, str]:
    """Run `ros2 ARGUMENTS` to its end; return exit status, stdout and stderr."""
    done = subprocess.run(
        [*ROS2, *arguments],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return done.returncode, done.stdout, done.stderr


def is_running(pid: int) -> bool:
    """Tell whether a process exists and is no zombie."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
