# SPDX-License-Identifier: Apache-2.0
"""Nodes."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from embedded_ros import arguments, names, wire

from ._graph_queries import GraphQueries
from ._parameters import Parameters
from .callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from .client import Client
from .clock import Clock, ROSClock
from .context import Context
from .duration import S_TO_NS
from .endpoint import refuse_coroutine
from .exceptions import (
    InvalidNamespaceException,
    InvalidNodeNameException,
    InvalidServiceNameException,
    InvalidTopicNameException,
    NotInitializedException,
)
from .logging import Logger, get_logger
from .parameter import Parameter
from .parameter_service import ParameterService
from .publisher import Publisher
from .qos import QoSProfile, as_profile, qos_profile_services_default
from .service import Service
from .subscription import Subscription
from .time_source import TimeSource
from .timer import Timer
from .utilities import get_default_context

T = TypeVar("T", Publisher, Subscription, Service, Client, Timer)


class Node(GraphQueries, Parameters):
    """A node: a name under which publishers, subscriptions, services and parameters live."""

    def __init__(
        self,
        node_name: str,
        *,
        context: Context | None = None,
        cli_args: list[str] | None = None,
        namespace: str | None = None,
        use_global_arguments: bool = True,
        enable_rosout: bool = True,
        start_parameter_services: bool = True,
        parameter_overrides: list[Parameter] | None = None,
        allow_undeclared_parameters: bool = False,
        automatically_declare_parameters_from_overrides: bool = False,
    ) -> None:
        self._context = get_default_context() if context is None else context
        if not self._context.ok():
            raise NotInitializedException("cannot create node")
        own = arguments.parse(["--ros-args", *(cli_args or [])])
        shared = self._context._arguments if use_global_arguments else arguments.RosArguments()
        self._arguments = arguments.RosArguments(
            own.remaps + shared.remaps, shared.parameters + own.parameters
        )
        self._name, self._namespace = self._resolve_own_name(node_name, namespace or "")
        overrides = self._arguments.overrides(self.get_fully_qualified_name())
        overrides.update({p.name: p for p in parameter_overrides or []})
        Parameters.__init__(self, overrides, allow_undeclared_parameters)

        self._logger = get_logger(self.get_fully_qualified_name().strip("/").replace("/", "."))
        self._clock = ROSClock()
        self._default_callback_group = MutuallyExclusiveCallbackGroup()
        self._publishers: list[Publisher] = []
        self._subscriptions: list[Subscription] = []
        self._services: list[Service] = []
        self._clients: list[Client] = []
        self._timers: list[Timer] = []
        self._executor: weakref.ReferenceType[Any] | None = None

        link = self._context.link
        self._node_id = link.new_id()
        entity = wire.Entity(
            link.domain, link.session_id, self._node_id, self._node_id, wire.NODE,
            self._namespace, self._name,
        )  # fmt: skip
        self._take_back = link.announce(entity)
        if automatically_declare_parameters_from_overrides:
            given = [(name, p.value) for name, p in self._parameter_overrides.items()]
            self.declare_parameters("", given, ignore_override=True)
        self._time_source = TimeSource(self, self._clock)
        self._parameter_service = ParameterService(self) if start_parameter_services else None

    # Who the node is

    @property
    def context(self) -> Context:
        """Return the context."""
        return self._context

    def get_name(self) -> str:
        """Return the name."""
        return self._name

    def get_namespace(self) -> str:
        """Return the namespace, "/" if there is none."""
        return self._namespace

    def get_fully_qualified_name(self) -> str:
        """Return "/namespace/name"."""
        return f"{self._namespace.rstrip('/')}/{self._name}"

    def get_logger(self) -> Logger:
        """Return the logger."""
        return self._logger

    def get_clock(self) -> Clock:
        """Return the clock."""
        return self._clock

    @property
    def default_callback_group(self) -> CallbackGroup:
        """Return the group of callbacks that name none: one at a time."""
        return self._default_callback_group

    def resolve_topic_name(self, topic: str, *, only_expand: bool = False) -> str:
        """Return the full name that a topic name stands for, after remapping."""
        return self._resolve(topic, "topic name", InvalidTopicNameException, only_expand)

    def resolve_service_name(self, service: str, *, only_expand: bool = False) -> str:
        """Return the full name that a service name stands for, after remapping."""
        return self._resolve(service, "service name", InvalidServiceNameException, only_expand)

    # What it has

    def create_publisher(
        self,
        msg_type: type,
        topic: str,
        qos_profile: QoSProfile | int,
        *,
        callback_group: CallbackGroup | None = None,
    ) -> Publisher:
        """Make a publisher of a topic."""
        qos = as_profile(qos_profile)
        return self._keep(
            self._publishers, Publisher(self, msg_type, self.resolve_topic_name(topic), qos)
        )

    def create_subscription(
        self,
        msg_type: type,
        topic: str,
        callback: Callable[[Any], Any],
        qos_profile: QoSProfile | int,
        *,
        callback_group: CallbackGroup | None = None,
        raw: bool = False,
    ) -> Subscription:
        """Call `callback` with each message of a topic (with its CDR bytes if `raw`)."""
        name = self.resolve_topic_name(topic)
        group = callback_group or self._default_callback_group
        qos = as_profile(qos_profile)
        subscription = Subscription(self, msg_type, name, callback, group, qos, raw)
        return self._keep(self._subscriptions, subscription)

    def create_service(
        self,
        srv_type: type,
        srv_name: str,
        callback: Callable[[Any, Any], Any],
        *,
        qos_profile: QoSProfile = qos_profile_services_default,
        callback_group: CallbackGroup | None = None,
    ) -> Service:
        """Answer requests with what `callback(request, response)` returns."""
        name = self.resolve_service_name(srv_name)
        group = callback_group or self._default_callback_group
        service = Service(self, srv_type, name, callback, group, qos_profile)
        return self._keep(self._services, service)

    def create_client(
        self,
        srv_type: type,
        srv_name: str,
        *,
        qos_profile: QoSProfile = qos_profile_services_default,
        callback_group: CallbackGroup | None = None,
    ) -> Client:
        """Make a client of a service."""
        name = self.resolve_service_name(srv_name)
        group = callback_group or self._default_callback_group
        return self._keep(self._clients, Client(self, srv_type, name, qos_profile, group))

    def create_timer(
        self,
        timer_period_sec: float,
        callback: Callable[[], Any],
        callback_group: CallbackGroup | None = None,
        clock: Clock | None = None,
        autostart: bool = True,
    ) -> Timer:
        """Call `callback` once per period."""
        refuse_coroutine(callback)
        group = callback_group or self._default_callback_group
        timer = Timer(
            callback,
            group,
            int(timer_period_sec * S_TO_NS),
            clock or self._clock,
            wake=self._wake_executor,
            autostart=autostart,
        )
        group.add_entity(timer)
        return self._keep(self._timers, timer)

    def destroy_publisher(self, publisher: Publisher) -> bool:
        """Destroy a publisher of this node."""
        return self._destroy(self._publishers, publisher)

    def destroy_subscription(self, subscription: Subscription) -> bool:
        """Destroy a subscription of this node."""
        return self._destroy(self._subscriptions, subscription)

    def destroy_service(self, service: Service) -> bool:
        """Destroy a service of this node."""
        return self._destroy(self._services, service)

    def destroy_client(self, client: Client) -> bool:
        """Destroy a client of this node."""
        return self._destroy(self._clients, client)

    def destroy_timer(self, timer: Timer) -> bool:
        """Destroy a timer of this node."""
        return self._destroy(self._timers, timer)

    def destroy_node(self) -> None:
        """Destroy everything the node has, and the node."""
        if self.executor is not None:
            self.executor.remove_node(self)
        for kind in (
            self._publishers, self._subscriptions, self._services, self._clients, self._timers,
        ):  # fmt: skip
            for entity in list(kind):
                self._destroy(kind, entity)
        self._take_back()

    @property
    def publishers(self) -> Iterator[Publisher]:
        """Return the publishers."""
        return iter(list(self._publishers))

    @property
    def subscriptions(self) -> Iterator[Subscription]:
        """Return the subscriptions."""
        return iter(list(self._subscriptions))

    @property
    def services(self) -> Iterator[Service]:
        """Return the services."""
        return iter(list(self._services))

    @property
    def clients(self) -> Iterator[Client]:
        """Return the clients."""
        return iter(list(self._clients))

    @property
    def timers(self) -> Iterator[Timer]:
        """Return the timers."""
        return iter(list(self._timers))

    # For the executor

    @property
    def executor(self) -> Any:
        """Return the executor that runs the callbacks, if any."""
        return self._executor() if self._executor is not None else None

    @executor.setter
    def executor(self, executor: Any) -> None:
        current = self.executor
        if current is executor:
            return
        if current is not None:
            current.remove_node(self)
        self._executor = None if executor is None else weakref.ref(executor)
        if executor is not None:
            executor.add_node(self)

    def _entities(self) -> list[Any]:
        return [*self._timers, *self._subscriptions, *self._clients, *self._services]

    def _wake_executor(self) -> None:
        executor = self.executor
        if executor is not None:
            executor.wake()

    def _keep(self, kind: list[T], entity: T) -> T:
        kind.append(entity)
        self._wake_executor()
        return entity

    def _destroy(self, kind: list[T], entity: T) -> bool:
        if entity not in kind:
            return False
        kind.remove(entity)
        entity.destroy()
        self._wake_executor()
        return True

    def _resolve_own_name(self, name: str, namespace: str) -> tuple[str, str]:
        """Return name and namespace after the command line's __node and __ns rules."""
        original = name
        name = self._arguments.node_rule(original, "__node") or name
        namespace = self._arguments.node_rule(original, "__ns") or namespace
        if not namespace.startswith("/"):
            namespace = f"/{namespace}"
        try:
            names.check_node_name(name)
        except names.InvalidNameError as error:
            raise InvalidNodeNameException(name, error.message, error.index) from None
        try:
            names.check_namespace(namespace)
        except names.InvalidNameError as error:
            raise InvalidNamespaceException(namespace, error.message, error.index) from None
        return name, namespace

    def _resolve(
        self, name: str, what: str, kind: Callable[[str, str, int], Exception], only_expand: bool
    ) -> str:
        try:
            full = names.expand(name, self._name, self._namespace, what)
        except names.InvalidNameError as error:
            raise kind(name, error.message, error.index) from None
        if only_expand:
            return full
        for rule in self._arguments.remaps:
            if rule.node not in ("", self._name) or rule.source.startswith("__"):
                continue
            if names.expand(rule.source, self._name, self._namespace) == full:
                return names.expand(rule.target, self._name, self._namespace, what)
        return full
