# SPDX-License-Identifier: Apache-2.0
"""The action that runs a ROS node."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

import yaml
from launch import logging
from launch.actions import ExecuteProcess
from launch.substitutions import SomeSubstitutionsType, perform_text
from launch_ros.executables import find_executable
from launch_ros.parameter_descriptions import evaluate_parameters

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class Node(ExecuteProcess):
    """Run `package`'s `executable` with a name, namespace, parameters and remappings.

    `parameters` is a list of dictionaries and YAML files, the later ones win. Everything else is as
    in ExecuteProcess.
    """

    def __init__(
        self,
        *,
        package: SomeSubstitutionsType,
        executable: SomeSubstitutionsType,
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
        self._package = package
        self._executable = executable
        self._name = name
        self._namespace = namespace
        self._parameters = list(parameters or [])
        self._remappings = list(remappings or [])
        self._arguments = list(arguments or [])

    def expand_command(self, context: LaunchContext) -> tuple[str, list[str]]:
        """Return the executable's name and the command line with all ROS arguments."""
        executable = perform_text(context, self._executable)
        program = find_executable(perform_text(context, self._package), executable)
        command = [program, *(perform_text(context, part) for part in self._arguments), "--ros-args"]
        name = namespace = None
        if self._name is not None:
            name = perform_text(context, self._name)
            command += ["-r", f"__node:={name}"]
        if self._namespace is not None:
            namespace = "/" + perform_text(context, self._namespace).strip("/")
            command += ["-r", f"__ns:={namespace}"]
        # Only the program knows what it is called where the launch file does not say it.
        whom = "/**" if name is None or namespace is None else f"{namespace.rstrip('/')}/{name}"
        for parameters in self._parameters:
            command += _parameter_arguments(context, parameters, whom)
        for source, target in self._remappings:
            command += ["-r", f"{perform_text(context, source)}:={perform_text(context, target)}"]
        return os.path.basename(executable), command


def _parameter_arguments(context: LaunchContext, parameters: Any, whom: str) -> list[str]:
    """Return the arguments for one file of parameters, or for a dictionary of those of a node."""
    if isinstance(parameters, Mapping):
        values = evaluate_parameters(context, parameters)
        return ["--params-file", _write_file({whom: {"ros__parameters": values}})]
    path = Path(perform_text(context, parameters))
    if not path.is_file():
        logger = logging.get_logger("launch_ros.actions.node")
        logger.warning(f"Parameter file path is not a file: {path}")
        return []
    return ["--params-file", str(path)]


def _write_file(content: dict[str, Any]) -> str:
    """Write a parameter file that exists until this process ends."""
    with NamedTemporaryFile("w", prefix="launch_params_", delete=False, encoding="utf-8") as file:
        yaml.safe_dump(content, file, default_flow_style=False, allow_unicode=True)
    atexit.register(Path(file.name).unlink, missing_ok=True)
    return file.name
