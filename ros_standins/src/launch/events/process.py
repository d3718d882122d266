# SPDX-License-Identifier: Apache-2.0
"""Events of processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from launch.events import Event

if TYPE_CHECKING:
    from launch.actions import ExecuteProcess


class RunningProcessEvent(Event):
    """Something about one process; `env` and `cmd` are what it was started with."""

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


class ProcessExited(RunningProcessEvent):
    """A process ended; a negative return code is the signal that ended it."""

    def __init__(self, *, returncode: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.returncode = returncode


class ProcessIO(RunningProcessEvent):
    """A process wrote something: `text` in bytes, on stdout or stderr."""

    def __init__(self, *, text: bytes, fd: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.text = text
        self.from_stdout = fd == 1
        self.from_stderr = fd == 2
