# SPDX-License-Identifier: Apache-2.0
"""Reading rosbag2 and ROS 1 bags by topic; whatever is wrong with one is a SceneError."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import Any

from ace_ros.data.importers.bag_limits import Budget, limited_reading
from ace_ros.data.importers.bag_parts import files_to_open
from ace_ros.data.importers.bag_remedies import remedy
from ace_ros.errors import SceneError
from ace_ros.files.json_text import is_whole
from ace_ros.files.outside import refusing

# Depth images are of the image types but show no grey values.
NOT_PICTURES = ("depth", "theora")
_TRANSFORMS, _OLD_TRANSFORMS = "tf2_msgs/msg/TFMessage", "tf/msg/tfMessage"  # of the same fields


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
        files = files_to_open(self.path)
        with refusing(SceneError, self.path, f"not a readable bag{remedy(self.path)}"), ExitStack() as stack:
            self._budget = Budget(self.path, _size(self.path))
            stack.enter_context(limited_reading(self._budget))
            # Bags from before Iron have no message definitions in them.
            types = get_typestore(Stores.ROS2_HUMBLE)
            self._open = stack.enter_context(AnyReader(files, default_typestore=types))
            self._known = dict(types.fielddefs)
            if not self._open.is2:
                self._known |= get_typestore(Stores.ROS1_NOETIC).fielddefs
            for connection in self._open.connections:
                if not (isinstance(connection.topic, str) and isinstance(connection.msgtype, str)):
                    raise SceneError(f"{self.path}: damaged bag: a topic without a name or type")
            self._closing = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):  # of a damaged file, of which an error has told before
            self._closing.close()

    def topics(self, types: tuple[str, ...] = ()) -> dict[str, str]:
        """Return the type of each topic, of all or of some types."""
        return {c.topic: c.msgtype for c in self._open.connections if not types or c.msgtype in types}

    def count(self, topic: str) -> int:
        """Return the number of messages of a topic, as the bag says."""
        counts = [c.msgcount for c in self._open.connections if c.topic == topic]
        return sum(count for count in counts if is_whole(count, 0))

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

    def messages(self, topics: list[str], every: int = 1) -> Iterator[Any]:
        """Yield the messages of topics in the order of recording, all or each of so many."""
        for _, message in self.messages_with_topic(topics, every):
            yield message

    def messages_with_topic(self, topics: list[str], every: int = 1) -> Iterator[tuple[str, Any]]:
        """Yield (topic, message) of topics in the order of recording."""
        connections = [c for c in self._open.connections if c.topic in topics]
        if not connections:
            return
        for connection in connections:
            self._check_type(connection.topic, connection.msgtype)
        self._budget.renew()
        stream = self._open.messages(connections)
        for number in count():
            with refusing(SceneError, self.path, f"damaged bag{remedy(self.path)}"):
                found = next(stream, None)
                if found is None:
                    return
                if number % every:
                    continue
                connection, _, data = found
                message = self._open.deserialize(data, connection.msgtype)
            yield connection.topic, message

    def _check_type(self, topic: str, msgtype: str) -> None:
        """Raise SceneError where a bag defines a type with other fields than ROS: it would be misread."""
        own, pending, seen = self._open.typestore.fielddefs, [msgtype], set()
        while pending:
            name = pending.pop()
            known = self._known.get(_TRANSFORMS if name == _OLD_TRANSFORMS else name)
            if name in seen or known is None:
                continue
            seen.add(name)
            if name not in own or own[name][1] != known[1]:
                raise SceneError(f"{self.path}: topic {topic}: the bag's {name} has other fields than ROS's")
            pending += [kind for _, field in known[1] for kind in _types_in(field)]


def _types_in(field: Any) -> Iterator[str]:
    """Yield the names of message types in the description of a field."""
    if isinstance(field, str):
        yield field
    elif isinstance(field, tuple):
        for part in field:
            yield from _types_in(part)


def _size(path: Path) -> int:
    """Return the bytes of a bag, a file or a folder of files. Raises SceneError for pipes and devices."""
    files = [file for file in path.iterdir() if not file.is_dir()] if path.is_dir() else [path]
    for file in files:
        if file.exists() and not file.is_file():
            raise SceneError(f"{file}: is a pipe or device, expected a file")
    return sum(file.stat().st_size for file in files if file.exists())


def list_topics(known: dict[str, str]) -> str:
    """Return a bag's topics and their types in words."""
    listed = ", ".join(f"{topic} ({kind})" for topic, kind in sorted(known.items()))
    return f"the bag has {listed}" if listed else "the bag is empty"
