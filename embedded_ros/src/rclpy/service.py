# SPDX-License-Identifier: Apache-2.0
"""Services."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import zenoh

from embedded_ros import codec, wire
from embedded_ros.definitions import type_hash

from .callback_groups import CallbackGroup
from .endpoint import Endpoint, refuse_coroutine
from .qos import QoSProfile


class Service(Endpoint):
    """Answers requests. Made by Node.create_service()."""

    def __init__(
        self,
        node: Any,
        srv_type: type,
        srv_name: str,
        callback: Callable[[Any, Any], Any],
        callback_group: CallbackGroup,
        qos_profile: QoSProfile,
    ) -> None:
        refuse_coroutine(callback)
        super().__init__(node, wire.SERVICE, srv_name, srv_type._TYPE, qos_profile, callback_group)
        self.srv_type = srv_type
        self.srv_name = srv_name
        self.callback = callback
        self._queries: deque[zenoh.Query] = deque()
        self._key = wire.topic_key(
            self._link.domain, srv_name, srv_type._TYPE, type_hash(srv_type._TYPE)
        )
        self._queryable = self._link.queryable(self._key, self._on_query)
        self._announce()

    @property
    def service_name(self) -> str:
        """Return the full name of the service."""
        return self.srv_name

    def destroy(self) -> None:
        """Stop answering and disappear from the graph."""
        if self._withdraw():
            self._queryable.undeclare()
        while self._queries:
            self._queries.popleft().drop()

    def _on_query(self, query: zenoh.Query) -> None:
        self._queries.append(query)
        self._node._wake_executor()

    def _is_ready(self) -> bool:
        return bool(self._queries)

    def _take(self) -> Callable[[], None] | None:
        try:
            query = self._queries.popleft()
        except IndexError:  # destroyed meanwhile
            return None
        try:
            sequence, _, client = wire.unpack_attachment(query.attachment.to_bytes())
            request = codec.deserialize(query.payload.to_bytes(), self.srv_type.Request)
        except Exception as error:
            self._node.get_logger().error(f"a request to '{self.srv_name}' is malformed: {error}")
            query.drop()
            return None
        return lambda: self._answer(query, request, sequence, client)

    def _answer(self, query: zenoh.Query, request: Any, sequence: int, client: bytes) -> None:
        try:
            response = self.callback(request, self.srv_type.Response())
            if not isinstance(response, self.srv_type.Response):
                raise TypeError(
                    f"the callback of service '{self.srv_name}' must return a "
                    f"{self.srv_type.Response.__name__}, it returned {type(response).__name__}"
                )
            if not self._link.closed:
                stamp = wire.pack_attachment(sequence, time.time_ns(), client)
                query.reply(self._key, codec.serialize(response), attachment=stamp)
        finally:
            query.drop()
