# SPDX-License-Identifier: Apache-2.0
"""What a node says of itself on /diagnostics, once a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from ace_ros.nodes.publishing import publish

PERIOD_S = 1.0


@dataclass(frozen=True)
class Health:
    """How a part of a node is: a sentence, whether it is a warning, and figures by their names."""

    message: str
    warning: bool = False
    values: Mapping[str, Any] = field(default_factory=dict)


class Diagnostics:
    """Publishes the health of a node's parts; each is asked for once a second."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._parts: dict[str, tuple[str, Callable[[], Health]]] = {}
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._timer = node.create_timer(PERIOD_S, self._on_timer)

    def add(self, part: str, hardware_id: str, health: Callable[[], Health]) -> None:
        """Add a part, under the name "NODE: PART"."""
        self._parts[part] = hardware_id, health

    def _on_timer(self) -> None:
        array = DiagnosticArray()
        array.header.stamp = self._node.get_clock().now().to_msg()
        for part, (hardware_id, ask) in self._parts.items():
            health = ask()
            array.status.append(
                DiagnosticStatus(
                    level=DiagnosticStatus.WARN if health.warning else DiagnosticStatus.OK,
                    name=f"{self._node.get_name()}: {part}",
                    message=health.message,
                    hardware_id=hardware_id,
                    values=[KeyValue(key=key, value=str(value)) for key, value in health.values.items()],
                )
            )
        publish(self._node, self._publisher, array)
