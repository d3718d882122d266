# SPDX-License-Identifier: Apache-2.0
"""Actions that set launch configurations and environment variables, and limit their reach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from launch.action import Action
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.substitution import SomeSubstitutionsType
from launch.utilities import perform_text

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class SetLaunchConfiguration(Action):
    """Set a launch configuration, which LaunchConfiguration reads."""

    def __init__(
        self, name: SomeSubstitutionsType, value: SomeSubstitutionsType, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.value = value

    def execute(self, context: LaunchContext) -> None:
        """Set it."""
        name = perform_text(context, self.name)
        context.launch_configurations[name] = perform_text(context, self.value)


class SetEnvironmentVariable(Action):
    """Set an environment variable for the processes that follow."""

    def __init__(
        self, name: SomeSubstitutionsType, value: SomeSubstitutionsType, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.value = value

    def execute(self, context: LaunchContext) -> None:
        """Set it."""
        context.environment[perform_text(context, self.name)] = perform_text(context, self.value)


class CallInContext(Action):
    """Call a function with the context: the bookkeeping steps between other actions."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self._function = function

    def execute(self, context: LaunchContext) -> None:
        """Call the function."""
        self._function(context)


class GroupAction(Action):
    """Several actions with one condition.

    `scoped`: configurations and environment set inside do not reach outside; `forwarding=False`
    hides those of outside, too. `launch_configurations` are set for the group.
    """

    def __init__(
        self,
        actions: Iterable[LaunchDescriptionEntity],
        *,
        scoped: bool = True,
        forwarding: bool = True,
        launch_configurations: Mapping[SomeSubstitutionsType, SomeSubstitutionsType] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.actions = list(actions)
        self.scoped = scoped
        self.forwarding = forwarding
        self.launch_configurations = dict(launch_configurations or {})

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return the actions."""
        return self.actions

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        """Return the actions between opening and closing of the scope."""
        configure = CallInContext(self._configure)
        if not self.scoped:
            return [configure, *self.actions]
        open_scope = CallInContext(lambda context: context.push_scope())
        close_scope = CallInContext(lambda context: context.pop_scope())
        return [open_scope, configure, *self.actions, close_scope]

    def _configure(self, context: LaunchContext) -> None:
        """Set the group's own configurations, evaluated with those of outside."""
        own = {
            perform_text(context, name): perform_text(context, value)
            for name, value in self.launch_configurations.items()
        }
        if self.scoped and not self.forwarding:
            context.launch_configurations.clear()
        context.launch_configurations.update(own)
