# SPDX-License-Identifier: Apache-2.0
"""What a launch prints, and its copy in a log folder.

The screen is stdout, for messages of the launch and for output of processes alike. The folder is
`<date>-<host>-<pid>` below ROS_LOG_DIR, or else `$ROS_HOME/log`, or else `~/.ros/log`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TextIO

_OUTPUT_ALIASES = {
    "screen": {"both": "screen"},
    "log": {"both": "log", "stderr": "screen"},
    "both": {"both": {"log", "screen"}},
}
_file: TextIO | None = None
_level = logging.INFO


def set_debugging(enabled: bool) -> None:
    """Print details, too."""
    global _level
    _level = logging.DEBUG if enabled else logging.INFO


def get_logger(name: str = "launch") -> logging.Logger:
    """Return the logger of a name, whose messages go to the screen and to launch.log."""
    logger = logging.getLogger(name)
    logger.addHandler(_HANDLER)
    logger.propagate = False
    logger.setLevel(_level)
    return logger


def open_file() -> Path | None:
    """Open launch.log in a new folder; without permission return None, and nothing is kept."""
    global _file
    close_file()
    home = os.environ.get("ROS_HOME") or os.path.join("~", ".ros")
    root = Path(os.environ.get("ROS_LOG_DIR") or os.path.join(home, "log")).expanduser()
    stamp = datetime.now().strftime("%Y-%m-%d-%H-%M-%S-%f")
    folder = root / f"{stamp}-{socket.gethostname()}-{os.getpid()}"
    try:
        folder.mkdir(parents=True)
        _file = (folder / "launch.log").open("w", encoding="utf-8")
    except OSError:
        return None
    return folder


def close_file() -> None:
    """Close launch.log."""
    global _file
    if _file is not None:
        with contextlib.suppress(OSError):
            _file.close()
        _file = None


def print_line(line: str) -> None:
    """Print a line at once; a closed pipe behind stdout does not end the launch."""
    with contextlib.suppress(BrokenPipeError):
        print(line, file=sys.stdout, flush=True)


def write_line(line: str) -> None:
    """Append a line to launch.log with the time in seconds since 1970."""
    if _file is None:
        return
    with contextlib.suppress(OSError):  # a full disk: the launch goes on without its copy
        _file.write(f"{time.time():.7f} {line}\n")
        _file.flush()


def get_targets(output: str | dict[str, object]) -> dict[str, set[str]]:
    """Return where stdout and stderr of a process go, by the rules of `output=`.

    `output` is 'screen', 'log', 'both', or a dictionary from 'stdout', 'stderr' and 'both' to
    'screen', 'log' or a set of them. Raises ValueError for another text.
    """
    if isinstance(output, str):
        if output not in _OUTPUT_ALIASES:
            raise ValueError(f"output is '{output}', expected one of: {', '.join(_OUTPUT_ALIASES)}")
        output = _OUTPUT_ALIASES[output]
    return {
        source: _as_set(output.get(source)) | _as_set(output.get("both")) for source in ("stdout", "stderr")
    }


def _as_set(targets: object) -> set[str]:
    return {targets} if isinstance(targets, str) else set(targets or ())


class _Handler(logging.Handler):
    """Writes messages as ROS 2's launch does."""

    def emit(self, record: logging.LogRecord) -> None:
        line = f"[{record.levelname}] [{record.name}]: {record.getMessage()}"
        print_line(line)
        write_line(line)


_HANDLER = _Handler()
