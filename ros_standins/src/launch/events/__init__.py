# SPDX-License-Identifier: Apache-2.0
"""Things that happen during a launch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launch.action import Action
    from launch.launch_description_entity import LaunchDescriptionEntity


class Event:
    """Something that happened."""

    name = "launch.Event"


class Shutdown(Event):
    """The launch is to end; `due_to_sigint` tells whether a Ctrl-C asked for it."""

    name = "launch.events.Shutdown"

    def __init__(self, *, reason: str = "reason not given", due_to_sigint: bool = False) -> None:
        self.reason = reason
        self.due_to_sigint = due_to_sigint


class IncludeLaunchDescription(Event):
    """An entity is to be visited from outside of a description."""

    name = "launch.events.IncludeLaunchDescription"

    def __init__(self, launch_description: LaunchDescriptionEntity) -> None:
        self.launch_description = launch_description


class TimerEvent(Event):
    """A TimerAction's time has come."""

    name = "launch.events.TimerEvent"

    def __init__(self, *, timer_action: Action) -> None:
        self.timer_action = timer_action


def matches_action(target_action: Action) -> Callable[[Action], bool]:
    """Return a matcher for one action."""
    return lambda action: action is target_action
