# SPDX-License-Identifier: Apache-2.0
"""Waiting for what becomes of the next image."""

from __future__ import annotations

import threading
import time

from ace_ros.nodes.newest_result import NewestResult, Result

UNDECIDED = 23


def decides(result: Result) -> bool:
    return result.reason != UNDECIDED


def test_an_image_from_before_does_not_count() -> None:
    newest = NewestResult(Result(time.monotonic(), 0, "before"))
    assert newest.next(decides, 0.05) is None


def test_the_first_result_that_decides_is_returned() -> None:
    newest, found_one = NewestResult(Result(0.0, 0, "")), threading.Event()

    def tell() -> None:
        while not found_one.wait(0.01):  # again: the first may be told before anyone waits
            newest.tell(Result(time.monotonic(), UNDECIDED, "a second image is needed"))
            newest.tell(Result(time.monotonic() - 100.0, 0, "received long ago"))
            newest.tell(Result(time.monotonic(), 3, "too few inliers"))

    images = threading.Thread(target=tell)
    images.start()
    found = newest.next(decides, 20.0)
    found_one.set()
    images.join()
    assert found is not None and found.message == "too few inliers"
