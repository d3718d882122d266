# SPDX-License-Identifier: Apache-2.0
"""Loggers: one line on stderr, as `[INFO] [sec.nsec] [name]: text`."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class LoggingSeverity(IntEnum):
    """How serious a message is."""

    UNSET = 0
    DEBUG = 10
    INFO = 20
    WARN = 30
    ERROR = 40
    FATAL = 50


_levels: dict[str, LoggingSeverity] = {"": LoggingSeverity.INFO}
_OPTIONS = {"throttle_duration_sec", "throttle_time_source_type", "skip_first", "once", "name"}


@dataclass
class _Place:
    """A place in the code that logs with a filter."""

    throttled_s: float = -math.inf
    skipped: bool = False
    logged: bool = False


class Logger:
    """Writes messages under a name. Filters count per place in the code that logs."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._places: dict[tuple[Any, int], _Place] = {}

    def get_child(self, name: str) -> Logger:
        """Return the logger called "this.name"."""
        if not name:
            raise ValueError("Child logger name must not be empty.")
        return get_logger(f"{self.name}.{name}" if self.name else name)

    def set_level(self, level: LoggingSeverity) -> None:
        """Leave out messages below `level`."""
        set_logger_level(self.name, level)

    def get_effective_level(self) -> LoggingSeverity:
        """Return the level of this logger or of the nearest one above it."""
        return get_logger_effective_level(self.name)

    def is_enabled_for(self, severity: LoggingSeverity) -> bool:
        """Return whether messages of a severity are written."""
        return severity >= self.get_effective_level()

    def log(self, message: str, severity: LoggingSeverity, **options: Any) -> bool:
        """Write a message unless a level or filter holds it back; return whether it was written.

        Options: throttle_duration_sec, skip_first, once.
        """
        return self._log(message, LoggingSeverity(severity), options)

    def debug(self, message: str, **options: Any) -> bool:
        return self._log(message, LoggingSeverity.DEBUG, options)

    def info(self, message: str, **options: Any) -> bool:
        return self._log(message, LoggingSeverity.INFO, options)

    def warning(self, message: str, **options: Any) -> bool:
        return self._log(message, LoggingSeverity.WARN, options)

    def warn(self, message: str, **options: Any) -> bool:
        return self._log(message, LoggingSeverity.WARN, options)

    def error(self, message: str, **options: Any) -> bool:
        return self._log(message, LoggingSeverity.ERROR, options)

    def fatal(self, message: str, **options: Any) -> bool:
        return self._log(message, LoggingSeverity.FATAL, options)

    def _log(self, message: str, severity: LoggingSeverity, options: dict[str, Any]) -> bool:
        unknown = options.keys() - _OPTIONS
        if unknown:
            raise TypeError(f"parameter {unknown} is not one of the recognized logging options")
        if not self.is_enabled_for(severity) or not self._passes(options):
            return False
        sec, nanosec = divmod(time.time_ns(), 10**9)
        name = options.get("name", self.name)
        line = f"[{severity.name}] [{sec}.{nanosec:09d}] [{name}]: {message}\n"
        # One call and no buffer: lines of several processes must not mix.
        # A full disk behind stderr is no reason to end a node; rcl ignores it as well.
        with contextlib.suppress(OSError):
            sys.stderr.write(line)
            sys.stderr.flush()
        return True

    def _passes(self, options: dict[str, Any]) -> bool:
        if not options.keys() & {"throttle_duration_sec", "skip_first", "once"}:
            return True
        frame = sys._getframe(3)  # _passes, _log, info() and the like, the place that logs
        place = self._places.setdefault((frame.f_code, frame.f_lasti), _Place())
        now = time.monotonic()
        if wait_s := options.get("throttle_duration_sec"):
            if now - place.throttled_s < wait_s:
                return False
            place.throttled_s = now
        if options.get("skip_first") and not place.skipped:
            place.skipped = True
            return False
        if options.get("once") and place.logged:
            return False
        place.logged = True
        return True


RcutilsLogger = Logger
_loggers: dict[str, Logger] = {}


def get_logger(name: str) -> Logger:
    """Return the logger of a name."""
    if not name:
        raise ValueError("Logger name must not be empty.")
    return _loggers.setdefault(name, Logger(name))


def set_logger_level(name: str, level: LoggingSeverity) -> None:
    """Set the level of a logger and those below it; UNSET takes it back."""
    _levels[name] = LoggingSeverity(level)


def get_logger_level(name: str) -> LoggingSeverity:
    """Return the level that was set for exactly this logger."""
    return _levels.get(name, LoggingSeverity.UNSET)


def get_logger_effective_level(name: str) -> LoggingSeverity:
    """Return the level of a logger or of the nearest one above it."""
    while name:
        level = _levels.get(name, LoggingSeverity.UNSET)
        if level != LoggingSeverity.UNSET:
            return level
        name = name.rpartition(".")[0]
    return _levels[""]


def get_logging_severity_from_string(text: str) -> LoggingSeverity:
    """Return the severity named like "info"."""
    try:
        return LoggingSeverity[text.upper()]
    except KeyError:
        raise RuntimeError(f"unknown log level {text!r}") from None
