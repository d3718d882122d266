# SPDX-License-Identifier: Apache-2.0
"""Things that happen during a launch."""

from __future__ import annotations

from launch.action import LaunchDescriptionEntity


class Event:
    """Something that happened."""


class Shutdown(Event):
    """The launch is to end; `due_to_sigint` tells whether a Ctrl-C asked for it."""

    def __init__(self, *, reason: str = "reason not given", due_to_sigint: bool = False) -> None:
        self.reason = reason
        self.due_to_sigint = due_to_sigint


class IncludeLaunchDescription(Event):
    """An entity is to be visited from outside of a description."""

    def __init__(self, launch_description: LaunchDescriptionEntity) -> None:
        self.launch_description = launch_description
