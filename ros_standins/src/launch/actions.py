# SPDX-License-Identifier: Apache-2.0
"""What a launch file can do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, MutableMapping
from typing import TYPE_CHECKING, Any

from launch import logging
from launch.action import Action, LaunchDescriptionEntity
from launch.event_handlers import EventHandler, OnShutdown
from launch.events import IncludeLaunchDescription as IncludeEvent
from launch.events import Shutdown as ShutdownEvent
from launch.events.process import ProcessExited
from launch.execute_process import ExecuteProcess  # noqa: F401
from launch.launch_description import LaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import SomeSubstitutionsType, normalize_to_list_of_substitutions, perform_text

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class DeclareLaunchArgument(Action):
    """An argument that `ros2 launch ... NAME:=VALUE` or an including file can set."""

    def __init__(
        self,
        name: str,
        *,
        default_value: SomeSubstitutionsType | None = None,
        description: str = "no description given",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.description = description
        self.default_value = default_value
        if default_value is not None:
            self.default_value = normalize_to_list_of_substitutions(default_value)

    def execute(self, context: LaunchContext) -> None:
        """Set the default where no value was given; raise RuntimeError where there is none."""
        if self.name not in context.launch_configurations:
            if self.default_value is None:
                raise RuntimeError(f'Required launch argument "{self.name}" was not provided.')
            context.launch_configurations[self.name] = perform_text(context, self.default_value)


class IncludeLaunchDescription(Action):
    """Everything of another launch file, with arguments for it."""

    def __init__(
        self,
        launch_description_source: PythonLaunchDescriptionSource | SomeSubstitutionsType,
        *,
        launch_arguments: Iterable[tuple[SomeSubstitutionsType, SomeSubstitutionsType]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(launch_description_source, PythonLaunchDescriptionSource):
            launch_description_source = PythonLaunchDescriptionSource(launch_description_source)
        self.launch_description_source = launch_description_source
        self.launch_arguments = tuple(launch_arguments or ())

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return the included description where it can be known beforehand."""
        description = self.launch_description_source.try_get_launch_description_without_context()
        return [] if description is None else [description]

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        """Return the settings of its arguments and the file's description."""
        settings = [SetLaunchConfiguration(name, value) for name, value in self.launch_arguments]
        return [*settings, self.launch_description_source.get_launch_description(context)]


class _Set(Action):
    """Give a name a value."""

    def __init__(self, name: SomeSubstitutionsType, value: SomeSubstitutionsType, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.value = value

    def set_in(self, values: MutableMapping[str, str], context: LaunchContext) -> None:
        """Set it among other values."""
        values[perform_text(context, self.name)] = perform_text(context, self.value)


class SetLaunchConfiguration(_Set):
    """Set a launch configuration, which LaunchConfiguration reads."""

    def execute(self, context: LaunchContext) -> None:
        self.set_in(context.launch_configurations, context)


class SetEnvironmentVariable(_Set):
    """Set an environment variable for the processes that follow."""

    def execute(self, context: LaunchContext) -> None:
        self.set_in(context.environment, context)


class GroupAction(Action):
    """Several actions with one condition.

    `scoped`: configurations and environment set inside do not reach outside.
    """

    def __init__(
        self, actions: Iterable[LaunchDescriptionEntity], *, scoped: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.actions = list(actions)
        self.scoped = scoped

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        return self.actions

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        """Return the actions, between opening and closing of the scope."""
        if not self.scoped:
            return self.actions
        open_scope = OpaqueFunction(function=lambda context: context.push_scope())
        close_scope = OpaqueFunction(function=lambda context: context.pop_scope())
        return [open_scope, *self.actions, close_scope]


class LogInfo(Action):
    """Print a message."""

    def __init__(self, *, msg: SomeSubstitutionsType, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.msg = msg

    def execute(self, context: LaunchContext) -> None:
        logging.get_logger("launch.user").info(perform_text(context, self.msg))


class OpaqueFunction(Action):
    """Call a function `(context)` that may return a list of further entities."""

    def __init__(self, *, function: Callable[[LaunchContext], Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._function = function

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        return self._function(context)


class RegisterEventHandler(Action):
    """Start to listen for an event."""

    def __init__(self, event_handler: EventHandler, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.event_handler = event_handler

    def execute(self, context: LaunchContext) -> None:
        context.register_event_handler(self.event_handler)


class Shutdown(Action):
    """End the launch."""

    def __init__(self, *, reason: str = "reason not given", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reason = reason

    def execute(self, context: LaunchContext) -> None:
        """Emit the event, and say so where the end of a process is the cause."""
        event = getattr(context.locals, "event", None)
        if isinstance(event, ProcessExited):
            logging.get_logger("launch").info(
                f"process[{event.process_name}] was required: shutting down launched system"
            )
        context.emit_event_sync(ShutdownEvent(reason=self.reason))


class TimerAction(Action):
    """Visit entities after `period` seconds, once; not if the launch ends before."""

    def __init__(self, *, period: float, actions: Iterable[LaunchDescriptionEntity], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(period, float):  # ROS 2 refuses an int, too
            raise TypeError(f"TimerAction expected 'period' to be a float, got {period!r}")
        self.period = period
        self.actions = list(actions)
        self._launch_ends = asyncio.Event()

    def execute(self, context: LaunchContext) -> None:
        context.register_event_handler(OnShutdown(on_shutdown=lambda *_: self._launch_ends.set()))
        context.add_completion_future(context.asyncio_loop.create_task(self._wait(context)))

    async def _wait(self, context: LaunchContext) -> None:
        try:
            await asyncio.wait_for(self._launch_ends.wait(), self.period)
        except asyncio.TimeoutError:
            context.emit_event_sync(IncludeEvent(LaunchDescription(self.actions)))
