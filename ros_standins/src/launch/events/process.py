# SPDX-License-Identifier: Apache-2.0
"""Events of processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from launch.events import Event

if TYPE_CHECKING:
    from launch.actions import ExecuteProcess


@dataclass(kw_only=True)
class RunningProcessEvent(Event):
    """Something about one process; `process_name` is the program's name and its number in the launch."""

    action: ExecuteProcess
    process_name: str
    pid: int


class ProcessStarted(RunningProcessEvent):
    """A process was started."""


@dataclass(kw_only=True)
class ProcessExited(RunningProcessEvent):
    """A process ended; a negative return code is the signal that ended it."""

    returncode: int
