# SPDX-License-Identifier: Apache-2.0
"""Things that happen during a launch."""

from __future__ import annotations

from dataclasses import dataclass

from launch.action import LaunchDescriptionEntity


class Event:
    """Something that happened."""


@dataclass(kw_only=True)
class Shutdown(Event):
    """The launch is to end."""

    reason: str = "reason not given"


@dataclass
class IncludeLaunchDescription(Event):
    """An entity is to be visited from outside of a description."""

    launch_description: LaunchDescriptionEntity
