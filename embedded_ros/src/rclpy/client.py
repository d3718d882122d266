# SPDX-License-Identifier: Apache-2.0
"""Clients of services."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import zenoh

from embedded_ros import codec, wire
from embedded_ros.definitions import type_hash
from embedded_ros.link import direct

from ._rclpy_pybind11 import RCLError
from .callback_groups import CallbackGroup
from .endpoint import Endpoint
from .exceptions import InvalidHandle
from .qos import QoSProfile
from .task import Future

POLL_S = 0.02  # zenoh tells when a server matches, but not to somebody who waits


class Client(Endpoint):
    """Calls a service. Made by Node.create_client()."""

    def __init__(
        self,
        node: Any,
        srv_type: type,
        srv_name: str,
        qos_profile: QoSProfile,
        callback_group: CallbackGroup,
    ) -> None:
        super().__init__(node, wire.CLIENT, srv_name, srv_type._TYPE, qos_profile, callback_group)
        self.srv_type = srv_type
        self.srv_name = srv_name
        self._sequence = itertools.count(1)
        self._pending: dict[int, Future] = {}
        self._answered: set[int] = set()
        self._replies: deque[tuple[int, zenoh.ZBytes]] = deque()
        key = wire.topic_key(self._link.domain, srv_name, srv_type._TYPE, type_hash(srv_type._TYPE))
        self._querier = self._link.querier(key)
        self._announce()

    @property
    def service_name(self) -> str:
        """Return the full name of the service."""
        return self.srv_name

    def service_is_ready(self) -> bool:
        """Return whether there is a server that requests reach."""
        servers = self._link.graph.find(wire.SERVICE, self.srv_name)
        known = any(server.type == self.srv_type._TYPE for server in servers)
        return known and not self._link.closed and self._querier.matching_status

    def wait_for_service(self, timeout_sec: float | None = None) -> bool:
        """Wait for a server; False if time ran out or the context was shut down."""
        end = None if timeout_sec is None or timeout_sec < 0 else time.monotonic() + timeout_sec
        while self._node.context.ok():
            if self.service_is_ready():
                return True
            if end is not None and time.monotonic() >= end:
                return False
            time.sleep(POLL_S)
        return False

    def call_async(self, request: Any) -> Future:
        """Send a request; the future gets the response while the node is spun.

        As on every ROS 2, a request that no server receives is lost and its future never done.
        """
        if not isinstance(request, self.srv_type.Request):
            raise TypeError(f"Expected {self.srv_type.Request}, got {type(request)}")
        if self._destroyed:
            raise InvalidHandle("cannot use Destroyable because destruction was requested")
        if not self._node.context.ok():
            raise RCLError("Failed to send request: the client's context is invalid")
        sequence = next(self._sequence)
        future = self._pending[sequence] = Future()
        future.add_done_callback(self.remove_pending_request)
        self._querier.get(
            direct(lambda reply: self._on_reply(sequence, reply), lambda: self._on_end(sequence)),
            payload=codec.serialize(request),
            attachment=wire.pack_attachment(sequence, time.time_ns(), self._gid),
        )
        return future

    def call(self, request: Any, timeout_sec: float | None = None) -> Any:
        """Send a request and wait for its response; another thread must spin the node.

        Raises TimeoutError when time ran out.
        """
        done = threading.Event()
        future = self.call_async(request)
        future.add_done_callback(lambda _: done.set())
        if not done.wait(timeout_sec):
            self.remove_pending_request(future)
            raise TimeoutError(f"no response from '{self.srv_name}' within {timeout_sec} s")
        return future.result()

    def remove_pending_request(self, future: Future) -> None:
        """Give up on a request."""
        for sequence, pending in list(self._pending.items()):
            if pending is future:
                self._pending.pop(sequence, None)

    def destroy(self) -> None:
        """Give up on what is pending and disappear from the graph."""
        pending, self._pending = self._pending, {}
        for future in pending.values():
            future.cancel()
        if self._withdraw():
            self._querier.undeclare()

    def _on_reply(self, sequence: int, reply: zenoh.Reply) -> None:
        if reply.ok is not None:
            self._answered.add(sequence)
            self._replies.append((sequence, reply.ok.payload))
            self._node._wake_executor()

    def _on_end(self, sequence: int) -> None:
        answered = sequence in self._answered
        self._answered.discard(sequence)
        if not answered and sequence in self._pending and self._node.context.ok():
            self._node.get_logger().warning(
                f"service '{self.srv_name}' did not receive request {sequence}, or went away "
                "before it answered"
            )

    def _is_ready(self) -> bool:
        return bool(self._replies)

    def _take(self) -> Callable[[], None] | None:
        try:
            sequence, payload = self._replies.popleft()
        except IndexError:
            return None
        future = self._pending.get(sequence)
        if future is None:
            return None
        return lambda: self._finish(future, payload.to_bytes())

    def _finish(self, future: Future, data: bytes) -> None:
        try:
            response = codec.deserialize(data, self.srv_type.Response)
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result(response)
