# SPDX-License-Identifier: Apache-2.0
"""The connection of one context: a zenoh session with the graph that it sees."""

from __future__ import annotations

import atexit
import itertools
import threading
import weakref
from collections.abc import Callable
from typing import Any

import zenoh
import zenoh.ext

from . import router, wire
from .graph import Graph

FOREVER_S = 10.0 * 365 * 24 * 3600  # a service may take as long as it likes


def direct(
    callback: Callable[[Any], None], drop: Callable[[], None] | None = None
) -> zenoh.handlers.Callback:
    """Return a handler that runs in zenoh's receiving thread, so it must only store and notify."""
    return zenoh.handlers.Callback(callback, drop, indirect=False)


class Link:
    """A zenoh session in one ROS domain. Thread-safe; close() ends everything declared on it."""

    def __init__(self, domain: int) -> None:
        self.domain = domain
        self.graph = Graph()
        self._ids = itertools.count()
        self._closed = False
        self._lock = threading.Lock()
        router.keep()
        self.session = zenoh.open(
            router.make_config(
                "peer",
                connect__endpoints=[router.endpoint()],
                connect__retry={
                    "period_init_ms": 100, "period_max_ms": 1000, "period_increase_factor": 2,
                },
                listen__endpoints=["tcp/127.0.0.1:0"],
                scouting__delay=0,
                timestamping__enabled=True,  # history for late joiners is ordered by time
            )
        )  # fmt: skip
        self.session_id = str(self.session.zid())
        self._liveliness = self.session.liveliness().declare_subscriber(
            f"{wire.ADMIN}/{domain}/**", direct(self._on_token), history=True
        )
        _open_links.add(self)

    def close(self) -> None:
        """Close the session; every entity of it disappears from the graph of others."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self.session.close()
        _open_links.discard(self)

    @property
    def closed(self) -> bool:
        """Return whether close() was called."""
        return self._closed

    def new_id(self) -> int:
        """Return a number that no other entity of this session has."""
        return next(self._ids)

    def announce(self, entity: wire.Entity) -> Callable[[], None]:
        """Declare an entity's liveliness token; return the function that takes it back."""
        token = wire.token(entity)
        declared = self.session.liveliness().declare_token(token)
        self.graph.add(token)

        def withdraw() -> None:
            if not self._closed:
                declared.undeclare()
            self.graph.remove(token)

        return withdraw

    def publisher(self, key: str, qos: wire.Qos) -> zenoh.Publisher | zenoh.ext.AdvancedPublisher:
        """Declare a publisher; with transient local it keeps `depth` messages for late joiners."""
        options: dict[str, Any] = {
            "reliability": zenoh.Reliability.BEST_EFFORT,
            "congestion_control": zenoh.CongestionControl.DROP,
        }
        if qos.reliability == wire.RELIABLE:
            options = {
                "reliability": zenoh.Reliability.RELIABLE,
                "congestion_control": zenoh.CongestionControl.BLOCK,
            }
        if qos.durability != wire.TRANSIENT_LOCAL:
            return self.session.declare_publisher(key, **options)
        cache = zenoh.ext.CacheConfig(qos.depth)
        return zenoh.ext.declare_advanced_publisher(
            self.session, key, cache=cache, publisher_detection=True, **options
        )

    def subscriber(
        self, key: str, qos: wire.Qos, callback: Callable[[zenoh.Sample], None]
    ) -> zenoh.Subscriber | zenoh.ext.AdvancedSubscriber:
        """Declare a subscriber; with transient local it asks publishers for what they keep."""
        if qos.durability != wire.TRANSIENT_LOCAL:
            return self.session.declare_subscriber(key, direct(callback))
        history = zenoh.ext.HistoryConfig(detect_late_publishers=True, max_samples=qos.depth)
        return zenoh.ext.declare_advanced_subscriber(
            self.session, key, direct(callback), history=history
        )

    def queryable(self, key: str, callback: Callable[[zenoh.Query], None]) -> zenoh.Queryable:
        """Declare the receiving side of a service."""
        return self.session.declare_queryable(key, direct(callback), complete=True)

    def querier(self, key: str) -> zenoh.Querier:
        """Declare the asking side of a service."""
        return self.session.declare_querier(
            key,
            target=zenoh.QueryTarget.ALL_COMPLETE,
            consolidation=zenoh.ConsolidationMode.NONE,
            congestion_control=zenoh.CongestionControl.BLOCK,
            timeout=FOREVER_S,
        )

    def _on_token(self, sample: zenoh.Sample) -> None:
        if sample.kind == zenoh.SampleKind.PUT:
            self.graph.add(str(sample.key_expr))
        else:
            self.graph.remove(str(sample.key_expr))


_open_links: weakref.WeakSet[Link] = weakref.WeakSet()


@atexit.register
def _close_links() -> None:
    # An open zenoh session keeps an ending interpreter from ending.
    for link in list(_open_links):
        link.close()
