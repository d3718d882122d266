# SPDX-License-Identifier: Apache-2.0
"""For launch files: a node that has ended is started again, but not one that cannot start as it is called."""

from __future__ import annotations

from typing import Any

from launch import Action, LaunchContext
from launch.actions import Shutdown
from launch.substitutions import LaunchConfiguration

DELAY_S = 2.0
CANNOT_START = 2  # the exit code of a node that has said what to correct


def respawned() -> dict[str, Any]:
    """Return the arguments of a launch_ros Node that is started again where the argument respawn is true."""
    return {
        "respawn": LaunchConfiguration("respawn"),
        "respawn_delay": DELAY_S,
        "on_exit": _end_where_in_vain,
    }


def _end_where_in_vain(event: Any, context: LaunchContext) -> list[Action]:
    if event.returncode != CANNOT_START:
        return []
    return [Shutdown(reason=f"{event.process_name} cannot start with these parameters")]
