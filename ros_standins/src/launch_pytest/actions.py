# SPDX-License-Identifier: Apache-2.0
"""The action that starts the tests."""

from __future__ import annotations

from collections.abc import Callable

from launch import Action, LaunchContext


class ReadyToTest(Action):
    """Tell that the tests of a launch description may begin."""

    def __init__(self) -> None:
        super().__init__()
        self._callbacks: list[Callable[[], None]] = []

    def _add_callback(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def execute(self, context: LaunchContext) -> None:
        for callback in self._callbacks:
            callback()
