# SPDX-License-Identifier: Apache-2.0
"""The action that runs a program."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from launch import logging
from launch.action import Action, LaunchDescriptionEntity, list_of_entities
from launch.event_handlers import Entities, OnProcessExit, OnShutdown
from launch.events.process import ProcessExited, ProcessIO, ProcessStarted, RunningProcessEvent
from launch.substitutions import LaunchConfiguration, SomeSubstitutionsType, perform_text

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

# Output that arrives after a process ended is waited for: a grandchild may hold the pipe open.
_DRAIN_S = 0.5
_SOURCES = {1: "stdout", 2: "stderr"}


class ExecuteProcess(Action):
    """Run a program, show its output, and end it with the launch.

    When the launch ends the program gets SIGINT, after `sigterm_timeout` seconds SIGTERM and after
    another `sigkill_timeout` seconds SIGKILL. With `cached_output` its output is also kept.
    """

    def __init__(
        self,
        *,
        cmd: Iterable[SomeSubstitutionsType],
        additional_env: Mapping[SomeSubstitutionsType, SomeSubstitutionsType] | None = None,
        sigterm_timeout: SomeSubstitutionsType | None = None,
        sigkill_timeout: SomeSubstitutionsType | None = None,
        output: SomeSubstitutionsType | dict[str, Any] = "log",
        cached_output: bool = False,
        on_exit: Entities = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cmd = list(cmd)
        self.additional_env = dict(additional_env or {})
        self.sigterm_timeout = sigterm_timeout or LaunchConfiguration("sigterm_timeout", default=5)
        self.sigkill_timeout = sigkill_timeout or LaunchConfiguration("sigkill_timeout", default=5)
        self.output = os.environ.get("OVERRIDE_LAUNCH_PROCESS_OUTPUT", output)
        self.cached_output = cached_output
        self.on_exit = on_exit
        self.process_details: dict[str, Any] | None = None
        self._transport: asyncio.SubprocessTransport | None = None
        self._stopping: asyncio.Event | None = None
        self._unfinished_line = dict.fromkeys(_SOURCES, b"")
        self._cache = dict.fromkeys(_SOURCES, b"")

    @property
    def return_code(self) -> int | None:
        """The exit status, negative for a signal; None before the program's end."""
        return None if self._transport is None else self._transport.get_returncode()

    def get_stdout(self) -> str:
        """Return what the program has written; raise RuntimeError without `cached_output`."""
        return self._cached(1)

    def get_stderr(self) -> str:
        """Return what the program has written; raise RuntimeError without `cached_output`."""
        return self._cached(2)

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return what is visited when the program ends, as far as known."""
        return [] if callable(self.on_exit) else list_of_entities(self.on_exit)

    def expand_command(self, context: LaunchContext) -> tuple[str, list[str]]:
        """Return the program's name, for the prefix of its output, and its command line."""
        command = [perform_text(context, part) for part in self.cmd]
        return os.path.basename(command[0]), command

    def execute(self, context: LaunchContext) -> None:
        """Start the program; what follows happens in the background."""
        if self.process_details is not None:
            raise RuntimeError(f"ExecuteProcess action '{self.cmd}': executed more than once")
        if context.is_shutdown:
            return
        self._prepare(context)
        self._stopping = asyncio.Event()
        if self.on_exit is not None:
            context.register_event_handler(OnProcessExit(target_action=self, on_exit=self.on_exit))
        context.register_event_handler(OnShutdown(on_shutdown=lambda *_: self._stopping.set()))
        context.add_completion_future(context.asyncio_loop.create_task(self._run(context)))

    def _prepare(self, context: LaunchContext) -> None:
        """Evaluate everything now: scopes may be gone when the program starts."""
        name, command = self.expand_command(context)
        context.process_count += 1
        environment = dict(context.environment)
        for key, value in self.additional_env.items():
            environment[perform_text(context, key)] = perform_text(context, value)
        prefix = LaunchConfiguration("launch-prefix", default="").perform(context)
        self.process_details = {
            "action": self,
            "name": f"{name}-{context.process_count}",
            "cmd": shlex.split(prefix) + command,
            "env": environment,
        }
        self._log = logging.get_logger(self.process_details["name"])
        output = self.output if isinstance(self.output, dict) else perform_text(context, self.output)
        self._targets = logging.get_targets(output)
        timeouts = (self.sigterm_timeout, self.sigkill_timeout)
        self._patience = [float(perform_text(context, timeout)) for timeout in timeouts]

    async def _run(self, context: LaunchContext) -> None:
        """Run the program until it ends, and emit its events."""
        details = self.process_details
        command = " ".join(details["cmd"])

        def emit(kind: type[RunningProcessEvent], **more: Any) -> None:
            same = {name: value for name, value in details.items() if name != "name"}
            context.emit_event_sync(kind(process_name=details["name"], **same, **more))

        def started(transport: asyncio.SubprocessTransport) -> None:
            self._transport = transport
            details["pid"] = transport.get_pid()
            self._log.info(f"process started with pid [{details['pid']}]")
            emit(ProcessStarted)

        def written(fd: int, data: bytes) -> None:
            self._take_output(fd, data)
            emit(ProcessIO, text=data, fd=fd)

        try:
            _, protocol = await context.asyncio_loop.subprocess_exec(
                lambda: _Protocol(started, written),
                *details["cmd"],
                env=details["env"],
                stdin=asyncio.subprocess.DEVNULL,
                # A session of its own: a Ctrl-C reaches it once, through the launch.
                start_new_session=True,
            )
        except OSError as error:
            self._log.error(f"cannot execute '{command}': {error}")
            return
        try:
            await self._end(protocol)
        finally:
            self._transport.close()  # kills it if this task was cancelled
        for fd in _SOURCES:
            self._take_output(fd, b"\n" if self._unfinished_line[fd] else b"")
        if self.return_code == 0:
            self._log.info(f"process has finished cleanly [pid {details['pid']}]")
        else:
            about = f"pid {details['pid']}, exit code {self.return_code}, cmd '{command}'"
            self._log.error(f"process has died [{about}].")
        emit(ProcessExited, returncode=self.return_code)

    async def _end(self, protocol: _Protocol) -> None:
        """Wait for the program's end; once the launch ends, press for it."""
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait([protocol.exited, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not protocol.exited.done():
            self._send_signal(signal.SIGINT)
        steps = zip(("SIGINT", "SIGTERM"), ("SIGTERM", "SIGKILL"), self._patience, strict=True)
        for sent, following, seconds in steps:
            await asyncio.wait([protocol.exited], timeout=seconds)
            if not protocol.exited.done():
                name = self.process_details["name"]
                self._log.error(
                    f"process[{name}] failed to terminate '{seconds:g}' seconds after receiving "
                    f"'{sent}', escalating to '{following}'"
                )
                self._send_signal(signal.Signals[following])
        await protocol.exited
        await asyncio.wait([protocol.closed], timeout=_DRAIN_S)

    def _send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the program and say so; SIGKILL goes to what it started, too."""
        name = self.process_details["name"]
        self._log.info(f"sending signal '{number.name}' to process[{name}]")
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(self._transport.get_pid(), number)
            else:
                self._transport.send_signal(number)

    def _take_output(self, fd: int, data: bytes) -> None:
        """Show the lines that are complete, and keep what has been written."""
        if self.cached_output:
            self._cache[fd] += data
        *lines, self._unfinished_line[fd] = (self._unfinished_line[fd] + data).split(b"\n")
        for line in lines:
            text = f"[{self.process_details['name']}] {line.decode(errors='replace')}"
            if "screen" in self._targets[_SOURCES[fd]]:
                logging.print_line(text)
            if "log" in self._targets[_SOURCES[fd]]:
                logging.write_line(text)

    def _cached(self, fd: int) -> str:
        if not self.cached_output:
            raise RuntimeError(f"cached_output must be true to get the {_SOURCES[fd]} of {self.cmd}")
        return self._cache[fd].decode(errors="replace")


class _Protocol(asyncio.SubprocessProtocol):
    """Passes output on, and tells the end of the program and of its output."""

    def __init__(self, on_start: Callable[..., None], on_output: Callable[..., None]) -> None:
        loop = asyncio.get_running_loop()
        self.exited = loop.create_future()
        self.closed = loop.create_future()
        self.connection_made = on_start
        self.pipe_data_received = on_output

    def process_exited(self) -> None:
        self.exited.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed.set_result(None)
