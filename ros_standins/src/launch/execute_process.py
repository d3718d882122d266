# SPDX-License-Identifier: Apache-2.0
"""The action that runs a program."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from launch import logging
from launch.action import Action
from launch.event_handlers import Entities, OnProcessExit, OnShutdown
from launch.events.process import ProcessExited, ProcessStarted
from launch.substitutions import LaunchConfiguration, SomeSubstitutionsType, perform_text

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

# Output that arrives after a process ended is waited for: a grandchild may hold the pipe open.
_DRAIN_S = 0.5
_SOURCES = {1: "stdout", 2: "stderr"}


class ExecuteProcess(Action):
    """Run a program, show its output, and end it with the launch.

    When the launch ends the program gets SIGINT, after a while SIGTERM and after another SIGKILL. The
    launch configurations `sigterm_timeout` and `sigkill_timeout` are the seconds between, 5 by default.
    With `respawn` a program that ends before is started again, `respawn_delay` seconds later.
    """

    def __init__(
        self,
        *,
        cmd: Iterable[SomeSubstitutionsType],
        additional_env: Mapping[SomeSubstitutionsType, SomeSubstitutionsType] | None = None,
        output: SomeSubstitutionsType | dict[str, Any] = "log",
        on_exit: Entities = None,
        respawn: bool | SomeSubstitutionsType = False,
        respawn_delay: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cmd = list(cmd)
        self.additional_env = dict(additional_env or {})
        self.output = output
        self.on_exit = on_exit
        self._respawn, self._respawn_delay = respawn, respawn_delay or 0.0
        self._process_name: str | None = None
        self._transport: asyncio.SubprocessTransport | None = None
        self._stopping: asyncio.Event | None = None
        self._unfinished_line = dict.fromkeys(_SOURCES, b"")

    @property
    def return_code(self) -> int | None:
        """The exit status, negative for a signal; None before the program's end."""
        return None if self._transport is None else self._transport.get_returncode()

    def expand_command(self, context: LaunchContext) -> tuple[str, list[str]]:
        """Return the program's name, for the prefix of its output, and its command line."""
        command = [perform_text(context, part) for part in self.cmd]
        return os.path.basename(command[0]), command

    def execute(self, context: LaunchContext) -> None:
        """Start the program; what follows happens in the background."""
        if self._process_name is not None:
            raise RuntimeError(f"process[{self._process_name}] was started before: an action runs once")
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
        name, self._command = self.expand_command(context)
        context.process_count += 1
        self._process_name = f"{name}-{context.process_count}"
        self._log = logging.get_logger(self._process_name)
        self._environment = dict(context.environment)
        for key, value in self.additional_env.items():
            self._environment[perform_text(context, key)] = perform_text(context, value)
        output = self.output if isinstance(self.output, dict) else perform_text(context, self.output)
        self._targets = logging.get_targets(output)
        timeouts = (LaunchConfiguration(f"{name}_timeout", default="5") for name in ("sigterm", "sigkill"))
        if not isinstance(self._respawn, bool):
            self._respawn = perform_text(context, self._respawn).lower() in ("true", "1")
        self._patience = [float(timeout.perform(context)) for timeout in timeouts]

    async def _run(self, context: LaunchContext) -> None:
        """Run the program until it ends, and again where it is to be respawned."""
        while await self._run_once(context) and self._respawn:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._respawn_delay)
            if self._stopping.is_set():
                return

    async def _run_once(self, context: LaunchContext) -> bool:
        """Run the program until it ends, and emit its events; return whether it could be started."""
        command = " ".join(self._command)

        def started(transport: asyncio.SubprocessTransport) -> None:
            self._transport = transport
            pid = transport.get_pid()
            self._log.info(f"process started with pid [{pid}]")
            context.emit_event_sync(ProcessStarted(action=self, process_name=self._process_name, pid=pid))

        try:
            _, protocol = await context.asyncio_loop.subprocess_exec(
                lambda: _Protocol(started, self._take_output),
                *self._command,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                # A session of its own: a Ctrl-C reaches it once, through the launch.
                start_new_session=True,
            )
        except OSError as error:
            self._log.error(f"cannot execute '{command}': {error}")
            return False
        try:
            await self._end(protocol)
        finally:
            self._transport.close()  # kills it if this task was cancelled
        for fd in _SOURCES:
            self._take_output(fd, b"\n" if self._unfinished_line[fd] else b"")
        pid, code = self._transport.get_pid(), self.return_code
        if code == 0:
            self._log.info(f"process has finished cleanly [pid {pid}]")
        else:
            self._log.error(f"process has died [pid {pid}, exit code {code}, cmd '{command}'].")
        end = ProcessExited(action=self, process_name=self._process_name, pid=pid, returncode=code)
        context.emit_event_sync(end)
        return True

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
                self._log.error(
                    f"process[{self._process_name}] failed to terminate '{seconds:g}' seconds "
                    f"after receiving '{sent}', escalating to '{following}'"
                )
                self._send_signal(signal.Signals[following])
        await protocol.exited
        await asyncio.wait([protocol.closed], timeout=_DRAIN_S)

    def _send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the program and say so; SIGKILL goes to what it started, too."""
        self._log.info(f"sending signal '{number.name}' to process[{self._process_name}]")
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(self._transport.get_pid(), number)
            else:
                self._transport.send_signal(number)

    def _take_output(self, fd: int, data: bytes) -> None:
        """Show the lines that are complete."""
        *lines, self._unfinished_line[fd] = (self._unfinished_line[fd] + data).split(b"\n")
        for line in lines:
            text = f"[{self._process_name}] {line.decode(errors='replace')}"
            if "screen" in self._targets[_SOURCES[fd]]:
                logging.print_line(text)
            if "log" in self._targets[_SOURCES[fd]]:
                logging.write_line(text)


class _Protocol(asyncio.SubprocessProtocol):
    """Passes output on, and tells the end of the program and of its output."""

    def __init__(self, on_start: Callable[..., None], on_output: Callable[[int, bytes], None]) -> None:
        loop = asyncio.get_running_loop()
        self.exited = loop.create_future()
        self.closed = loop.create_future()
        self.connection_made = on_start
        self.pipe_data_received = on_output

    def process_exited(self) -> None:
        self.exited.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed.set_result(None)
