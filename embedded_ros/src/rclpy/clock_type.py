# SPDX-License-Identifier: Apache-2.0
"""The kinds of clocks."""

from __future__ import annotations

from enum import IntEnum


class ClockType(IntEnum):
    """ROS_TIME is the system's time unless use_sim_time is set; STEADY_TIME never jumps."""

    ROS_TIME = 1
    SYSTEM_TIME = 2
    STEADY_TIME = 3
