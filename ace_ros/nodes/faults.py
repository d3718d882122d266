# SPDX-License-Identifier: Apache-2.0
"""Exceptions that nobody expected: the node goes on, and log, status and diagnostics say so."""

from __future__ import annotations

import math
import threading
import time
import traceback

from rclpy.node import Node

from ace_ros.compute.memory import is_out_of_memory
from ace_ros.nodes.diagnostics import Health

SHOWN_S = 30.0  # in statuses, and as a warning in diagnostics
LOG_AGAIN_S = 60.0
MAX_KINDS = 256
MAX_CHARACTERS = 400
# After such an error CUDA answers every call of the process with it: only a new process helps.
LOST_DEVICE = "CUDA error"


class Faults:
    """The exceptions of a node's callbacks and threads. Safe to be used from several threads.

    Each kind is logged once with its traceback, later only how often it came. One after which the
    process cannot go on shuts ROS down: the node ends, and the launch files start it again.
    """

    def __init__(self, node: Node) -> None:
        self._log, self._context = node.get_logger(), node.context
        self._lock = threading.Lock()
        self._kinds: dict[str, tuple[int, float]] = {}  # how often, and when it was logged last
        self._newest, self._at = "", -math.inf
        self.count = 0
        self.fatal = False

    def take(self, error: BaseException, where: str) -> str:
        """Take note of an exception that was raised in `where`; return a sentence for a person."""
        sentence = printable(f"{where}: {_said(error)}")
        if not self._context.ok():
            return sentence  # whatever ROS cannot do after its end
        frames = traceback.extract_tb(error.__traceback__)
        kind = f"{type(error).__name__} {frames[-1].filename}:{frames[-1].lineno}" if frames else where
        now = time.monotonic()
        with self._lock:
            self.count += 1
            self._newest, self._at = sentence, now
            if len(self._kinds) >= MAX_KINDS:
                self._kinds.clear()
            count, logged = self._kinds.get(kind, (0, -math.inf))
            due = now - logged >= LOG_AGAIN_S
            self._kinds[kind] = count + 1, now if due else logged
        if count and due:
            self._log.error(f"{sentence} ({count + 1} times by now)")
        elif due:
            self._log.error(printable(f"{sentence}\n{''.join(traceback.format_exception(error))}", 10_000))
        if LOST_DEVICE in str(error) and not is_out_of_memory(error):
            self.fatal = True
            self._log.fatal("the GPU cannot be used by this process any more; the node ends")
            self._context.try_shutdown()
        return sentence

    @property
    def message(self) -> str:
        """A sentence on the newest error while it is fresh, empty otherwise."""
        with self._lock:
            fresh = time.monotonic() - self._at < SHOWN_S
            return f"{_counted(self.count)}, the newest: {self._newest}" if fresh else ""

    def health(self) -> Health:
        """Return what /diagnostics says."""
        message = self.message
        values = {"errors": self.count, "newest": self._newest}
        return Health(message or f"{_counted(self.count)} since the start", bool(message), values)


def _counted(count: int) -> str:
    return f"{count} unexpected error{'' if count == 1 else 's'}"


def _said(error: BaseException) -> str:
    if is_out_of_memory(error):
        return f"memory ran out ({_first_line(error)})"
    return f"{type(error).__name__}: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["without a message"])[0]


def printable(text: str, most: int = MAX_CHARACTERS) -> str:
    """Return a text that fits a ROS string: NUL, and what is no character of UTF-8, is replaced."""
    return text[:most].replace("\0", "\\0").encode("utf-8", "replace").decode()
