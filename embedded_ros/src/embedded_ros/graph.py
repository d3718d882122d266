# SPDX-License-Identifier: Apache-2.0
"""Who is there: the entities that liveliness tokens announce."""

from __future__ import annotations

import threading
from collections.abc import Callable

from . import wire
from .wire import Entity


class Graph:
    """A thread-safe set of entities, fed by liveliness tokens."""

    def __init__(self) -> None:
        self._entities: dict[str, Entity] = {}
        self._changed = threading.Condition()
        self._listeners: list[Callable[[Entity], None]] = []

    def add(self, token: str) -> None:
        """Take in a token, once; tokens of another make are not for us and are left out."""
        try:
            entity = wire.parse_token(token)
        except ValueError:
            return
        with self._changed:
            if token in self._entities:
                return
            self._entities[token] = entity
            listeners = list(self._listeners)
            self._changed.notify_all()
        for listener in listeners:
            listener(entity)

    def remove(self, token: str) -> None:
        """Forget the entity of a token that is gone."""
        with self._changed:
            self._entities.pop(token, None)
            self._changed.notify_all()

    def listen(self, listener: Callable[[Entity], None]) -> None:
        """Call `listener` with every entity, those already here first."""
        with self._changed:
            self._listeners.append(listener)
            known = list(self._entities.values())
        for entity in known:
            listener(entity)

    def unlisten(self, listener: Callable[[Entity], None]) -> None:
        """Stop calling `listener`."""
        with self._changed:
            self._listeners.remove(listener)

    def wait(self, condition: Callable[[], bool], timeout_s: float | None) -> bool:
        """Wait until `condition` holds, looking after each change; False if time ran out."""
        with self._changed:
            return self._changed.wait_for(condition, timeout_s)

    def find(self, kind: str, name: str | None = None) -> list[Entity]:
        """Return the entities of a kind (wire.NODE ...), of one topic or service if named."""
        with self._changed:
            found = [e for e in self._entities.values() if e.kind == kind]
        return found if name is None else [e for e in found if e.topic == name]

    def names_and_types(self, *kinds: str) -> list[tuple[str, list[str]]]:
        """Return each topic or service name with its types, sorted by name."""
        types: dict[str, set[str]] = {}
        for kind in kinds:
            for entity in self.find(kind):
                types.setdefault(entity.topic, set()).add(entity.type)
        return [(name, sorted(types[name])) for name in sorted(types)]
