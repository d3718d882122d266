# SPDX-License-Identifier: Apache-2.0
"""Reading rosbag2 and ROS 1 bags by topic; whatever is wrong with one is a SceneError."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ace_ros.errors import SceneError

# Depth images are of the image types but show no grey values.
NOT_PICTURES = ("depth", "theora")


class Bag:
    """A bag as a context: a rosbag2 folder, an .mcap or .db3 file, or a ROS 1 .bag file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Bag:
        try:
            from rosbags.highlevel import AnyReader
            from rosbags.typesys import Stores, get_typestore
        except ImportError as error:
            raise SceneError("reading bags needs the Python package rosbags: pip install rosbags") from error
        if not self.path.exists():
            raise SceneError(f"{self.path}: no such bag")
        try:
            # Bags from before Iron have no message definitions in them.
            types = get_typestore(Stores.ROS2_HUMBLE)
            self._open = AnyReader([self.path], default_typestore=types)
            self._open.open()
        # A damaged file makes parsers fail in many ways (sqlite, zstd, struct, yaml, ...).
        except Exception as error:
            raise SceneError(f"{self.path}: not a readable bag: {_first_line(error)}") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def topics(self, types: tuple[str, ...] = ()) -> dict[str, str]:
        """Return the type of each topic, of all or of some types."""
        return {c.topic: c.msgtype for c in self._open.connections if not types or c.msgtype in types}

    def count(self, topic: str) -> int:
        """Return the number of messages of a topic."""
        return sum(c.msgcount for c in self._open.connections if c.topic == topic)

    def find(self, what: str, topic: str, types: tuple[str, ...]) -> str:
        """Return a topic after checking its type; without a name, the only one of these types."""
        known = self.topics()
        if topic:
            if topic not in known:
                raise SceneError(f"{self.path}: no topic {topic} for {what}; {list_topics(known)}")
            if known[topic] not in types:
                raise SceneError(
                    f"{self.path}: topic {topic} for {what} is of type {known[topic]}, expected "
                    f"{' or '.join(types)}"
                )
            return topic
        found = [t for t in self.topics(types) if not any(word in t.lower() for word in NOT_PICTURES)]
        if len(found) != 1:
            count = "no topic" if not found else "more than one topic"
            raise SceneError(f"{self.path}: {count} for {what}, name one; {list_topics(known)}")
        return found[0]

    def messages(self, topics: list[str]) -> Iterator[Any]:
        """Yield the messages of topics in the order of recording."""
        for _, message in self.messages_with_topic(topics):
            yield message

    def messages_with_topic(self, topics: list[str]) -> Iterator[tuple[str, Any]]:
        """Yield (topic, message) of topics in the order of recording."""
        connections = [c for c in self._open.connections if c.topic in topics]
        if not connections:
            return
        stream = self._open.messages(connections)
        while True:
            try:
                connection, _, data = next(stream)
                message = self._open.deserialize(data, connection.msgtype)
            except StopIteration:
                return
            except Exception as error:  # as above: the file's damage shows here too
                raise SceneError(f"{self.path}: damaged bag: {_first_line(error)}") from error
            yield connection.topic, message


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]


def list_topics(known: dict[str, str]) -> str:
    """Return a bag's topics and their types in words."""
    listed = ", ".join(f"{topic} ({kind})" for topic, kind in sorted(known.items()))
    return f"the bag has {listed}" if listed else "the bag is empty"
