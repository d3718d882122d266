# SPDX-License-Identifier: Apache-2.0
"""Run launch actions in the process of the test."""

from __future__ import annotations

from launch import LaunchDescription, LaunchDescriptionEntity, LaunchService
from launch.actions import ExecuteProcess


def launch_here(*entities: LaunchDescriptionEntity) -> int:
    """Launch entities and return the exit status."""
    service = LaunchService()
    service.include_launch_description(LaunchDescription(entities))
    return service.run()


def shell(script: str, **kwargs: object) -> ExecuteProcess:
    """Return an action that runs a shell script and shows its output."""
    return ExecuteProcess(cmd=["sh", "-c", script], **{"output": "screen", "name": "sh", **kwargs})
