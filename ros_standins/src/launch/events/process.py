# SPDX-License-Identifier: Apache-2.0
"""Events of processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch.events import Event

if TYPE_CHECKING:
    from launch.actions.execute_process import ExecuteProcess


class RunningProcessEvent(Event):
    """Something about one process; `env` and `cmd` are what it was started with."""

    name = "launch.events.process.RunningProcessEvent"

    def __init__(
        self,
        *,
        action: ExecuteProcess,
        name: str,
        cmd: list[str],
        cwd: str | None,
        env: dict[str, str] | None,
        pid: int,
    ) -> None:
        self.action = action
        self.process_name = name
        self.cmd = cmd
        self.cwd = cwd
        self.env = env
        self.pid = pid


class ProcessStarted(RunningProcessEvent):
    """A process was started."""

    name = "launch.events.process.ProcessStarted"


class ProcessExited(RunningProcessEvent):
    """A process ended; a negative return code is the signal that ended it."""

    name = "launch.events.process.ProcessExited"

    def __init__(self, *, returncode: int, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.returncode = returncode
