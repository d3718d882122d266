# SPDX-License-Identifier: Apache-2.0
"""Limits on what reading a bag takes: rosbags unpacks whatever a file says, and asks a database anything.

A megabyte of zstd can unpack to gigabytes, and the tables of an SQLite file may be views that compute
their rows. While a bag is open, the places in rosbags that all of this passes have limits.
"""

from __future__ import annotations

import bz2
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ace_ros.data.importers.bag_remedies import remedy
from ace_ros.errors import SceneError
from ace_ros.files.limits import (
    MAX_BAG_METADATA_BYTES,
    MAX_UNPACKED_BYTES,
    MAX_UNPACKED_RATIO,
    MIN_UNPACKED_BUDGET_BYTES,
)
from ace_ros.files.outside import read_text, refusing
from ace_ros.files.yaml_text import parse_yaml

SQLITE_LIMIT_LENGTH = 0  # as sqlite3 of Python 3.11 names it
NO_CODE_OF_IDL = r'"(?:\\"|[^"])*"|/\*.*?\*/|//[^\n]*'  # strings and comments, as rosbags reads them
TEXTS = ("topics", "message_definitions")  # tables that are read as a whole


class Budget:
    """How many bytes may be unpacked while a bag is read once."""

    def __init__(self, bag: Path, bag_bytes: int) -> None:
        self.bag = bag
        self._all = max(MIN_UNPACKED_BUDGET_BYTES, MAX_UNPACKED_RATIO * bag_bytes)
        self.renew()

    def renew(self) -> None:
        """Begin to read the bag once more."""
        self._left = self._all

    def spend(self, count: int) -> None:
        """Raise SceneError where more is unpacked than a recording can be packed into."""
        self._left -= count
        if self._left < 0:
            raise SceneError(
                f"{self.bag}: unpacks to more than {self._all} bytes, {MAX_UNPACKED_RATIO} times its size"
            )

    def unpacked(self, make_decompressor: Callable[[], Any], data: bytes) -> bytes:
        """Return what a chunk or message unpacks to, in one or several frames. Raises SceneError."""
        parts: list[bytes] = []
        count = 0
        while data:
            decompressor = make_decompressor()
            parts.append(decompressor.decompress(data, max_length=MAX_UNPACKED_BYTES - count + 1))
            count += len(parts[-1])
            if count > MAX_UNPACKED_BYTES:
                raise SceneError(
                    f"{self.bag}: a message or chunk of it unpacks to more than {MAX_UNPACKED_BYTES} bytes"
                )
            if not decompressor.eof:
                raise SceneError(f"{self.bag}: a message or chunk of it is cut off")
            data = decompressor.unused_data
        self.spend(count)
        return b"".join(parts)


@contextmanager
def limited_reading(budget: Budget) -> Iterator[None]:
    """Let rosbags unpack within a budget, and read databases that are plain tables; one bag at a time."""
    import lz4.frame
    from rosbags.highlevel import anyreader
    from rosbags.rosbag1 import reader as ros1
    from rosbags.rosbag2 import reader as ros2
    from rosbags.rosbag2 import storage_mcap, storage_sqlite3

    zstd, sqlite3_reader = ros2.zstd, storage_sqlite3.Sqlite3Reader
    open_database = sqlite3_reader.open
    parse_idl = anyreader.get_types_from_idl

    def checked_open(reader: Any) -> None:
        check_database(Path(reader.path))
        open_database(reader)

    def types_from_idl(text: str) -> Any:
        check_constants(budget.bag, text)
        return parse_idl(text)

    def of_bz2(data: bytes) -> bytes:
        return budget.unpacked(bz2.BZ2Decompressor, data)

    def of_lz4(data: bytes, *_: int) -> bytes:
        return budget.unpacked(lz4.frame.LZ4FrameDecompressor, data)

    def of_zstd(data: bytes, *_: int) -> bytes:
        return budget.unpacked(zstd.ZstdDecompressor, data)

    with ExitStack() as stack:
        _set_items(stack, vars(anyreader), {"get_types_from_idl": types_from_idl})
        _set_items(stack, ros1.decompressors, {"lz4": of_lz4, "bz2": of_bz2})
        _set_items(stack, storage_mcap.DECOMPRESSORS, {"lz4": of_lz4, "zstd": of_zstd})
        _set_items(stack, vars(ros2), {"zstd": _Zstd(zstd, of_zstd, budget)})
        for module in (ros2, storage_mcap, storage_sqlite3):
            # Nothing here needs the quality of service, which is YAML inside the metadata.
            _set_items(stack, vars(module), {"parse_qos": lambda _: []})
        stack.callback(setattr, sqlite3_reader, "open", open_database)
        setattr(sqlite3_reader, "open", checked_open)  # noqa: B010
        yield


