# SPDX-License-Identifier: Apache-2.0
"""Namespace and parameters for all nodes of a scope (a GroupAction or a whole launch file)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from launch.action import Action
from launch.substitution import SomeSubstitutionsType
from launch.utilities import perform_text
from launch_ros.parameter_descriptions import evaluate_parameters

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

NAMESPACE = "ros_namespace"  # the launch configurations that carry both, as in ROS 2
PARAMETERS = "global_params"


class PushRosNamespace(Action):
    """Put the nodes that follow into a namespace, inside of the current one unless absolute."""

    def __init__(self, namespace: SomeSubstitutionsType, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.namespace = namespace

    def execute(self, context: LaunchContext) -> None:
        """Set the namespace."""
        pushed = perform_text(context, self.namespace)
        current = context.launch_configurations.get(NAMESPACE)
        context.launch_configurations[NAMESPACE] = join_namespaces(current, pushed)


class SetParameter(Action):
    """Give a parameter to all nodes that follow."""

    def __init__(self, name: SomeSubstitutionsType, value: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.value = value

    def execute(self, context: LaunchContext) -> None:
        """Add the parameter."""
        added = evaluate_parameters(context, {self.name: self.value})
        previous = context.launch_configurations.get(PARAMETERS, [])
        context.launch_configurations[PARAMETERS] = [*previous, *added.items()]


def join_namespaces(base: str | None, namespace: str | None) -> str | None:
    """Return an absolute namespace: `namespace` under `base`, or alone where it is absolute."""
    if base is None and namespace is None:
        return None
    if namespace and (namespace.startswith("/") or not base):
        joined = namespace
    else:
        joined = f"{(base or '').rstrip('/')}/{namespace or ''}"
    return "/" + joined.strip("/")
