# SPDX-License-Identifier: Apache-2.0
"""Arguments of launch files, and the inclusion of other launch files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from launch.action import Action
from launch.actions.scope import CallInContext, SetLaunchConfiguration
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitution import SomeSubstitutionsType, Substitution
from launch.utilities import (
    normalize_to_list_of_substitutions,
    perform_substitutions,
    perform_text,
)

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class DeclareLaunchArgument(Action):
    """An argument that `ros2 launch ... NAME:=VALUE` or an including file can set."""

    def __init__(
        self,
        name: str,
        *,
        default_value: SomeSubstitutionsType | None = None,
        description: str | None = None,
        choices: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if choices is not None and not choices:
            raise RuntimeError("Provided choices arg is empty. Use None to ignore the choice list.")
        if choices and isinstance(default_value, str) and default_value not in choices:
            raise RuntimeError(
                f'Provided default_value "{default_value}" is not in provided choices "{choices}".'
            )
        self.name = name
        self.choices = choices
        self.default_value: list[Substitution] | None = None
        if default_value is not None:
            self.default_value = normalize_to_list_of_substitutions(default_value)
        self.description = _describe(description, choices)
        self._conditionally_included = False

    def execute(self, context: LaunchContext) -> None:
        """Set the default where no value was given; raise RuntimeError for a bad or missing one."""
        if self.name not in context.launch_configurations:
            if self.default_value is None:
                raise RuntimeError(f'Required launch argument "{self.name}" was not provided.')
            default = perform_substitutions(context, self.default_value)
            context.launch_configurations[self.name] = default
        value = context.launch_configurations[self.name]
        if self.choices is not None and value not in self.choices:
            raise RuntimeError(
                f'Argument "{self.name}" provided value "{value}" is not valid. '
                f"Valid options are: {self.choices}"
            )


class IncludeLaunchDescription(Action):
    """Everything of another launch file, with arguments for it."""

    def __init__(
        self,
        launch_description_source: PythonLaunchDescriptionSource | SomeSubstitutionsType,
        *,
        launch_arguments: Iterable[tuple[SomeSubstitutionsType, SomeSubstitutionsType]]
        | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(launch_description_source, PythonLaunchDescriptionSource):
            launch_description_source = PythonLaunchDescriptionSource(launch_description_source)
        self.launch_description_source = launch_description_source
        self.launch_arguments = tuple(launch_arguments or ())

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return the included description where it can be known beforehand."""
        source = self.launch_description_source
        description = source.try_get_launch_description_without_context()
        return [] if description is None else [description]

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        """Return the arguments' settings and the description; raise where one is missing."""
        description = self.launch_description_source.get_launch_description(context)
        given = [perform_text(context, name) for name, _ in self.launch_arguments]
        declared = description.get_launch_arguments_with_include_launch_description_actions()
        for argument, includes in declared:
            needed = argument.default_value is None and not argument._conditionally_included
            nested = [name for include in includes for name, _ in include.launch_arguments]
            if needed and argument.name not in [*given, *nested]:
                raise RuntimeError(
                    f"Included launch description missing required argument '{argument.name}' "
                    f"(description: '{argument.description}'), given: [{', '.join(given)}]"
                )
        path = os.path.abspath(self.launch_description_source.location)
        outer = dict(context.get_locals_as_dict())
        context.extend_locals(
            {
                "current_launch_file_path": path,
                "current_launch_file_directory": os.path.dirname(path),
            }
        )
        settings = [SetLaunchConfiguration(name, value) for name, value in self.launch_arguments]
        restore = CallInContext(lambda context: context.replace_locals(outer))
        return [*settings, description, restore]


def _describe(description: str | None, choices: list[str] | None) -> str:
    """Return an argument's description with its choices."""
    if description is None:
        return "no description given" if choices is None else f"One of: {choices}"
    if choices is None:
        return description
    return f"{description.removesuffix('.')}. Valid choices are: {choices}"