def _set_items(stack: ExitStack, holder: Any, changes: dict[str, Any]) -> None:
    """Change items of a dictionary until a stack is closed."""
    stack.callback(holder.update, {name: holder[name] for name in changes})
    holder.update(changes)


class _Zstd:
    """What rosbags uses of its zstd module, within a budget."""

    def __init__(self, zstd: Any, decompress: Callable[[bytes], bytes], budget: Budget) -> None:
        self._zstd, self.decompress, self._budget = zstd, decompress, budget

    def open(self, file: Any, mode: str) -> Any:
        """Return a file that unpacks another one while it is read, piece by piece."""
        opened, budget = self._zstd.open(file, mode), self._budget
        read = opened.read

        def counted(size: int = -1) -> bytes:
            data: bytes = read(size)
            budget.spend(len(data))
            return data

        opened.read = counted
        return opened


def check_constants(bag: Path, text: str) -> None:
    """Raise SceneError where a definition of messages in IDL computes a constant that may take all memory."""
    if re.search(r"<<|\*", re.sub(NO_CODE_OF_IDL, "", text, flags=re.DOTALL)):
        raise SceneError(f"{bag}: a definition of its messages computes constants; expected plain numbers")


def check_metadata(bag: Path) -> Any:
    """Return the metadata of a rosbag2 folder, None where it has none.

    Raises SceneError where it is not YAML of a usable size.
    """
    path = bag / "metadata.yaml"
    if bag.is_dir() and path.exists():
        return parse_yaml(read_text(path, MAX_BAG_METADATA_BYTES, SceneError), path, SceneError)
    return None


def check_database(path: Path) -> None:
    """Raise SceneError where a .db3 holds more than plain tables, or a message larger than itself."""
    with (
        refusing(SceneError, path, f"not a readable bag{remedy(path)}"),
        closing(sqlite3.connect(f"file:{quote(str(path))}?immutable=1&mode=ro", uri=True)) as database,
    ):
        if hasattr(database, "setlimit"):  # Python 3.11
            database.setlimit(SQLITE_LIMIT_LENGTH, MAX_UNPACKED_BYTES)
        kinds = database.execute("SELECT type, name, upper(coalesce(sql, '')) FROM sqlite_master").fetchall()
        for kind, name, sql in kinds:
            if kind not in ("table", "index") or sql.startswith("CREATE VIRTUAL"):
                raise SceneError(f"{path}: holds {str(name)[:80]!r}, which is no plain table")
        tables = {name for kind, name, _ in kinds if kind == "table"}
        for name in tables & {"messages", *TEXTS}:
            if any(column[6] for column in database.execute(f"PRAGMA table_xinfo({name})")):
                raise SceneError(f"{path}: its table {name} has columns that are computed")
        for name in tables & set(TEXTS):
            for _ in database.execute(f"SELECT * FROM {name}"):  # each within the limit above
                pass
        # typeof and length look at the beginning of a row alone.
        limit = min(path.stat().st_size, MAX_UNPACKED_BYTES)
        unusual = "SELECT 1 FROM messages WHERE typeof(data) <> 'blob' OR length(data) > ?"
        if "messages" in tables and database.execute(unusual, (limit,)).fetchone():
            raise SceneError(f"{path}: damaged bag: it has a message of more than {limit} bytes")
