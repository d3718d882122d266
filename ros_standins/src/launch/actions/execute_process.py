# SPDX-License-Identifier: Apache-2.0
"""The action that runs a program."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from launch import logging
from launch.action import Action
from launch.event_handlers import Entities, OnProcessExit, OnShutdown, list_of_entities
from launch.events.process import ProcessExited, ProcessStarted
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.process import Process
from launch.substitution import SomeSubstitutionsType
from launch.substitutions import LaunchConfiguration
from launch.utilities import perform_text, perform_typed

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

EnvironmentMapping = Mapping[SomeSubstitutionsType, SomeSubstitutionsType]


class ExecuteProcess(Action):
    """Run a program, show its output, and end it with the launch.

    When the launch ends the program gets SIGINT, after `sigterm_timeout` seconds SIGTERM and after
    another `sigkill_timeout` seconds SIGKILL. `respawn` starts it again when it ends by itself.
    """

    def __init__(
        self,
        *,
        cmd: Iterable[SomeSubstitutionsType],
        name: SomeSubstitutionsType | None = None,
        prefix: SomeSubstitutionsType | None = None,
        cwd: SomeSubstitutionsType | None = None,
        env: EnvironmentMapping | None = None,
        additional_env: EnvironmentMapping | None = None,
        shell: bool = False,
        sigterm_timeout: SomeSubstitutionsType | None = None,
        sigkill_timeout: SomeSubstitutionsType | None = None,
        emulate_tty: bool = False,
        output: SomeSubstitutionsType | dict[str, Any] = "log",
        log_cmd: bool = False,
        on_exit: Entities = None,
        respawn: bool | SomeSubstitutionsType = False,
        respawn_delay: float | None = None,
        respawn_max_retries: int = -1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cmd = list(cmd)
        self.name = name
        self.prefix = LaunchConfiguration("launch-prefix", default="") if prefix is None else prefix
        self.cwd = cwd
        self.env = env
        self.additional_env = dict(additional_env or {})
        self.shell = shell
        self.sigterm_timeout = sigterm_timeout or LaunchConfiguration("sigterm_timeout", default=5)
        self.sigkill_timeout = sigkill_timeout or LaunchConfiguration("sigkill_timeout", default=5)
        self.emulate_tty = emulate_tty
        self.output = os.environ.get("OVERRIDE_LAUNCH_PROCESS_OUTPUT", output)
        self.log_cmd = log_cmd
        self.on_exit = on_exit
        self.respawn = respawn
        self.respawn_delay = respawn_delay
        self.respawn_max_retries = respawn_max_retries
        self.process_details: dict[str, Any] | None = None
        self._process: Process | None = None
        self._stopping: asyncio.Event | None = None
        self._task: asyncio.Task | None = None

    @property
    def return_code(self) -> int | None:
        """The exit status of the last run, negative for a signal; None before its end."""
        return None if self._process is None else self._process.returncode

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return what is visited when the program ends, as far as known."""
        return [] if callable(self.on_exit) else list_of_entities(self.on_exit)

    def get_asyncio_future(self) -> asyncio.Future | None:
        """Return what ends with the program."""
        return self._task

    def send_signal(self, number: int) -> None:
        """Send a signal to the running program and say so."""
        if self._process is not None and self._process.returncode is None:
            name = self.process_details["name"]
            self._log.info(f"sending signal '{signal.Signals(number).name}' to process[{name}]")
            self._process.send_signal(number)

    def expand_command(self, context: LaunchContext) -> tuple[str, list[str]]:
        """Return the program's name, for the prefix of its output, and its command line."""
        command = [perform_text(context, part) for part in self.cmd]
        return os.path.basename(command[0]), command

    def execute(self, context: LaunchContext) -> None:
        """Start the program; what follows happens in the background."""
        if self._task is not None:
            raise RuntimeError(f"ExecuteProcess action '{self.cmd}': executed more than once")
        if context.is_shutdown:
            return
        self._prepare(context)
        self._stopping = asyncio.Event()
        if self.on_exit is not None:
            context.register_event_handler(OnProcessExit(target_action=self, on_exit=self.on_exit))
        stop = OnShutdown(on_shutdown=lambda event, context: self._stopping.set())
        context.register_event_handler(stop)
        self._task = context.asyncio_loop.create_task(self._run(context))

    def _prepare(self, context: LaunchContext) -> None:
        """Evaluate everything now: scopes may be gone when the program starts."""
        name, command = self.expand_command(context)
        if self.name is not None:
            name = perform_text(context, self.name)
        context.process_count += 1
        environment = dict(context.environment) if self.env is None else {}
        for key, value in {**(self.env or {}), **self.additional_env}.items():
            environment[perform_text(context, key)] = perform_text(context, value)
        self.process_details = {
            "action": self,
            "name": f"{name}-{context.process_count}",
            "cmd": shlex.split(perform_text(context, self.prefix)) + command,
            "cwd": None if self.cwd is None else perform_text(context, self.cwd),
            "env": environment,
        }
        self._log = logging.get_logger(self.process_details["name"])
        output = self.output
        output = output if isinstance(output, dict) else perform_text(context, output)
        self._output = logging.ProcessOutput(self.process_details["name"], output)
        self._tty = self.emulate_tty
        if "emulate_tty" in context.launch_configurations:
            self._tty = perform_typed(context, LaunchConfiguration("emulate_tty"), bool)
        self._respawns = perform_typed(context, self.respawn, bool)
        # Read here, while the configurations of the action's own scope are visible.
        self._patience = [
            float(perform_text(context, self.sigterm_timeout)),
            float(perform_text(context, self.sigkill_timeout)),
        ]

    async def _run(self, context: LaunchContext) -> None:
        """Run the program, again if it respawns, until it ends or the launch does."""
        retries = 0
        while not self._stopping.is_set():
            if not await self._run_once(context):
                return
            limit = self.respawn_max_retries
            if not self._respawns or (0 <= limit <= retries):
                return
            retries += 1
            # Handlers of this end come first; the delay ends early when the launch does.
            stopping = asyncio.ensure_future(self._stopping.wait())
            await asyncio.wait([stopping], timeout=self.respawn_delay or 0.0)
            stopping.cancel()

    async def _run_once(self, context: LaunchContext) -> bool:
        """Run the program and emit its events; return False where it could not be started."""
        details = self.process_details
        command = details["cmd"]
        shown = " ".join(part for part in command if part.strip())
        if self.log_cmd:
            self._log.info(f"process details: cmd='{shown}', cwd='{details['cwd']}'")
        self._process = Process(self._output.write)
        try:
            await self._process.start(
                command, cwd=details["cwd"], env=details["env"], shell=self.shell, tty=self._tty
            )
        except OSError as error:
            self._log.error(f"cannot execute '{shown}': {error}")
            return False
        details["pid"] = pid = self._process.pid
        self._log.info(f"process started with pid [{pid}]")
        context.running_processes.add(self)
        try:
            context.emit_event_sync(ProcessStarted(**details))
            returncode = await self._end()
        finally:
            context.running_processes.discard(self)
            self._process.kill()  # only if this task was cancelled
        if returncode == 0:
            self._log.info(f"process has finished cleanly [pid {pid}]")
        else:
            about = f"pid {pid}, exit code {returncode}, cmd '{shown}'"
            self._log.error(f"process has died [{about}].")
        context.emit_event_sync(ProcessExited(returncode=returncode, **details))
        return True

    async def _end(self) -> int:
        """Wait for the program's end; once the launch ends, press for it."""
        ended = asyncio.ensure_future(self._process.wait())
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if ended.done():
            return ended.result()
        name = self.process_details["name"]
        self.send_signal(signal.SIGINT)
        steps = zip(("SIGINT", "SIGTERM"), ("SIGTERM", "SIGKILL"), self._patience, strict=True)
        for sent, following, seconds in steps:
            await asyncio.wait([ended], timeout=seconds)
            if ended.done():
                return ended.result()
            self._log.error(
                f"process[{name}] failed to terminate '{seconds:g}' seconds after receiving "
                f"'{sent}', escalating to '{following}'"
            )
            self.send_signal(signal.Signals[following])
        return await ended
