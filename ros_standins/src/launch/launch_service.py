# SPDX-License-Identifier: Apache-2.0
"""The loop that carries out a launch description."""

from __future__ import annotations

import asyncio
import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from launch import logging
from launch.action import visit_all
from launch.event_handlers import EventHandler
from launch.events import Event, IncludeLaunchDescription, Shutdown
from launch.launch_context import LaunchContext
from launch.launch_description import LaunchDescription

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)


class LaunchService:
    """Visits descriptions, handles events, and ends when nothing is left to do; runs once."""

    def __init__(self, *, debug: bool = False) -> None:
        logging.set_debugging(debug)
        self._log = logging.get_logger("launch")
        self._context = LaunchContext()
        self._context.register_event_handler(
            EventHandler(
                matcher=lambda event: isinstance(event, IncludeLaunchDescription),
                entities=lambda event, context: event.launch_description,
            )
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._return_code = 0

    @property
    def context(self) -> LaunchContext:
        """The state of the launch."""
        return self._context

    @property
    def event_loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop while the launch runs in it, otherwise None."""
        return self._loop

    def include_launch_description(self, launch_description: LaunchDescription) -> None:
        """Visit a description, now if running or else as soon as `run` is called."""
        self.emit_event(IncludeLaunchDescription(launch_description))

    def emit_event(self, event: Event) -> None:
        """Queue an event; may be called from any thread."""
        if self._loop is None:
            self._context.emit_event_sync(event)
        else:
            self._loop.call_soon_threadsafe(self._context.emit_event_sync, event)

    def shutdown(self, force_sync: bool = False) -> None:
        """End everything that runs; does nothing when not running. Any thread may call it."""
        if self._loop is not None:
            self.emit_event(Shutdown(reason="LaunchService.shutdown() called"))

    def run(self, *, shutdown_when_idle: bool = True) -> int:
        """Carry out all included descriptions; return 0, or 1 if one of them could not be."""
        return asyncio.run(self.run_async(shutdown_when_idle=shutdown_when_idle))

    async def run_async(self, *, shutdown_when_idle: bool = True) -> int:
        """Do what `run` does, in a running loop of the main thread."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("LaunchService can only be run in the main thread.")
        self._loop = self._context.asyncio_loop = asyncio.get_running_loop()
        folder = logging.open_file()
        if folder is not None:
            self._log.info(f"All log files can be found below {folder}")
        self._log.info("Default logging verbosity is set to INFO")
        try:
            with self._signals_handled():
                await self._work(shutdown_when_idle)
        finally:
            self._loop = self._context.asyncio_loop = None
            logging.close_file()
        return self._return_code

    async def _work(self, shutdown_when_idle: bool) -> None:
        """Handle events until the launch is shut down and everything has ended."""
        events = self._context.events
        while True:
            try:
                unfinished = self._context.unfinished()
                if events.empty() and not unfinished:
                    if self._context.is_shutdown:
                        return
                    if shutdown_when_idle:
                        self._shut_down("idle")
                event = asyncio.ensure_future(events.get())
                await asyncio.wait([event, *unfinished], return_when=asyncio.FIRST_COMPLETED)
                if event.done():
                    self._handle(event.result())
                else:
                    event.cancel()
            except Exception as error:  # a launch file may raise anything
                self._fail(error)

    def _handle(self, event: Event) -> None:
        """Let every matching handler react to an event; of the shutdowns, only the first is one."""
        if isinstance(event, Shutdown):
            if self._context.is_shutdown:
                return
            self._context.is_shutdown = True
        for handler in self._context.handlers_of(event):
            for entity in handler.handle(event, self._context):
                visit_all(entity, self._context)

    def _shut_down(self, reason: str) -> None:
        self._context.emit_event_sync(Shutdown(reason=reason))

    def _fail(self, error: Exception) -> None:
        """Say what went wrong and end the launch; processes are still ended in good order."""
        # KeyError's own text is the repr of its argument.
        text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        message = "Caught exception in launch (see debug for traceback): "
        message += text or type(error).__name__
        self._log.debug("".join(traceback.format_exception(error)))
        self._log.error(message)
        self._return_code = 1
        self._shut_down(message)

    @contextmanager
    def _signals_handled(self) -> Iterator[None]:
        """End the launch on signals, none of which reaches a child directly."""
        previous = {number: signal.getsignal(number) for number in _SIGNALS}
        if previous[signal.SIGHUP] is signal.SIG_IGN:  # started with nohup
            del previous[signal.SIGHUP]
        for number in previous:
            self._loop.add_signal_handler(number, self._on_signal, number)
        try:
            yield
        finally:
            for number, handler in previous.items():
                self._loop.remove_signal_handler(number)
                signal.signal(number, handler)

    def _on_signal(self, number: int) -> None:
        name = signal.Signals(number).name
        if number != signal.SIGINT:
            self._log.error(f"user interrupted with {name}, terminating...")
            self._return_code = 1
            self._shut_down(name)
        elif not self._context.is_shutdown:
            self._log.warning("user interrupted with ctrl-c (SIGINT)")
            self._shut_down("ctrl-c (SIGINT)")
        else:
            self._log.warning("user interrupted with ctrl-c (SIGINT) again, ignoring...")
