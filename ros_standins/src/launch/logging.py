# SPDX-License-Identifier: Apache-2.0
"""What a launch prints, and its copy in a log folder.

The screen is stdout, for messages of the launch and for output of processes alike. The folder is
`<date>-<host>-<pid>` below ROS_LOG_DIR, or else `$ROS_HOME/log`, or else `~/.ros/log`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TextIO

_OUTPUT_ALIASES = {
    "screen": {"both": ["screen"]},
    "log": {"both": ["log"], "stderr": ["screen"]},
    "both": {"both": ["log", "screen"]},
    "own_log": {"both": ["own_log"], "stdout": ["own_log"], "stderr": ["own_log"]},
    "full": {"both": ["screen", "log", "own_log"]},
}


class LogFolder:
    """The folder of one launch; files are made when something is written to them."""

    def __init__(self) -> None:
        self.path: Path | None = None
        self._files: dict[str, TextIO] = {}

    def open(self) -> None:
        """Make a new folder; without permission nothing is kept and nothing is said."""
        self.close()
        home = os.environ.get("ROS_HOME") or os.path.join("~", ".ros")
        root = Path(os.environ.get("ROS_LOG_DIR") or os.path.join(home, "log")).expanduser()
        stamp = datetime.now().strftime("%Y-%m-%d-%H-%M-%S-%f")
        path = root / f"{stamp}-{socket.gethostname()}-{os.getpid()}"
        try:
            path.mkdir(parents=True)
        except OSError:
            return
        self.path = path

    def write(self, line: str, file_name: str = "launch.log") -> None:
        """Append a line with the time in seconds since 1970."""
        if self.path is None:
            return
        try:
            if file_name not in self._files:
                self._files[file_name] = (self.path / file_name).open("a", encoding="utf-8")
            self._files[file_name].write(f"{time.time():.7f} {line}\n")
            self._files[file_name].flush()
        except OSError as error:
            print_line(f"[WARNING] [launch]: cannot write to '{self.path}', no more logs: {error}")
            self.close()

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            with contextlib.suppress(OSError):  # a full disk, which was reported before
                file.close()
        self._files.clear()
        self.path = None


class Logger:
    """Messages under a name, on the screen and in launch.log."""

    def __init__(self, name: str) -> None:
        self.name = name

    def info(self, message: object) -> None:
        """Write an information."""
        self._log("INFO", message)

    def warning(self, message: object) -> None:
        """Write a warning."""
        self._log("WARNING", message)

    def error(self, message: object) -> None:
        """Write an error."""
        self._log("ERROR", message)

    def debug(self, message: object) -> None:
        """Write a detail, if `ros2 launch --debug` asked for it."""
        if debugging:
            self._log("DEBUG", message)

    def _log(self, level: str, message: object) -> None:
        line = f"[{level}] [{self.name}]: {message}"
        print_line(line)
        log_folder.write(line)


class ProcessOutput:
    """Where the lines of one process go, by the rules of `output=`.

    `output` is 'screen', 'log', 'both', 'own_log', 'full', or a dictionary from 'stdout',
    'stderr' and 'both' to one of 'screen', 'log', 'own_log' or a set of them.
    """

    def __init__(self, process_name: str, output: str | dict[str, object]) -> None:
        if isinstance(output, str):
            if output not in _OUTPUT_ALIASES:
                raise ValueError(
                    f"'{output}' is not a valid standard output config, expected one of: "
                    f"{', '.join(_OUTPUT_ALIASES)}"
                )
            output = _OUTPUT_ALIASES[output]
        self._name = process_name
        self._targets = {source: _as_set(output.get(source)) for source in ("stdout", "stderr")}
        self._common = _as_set(output.get("both"))

    def write(self, source: str, line: str) -> None:
        """Write a line of 'stdout' or 'stderr'."""
        targets = self._targets[source] | self._common
        prefixed = f"[{self._name}] {line}"
        if "screen" in targets:
            print_line(prefixed)
        if "log" in targets:
            log_folder.write(prefixed)
        if "own_log" in self._targets[source]:
            log_folder.write(line, f"{self._name}-{source}.log")
        if "own_log" in self._common:
            log_folder.write(line, f"{self._name}.log")


log_folder = LogFolder()
debugging = False


def set_debugging(enabled: bool) -> None:
    """Print details, too."""
    global debugging
    debugging = enabled


def get_logger(name: str = "launch") -> Logger:
    """Return the logger of a name."""
    return Logger(name)


def print_line(line: str) -> None:
    """Print a line at once; a closed pipe behind stdout does not end the launch."""
    with contextlib.suppress(BrokenPipeError):
        print(line, file=sys.stdout, flush=True)


def _as_set(targets: object) -> set[str]:
    if targets is None:
        return set()
    return {targets} if isinstance(targets, str) else set(targets)
