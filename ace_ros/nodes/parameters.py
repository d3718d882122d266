# SPDX-License-Identifier: Apache-2.0
"""ROS parameters made from option dataclasses: one declaration, checked in one place."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import Field, fields
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from ace_ros.config import help_text, override, suggestion
from ace_ros.errors import ConfigError

# What rclpy declares by itself.
ROS_PARAMETERS = ("use_sim_time", "start_type_description_service", "qos_overrides.")
LARGEST_INTEGER = 2**31 - 1


class Parameters:
    """The parameters of a node, one flat namespace made from several option dataclasses.

    The node must have been made with `automatically_declare_parameters_from_overrides=True`: this
    is how a name in a params file that no option has is noticed. Raises ConfigError for such a
    name and for a value outside its limits.
    """

    def __init__(self, node: Node, *kinds: type) -> None:
        self._lock = threading.Lock()
        self._configs: dict[type, Any] = {kind: kind() for kind in kinds}
        given = {
            name: parameter.value
            for name, parameter in node.get_parameters_by_prefix("").items()
            if not name.startswith(ROS_PARAMETERS)
        }
        self._replace(given)
        for kind in kinds:
            for f in fields(kind):
                if f.name in given:
                    node.undeclare_parameter(f.name)
                value = getattr(self._configs[kind], f.name)
                node.declare_parameter(f.name, value, describe(f), ignore_override=True)
        # rclpy has no hook after setting on Humble, so the checked values are taken in this one.
        node.add_on_set_parameters_callback(self._on_set)

    def __getitem__(self, kind: type) -> Any:
        """Return the config of a kind as it is now; it never changes, a later one may differ."""
        return self._configs[kind]

    def _replace(self, changes: Mapping[str, Any]) -> None:
        with self._lock:
            owners = {f.name: (kind, f) for kind in self._configs for f in fields(kind)}
            unknown = sorted(set(changes) - set(owners))
            if unknown:
                raise ConfigError(f"parameter {unknown[0]!r} is not known; {suggestion(unknown[0], owners)}")
            configs = dict(self._configs)
            for name, value in changes.items():
                kind, f = owners[name]
                configs[kind] = override(configs[kind], {name: as_type_of(f.default, value)})
            self._configs = configs

    def _on_set(self, parameters: Iterable[Parameter]) -> SetParametersResult:
        try:
            self._replace({p.name: p.value for p in parameters})
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)


def describe(f: Field[Any]) -> ParameterDescriptor:
    """Return the descriptor of an option: its help with the unit, its range, read-only or not."""
    about = f.metadata
    choices = f"one of {', '.join(about['choices'])}" if about["choices"] else ""
    result = ParameterDescriptor(
        name=f.name, description=help_text(f), additional_constraints=choices, read_only=not about["live"]
    )
    low, high = about["low"], about["high"]
    if isinstance(f.default, bool) or low is None:
        return result
    if isinstance(f.default, int):
        limits = IntegerRange(from_value=int(low), to_value=int(high or LARGEST_INTEGER))
        result.integer_range = [limits]
    elif high is not None:
        result.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
    return result


def as_type_of(default: Any, value: Any) -> Any:
    """Return a whole number as float where the option is one: `1` in a params file means `1.0`."""
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value
