# SPDX-License-Identifier: Apache-2.0
"""Run ROS nodes, with namespace and parameters for all nodes of a scope."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

import yaml
from launch import logging
from launch.action import Action
from launch.actions import ExecuteProcess
from launch.substitutions import SomeSubstitutionsType, perform_text
from launch_ros.executables import find_executable
from launch_ros.parameter_descriptions import evaluate_parameters

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

NAMESPACE = "ros_namespace"  # the launch configurations that carry both, as in ROS 2
PARAMETERS = "global_params"


class Node(ExecuteProcess):
    """Run `package`'s `executable` with a name, namespace, parameters and remappings.

    `parameters` is a list of dictionaries and YAML files, the later ones win. Without a package,
    `executable` is a path. Everything else is as in ExecuteProcess.
    """

    def __init__(
        self,
        *,
        executable: SomeSubstitutionsType,
        package: SomeSubstitutionsType | None = None,
        name: SomeSubstitutionsType | None = None,
        namespace: SomeSubstitutionsType | None = None,
        parameters: list[Any] | None = None,
        remappings: Iterable[tuple[SomeSubstitutionsType, SomeSubstitutionsType]] | None = None,
        arguments: Iterable[SomeSubstitutionsType] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(cmd=[executable], **kwargs)
        if parameters is not None and not isinstance(parameters, list | tuple):
            raise TypeError(f"Node expected a list of 'parameters', got {parameters!r}")
        self.package = package
        self.executable = executable
        self.arguments = list(arguments or [])
        self._name = name
        self._namespace = namespace
        self._parameters = list(parameters or [])
        self._remappings = list(remappings or [])
        self.node_name: str | None = None  # the full name, known once the action is executed

    def expand_command(self, context: LaunchContext) -> tuple[str, list[str]]:
        """Return the executable's name and the command line with all ROS arguments."""
        name = None if self._name is None else perform_text(context, self._name)
        own = None if self._namespace is None else perform_text(context, self._namespace)
        namespace = join_namespaces(context.launch_configurations.get(NAMESPACE), own)
        self.node_name = _full_name(namespace, name)
        executable = perform_text(context, self.executable)
        program = [executable]
        if self.package is not None:
            program = find_executable(perform_text(context, self.package), executable)
        command = [*program, *(perform_text(context, part) for part in self.arguments)]
        command += ["--ros-args"]
        command += [] if name is None else ["-r", f"__node:={name}"]
        command += [] if namespace is None else ["-r", f"__ns:={namespace}"]
        for key, value in context.launch_configurations.get(PARAMETERS, []):
            command += ["-p", f"{key}:={_as_rule(value)}"]
        for parameters in self._parameters:
            command += self._parameter_arguments(context, parameters)
        for source, target in self._remappings:
            rule = f"{perform_text(context, source)}:={perform_text(context, target)}"
            command += ["-r", rule]
        return os.path.basename(executable), command

    def _parameter_arguments(self, context: LaunchContext, parameters: Any) -> list[str]:
        """Return the arguments for one dictionary or file of parameters."""
        if isinstance(parameters, Mapping):
            values = evaluate_parameters(context, parameters)
            whom = "/**" if "unspecified>" in self.node_name else self.node_name
            return ["--params-file", _write_file({whom: {"ros__parameters": values}})]
        path = Path(perform_text(context, parameters))
        if not path.is_file():
            logging.get_logger("launch_ros.actions.node").warning(
                f"Parameter file path is not a file: {path}"
            )
            return []
        return ["--params-file", str(path)]


class PushRosNamespace(Action):
    """Put the nodes that follow into a namespace, inside of the current one unless absolute."""

    def __init__(self, namespace: SomeSubstitutionsType, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.namespace = namespace

    def execute(self, context: LaunchContext) -> None:
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


def _full_name(namespace: str | None, name: str | None) -> str:
    """Return the node's full name; what only the program knows stands in brackets."""
    folder = "<node_namespace_unspecified>" if namespace is None else namespace.rstrip("/")
    return f"{folder}/{name or '<node_name_unspecified>'}"


def _as_rule(value: Any) -> str:
    """Return a value as `-p name:=VALUE` takes it: YAML on one line, without an end mark."""
    text = yaml.safe_dump(value, default_flow_style=True, width=float("inf"))
    return text.removesuffix("...\n").strip()


def _write_file(content: dict[str, Any]) -> str:
    """Write a parameter file that exists until this process ends."""
    with NamedTemporaryFile("w", prefix="launch_params_", delete=False, encoding="utf-8") as file:
        yaml.safe_dump(content, file, default_flow_style=False, allow_unicode=True)
    atexit.register(Path(file.name).unlink, missing_ok=True)
    return file.name
