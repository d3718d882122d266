# SPDX-License-Identifier: Apache-2.0
"""Executors: run the callbacks of nodes."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .context import Context
from .task import Future
from .utilities import get_default_context


class ExternalShutdownException(Exception):
    """The context was shut down while spinning, by a signal or from another thread."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(args or ("ROS has been shutdown.",)))


class Executor:
    """Waits for messages, requests, replies and timers, and runs their callbacks."""

    def __init__(self, *, context: Context | None = None) -> None:
        self._context = get_default_context() if context is None else context
        self._nodes: list[Any] = []
        # Reentrant, because a signal handler that wakes may interrupt who holds it.
        self._condition = threading.Condition(threading.RLock())
        self._woken = False
        self._last: Any = None  # whose callback ran last; looking goes on after it: fairness
        self._is_shutdown = False
        self._context.on_shutdown(self.wake)

    @property
    def context(self) -> Context:
        """Return the context."""
        return self._context

    def add_node(self, node: Any) -> bool:
        """Run the callbacks of a node from now on; False if that is so already."""
        with self._condition:
            if node in self._nodes:
                return False
            self._nodes.append(node)
        node.executor = self
        self.wake()
        return True

    def remove_node(self, node: Any) -> None:
        """Leave a node alone from now on."""
        with self._condition:
            if node in self._nodes:
                self._nodes.remove(node)
        self.wake()

    def get_nodes(self) -> list[Any]:
        """Return the nodes."""
        with self._condition:
            return list(self._nodes)

    def wake(self) -> None:
        """Look again: something may be ready."""
        with self._condition:
            self._woken = True
            self._condition.notify_all()

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """Stop spinning and let go of the nodes; True if no callback runs any more."""
        self._is_shutdown = True
        self.wake()
        finished = self._finish(timeout_sec)
        with self._condition:
            self._nodes = []
        return finished

    def spin(self) -> None:
        """Run callbacks until the context or this executor is shut down."""
        while self._context.ok() and not self._is_shutdown:
            self.spin_once()

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Run one callback, or none if nothing is ready within the time."""
        work = self._wait(timeout_sec, None)
        if work is not None:
            self._run(work)

    def spin_until_future_complete(self, future: Future, timeout_sec: float | None = None) -> None:
        """Run callbacks until a future is done or time ran out."""
        future.add_done_callback(lambda _: self.wake())
        end = None if timeout_sec is None or timeout_sec < 0 else time.monotonic() + timeout_sec
        while self._context.ok() and not self._is_shutdown and not _over(future):
            left = None if end is None else end - time.monotonic()
            self.spin_once_until_future_complete(future, left)
            if left is not None and left <= 0:
                return

    def spin_once_until_future_complete(
        self, future: Future, timeout_sec: float | None = None
    ) -> None:
        """Run one callback, or none if time ran out or the future is done."""
        timeout = None if timeout_sec is None else max(timeout_sec, 0.0)
        work = self._wait(timeout, future)
        if work is not None:
            self._run(work)

    def _run(self, work: Callable[[], None]) -> None:
        raise NotImplementedError

    def _finish(self, timeout_sec: float | None) -> bool:
        return True

    def _wait(self, timeout_sec: float | None, future: Future | None) -> Callable[[], None] | None:
        """Return the next piece of work, None if time ran out or `future` is done first.

        Raises ExternalShutdownException once the context is shut down.
        """
        end = None if timeout_sec is None or timeout_sec < 0 else time.monotonic() + timeout_sec
        while True:
            with self._condition:
                self._woken = False
            if not self._context.ok():
                raise ExternalShutdownException
            if self._is_shutdown or (future is not None and _over(future)):
                return None
            work = self._next()
            if work is not None:
                return work
            waits = self._timer_waits_s()
            if end is not None:
                waits.append(end - time.monotonic())
                if waits[-1] <= 0:
                    return None
            with self._condition:
                if not self._woken:
                    self._condition.wait(max(0.0, min(waits)) if waits else None)

    def _next(self) -> Callable[[], None] | None:
        """Return the work of the next ready entity whose callback group allows it."""
        entities = [entity for node in self.get_nodes() for entity in node._entities()]
        start = entities.index(self._last) + 1 if self._last in entities else 0
        for entity in entities[start:] + entities[:start]:
            group = entity.callback_group
            if not entity._is_ready() or not group.beginning_execution(entity):
                continue
            work = entity._take()
            if work is not None:
                self._last = entity
                return self._guarded(entity, group, work)
            group.ending_execution(entity)
        return None

    def _timer_waits_s(self) -> list[float]:
        """Return the seconds until each timer is due; one that may not run now is left out."""
        timers = [timer for node in self.get_nodes() for timer in node.timers]
        waits = [timer._wait_s() for timer in timers if timer.callback_group.can_execute(timer)]
        return [wait for wait in waits if wait is not None]

    def _guarded(self, entity: Any, group: Any, work: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            finally:
                group.ending_execution(entity)
                self.wake()  # others of the group may be waiting

        return run


class SingleThreadedExecutor(Executor):
    """Runs callbacks in the thread that spins; their exceptions end the spinning."""

    def _run(self, work: Callable[[], None]) -> None:
        work()


class MultiThreadedExecutor(Executor):
    """Runs callbacks in a pool of threads, as far as their callback groups allow."""

    def __init__(self, num_threads: int | None = None, *, context: Context | None = None) -> None:
        super().__init__(context=context)
        if num_threads is None:
            num_threads = max(len(os.sched_getaffinity(0)), 2)
        self._pool = ThreadPoolExecutor(max(num_threads, 1), thread_name_prefix="ros_callback")
        self._free = max(num_threads, 1)
        self._failures: deque[BaseException] = deque()

    def _next(self) -> Callable[[], None] | None:
        if self._failures:
            raise self._failures.popleft()
        # A message is taken when a thread can run it: waiting in the pool it would grow old.
        return super()._next() if self._free > 0 else None

    def _timer_waits_s(self) -> list[float]:
        return super()._timer_waits_s() if self._free > 0 else []

    def _run(self, work: Callable[[], None]) -> None:
        with self._condition:
            self._free -= 1
        self._pool.submit(self._run_in_pool, work)

    def _run_in_pool(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # handed to the thread that spins
            self._failures.append(error)
        finally:
            with self._condition:
                self._free += 1
            self.wake()

    def _finish(self, timeout_sec: float | None) -> bool:
        self._pool.shutdown(wait=timeout_sec != 0)
        return True


def _over(future: Future) -> bool:
    return future.done() or future.cancelled()
