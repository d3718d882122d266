# SPDX-License-Identifier: Apache-2.0
"""A thread that works on the newest item: what it raises does not end it."""

from __future__ import annotations

import threading

from ace_ros.nodes.newest_worker import NewestWorker


def test_it_goes_on_whatever_is_raised_and_tells() -> None:
    told: list[BaseException] = []
    done = threading.Semaphore(0)

    def tell(error: BaseException) -> None:
        told.append(error)
        done.release()

    def handle(item: object) -> None:
        if isinstance(item, BaseException):
            raise item
        done.release()

    worker = NewestWorker(handle, tell)
    errors = [ValueError("one"), MemoryError(), SystemExit(3)]
    for item in [*errors, "an image"]:
        worker.offer(item)
        assert done.acquire(timeout=30.0)
    worker.close()
    assert told == errors


def test_of_items_that_wait_the_newest_is_worked_on() -> None:
    begun, may_end, handled = threading.Event(), threading.Event(), threading.Event()
    seen: list[int] = []

    def handle(item: int) -> None:
        seen.append(item)
        begun.set()
        assert may_end.wait(30.0)
        if item == 4:
            handled.set()

    worker = NewestWorker(handle, lambda error: None)
    worker.offer(1)
    assert begun.wait(30.0)
    for item in (2, 3, 4):
        worker.offer(item)
    may_end.set()
    assert handled.wait(30.0)
    worker.close()
    assert seen == [1, 4]
