# SPDX-License-Identifier: Apache-2.0
"""What the tests of the `ros2` command share: running it, and packages with programs to run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

ROS2 = [sys.executable, "-c", "import sys; from ros2cli.cli import main; sys.exit(main())"]


def environment(
    folder: Path, package: str, programs: dict[str, str], files: dict[str, str]
) -> dict[str, str]:
    """Install a package with Python programs and share files; return an environment that finds it first."""
    prefix = folder / "prefix"
    marker = {f"share/ament_index/resource_index/packages/{package}": ""}
    shared = {f"share/{package}/{name}": text for name, text in files.items()}
    scripts = {f"lib/{package}/{name}": f"#!{sys.executable}\n{text}" for name, text in programs.items()}
    for name, text in (marker | shared | scripts).items():
        (prefix / name).parent.mkdir(parents=True, exist_ok=True)
        (prefix / name).write_text(text)
        (prefix / name).chmod(0o755)
    return {
        **os.environ,
        "AMENT_PREFIX_PATH": os.pathsep.join([str(prefix), os.environ["AMENT_PREFIX_PATH"]]),
        "PYTHONPATH": os.pathsep.join(sys.path),  # with a prefix more, Python may look elsewhere for ROS
        "ROS_LOG_DIR": str(folder / "log"),
    }


class Running:
    """`ros2 ARGUMENTS` in the background with its output, for a `with` statement."""

    def __init__(self, *arguments: str, env: dict[str, str]) -> None:
        self.text = ""
        self._changed = threading.Condition()
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        command = [*ROS2, *arguments]
        self.process = subprocess.Popen(command, env=env, text=True, start_new_session=True, **pipes)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGINT, signal.SIGKILL):  # to all, as a Ctrl-C: `ros2 run` passes none on
            if self.process.poll() is None:
                os.killpg(self.process.pid, number)
                self._reader.join(timeout=10)
        self.process.wait()

    def wait(self) -> int:
        """Return the exit status once the command and its output have ended."""
        self._reader.join(timeout=30)
        return self.process.wait(timeout=5)

    def wait_for(self, text: str, count: int = 1) -> str:
        """Wait until a text was printed `count` times; return everything printed so far."""
        with self._changed:
            self._changed.wait_for(lambda: self.text.count(text) >= count or not self._reader.is_alive(), 30)
            assert self.text.count(text) >= count, f"no {text!r} ({count} times) in:\n{self.text}"
            return self.text

    def _read(self) -> None:
        for line in self.process.stdout:
            with self._changed:
                self.text += line
                self._changed.notify_all()


def ros2(*arguments: str, env: dict[str, str]) -> tuple[int, str, str]:
    """Run `ros2 ARGUMENTS` to its end; return exit status, stdout and stderr."""
    command = [*ROS2, *arguments]
    done = subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout, done.stderr
