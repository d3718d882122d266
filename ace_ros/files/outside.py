# SPDX-License-Identifier: Apache-2.0
"""Reading files that somebody else made: whatever is wrong with one ends in an AceError that names it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ace_ros.errors import AceError
from ace_ros.files.limits import MAX_HOLE_BYTES

MAX_SAID = 200  # characters of a library's message


@contextmanager
def refusing(kind: type[AceError], place: object, what: str = "damaged") -> Iterator[None]:
    """Turn what libraries raise on damaged and hostile files into an error of a kind, "`place`: `what`: ...".

    For a few lines around a library's call: parsers fail in more ways than they document. An AceError
    passes as it is.
    """
    try:
        yield
    except AceError:
        raise
    except OSError as error:
        why = f"cannot be read: {error.strerror}" if error.strerror else f"{what}: {first_line(error)}"
        raise kind(f"{place}: {why}") from error
    except RecursionError as error:
        raise kind(f"{place}: {what}: nested too deeply") from error
    except MemoryError as error:
        raise kind(f"{place}: {what}: it asks for more memory than there is") from error
    except KeyError as error:
        raise kind(f"{place}: {what}: there is no {first_line(error)}") from error
    except Exception as error:
        raise kind(f"{place}: {what}: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, its type where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:MAX_SAID]


def open_plain(path: Path, kind: type[AceError]) -> BinaryIO:
    """Open a plain file for reading. Raises `kind` where there is none, for pipes and devices too."""
    with refusing(kind, path):
        file = open(path, "rb", opener=_open_at_once)  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise kind(f"{path}: is a pipe or device, expected a file")
    return file


def _open_at_once(path: str, flags: int) -> int:
    # Opening a pipe waits otherwise for somebody to write into it.
    return os.open(path, flags | os.O_NONBLOCK)


def size_of(path: Path, file: BinaryIO, limit: int, kind: type[AceError]) -> int:
    """Return how many bytes an open file has. Raises `kind` where there are more than `limit`."""
    size = os.fstat(file.fileno()).st_size
    if size > limit:
        raise kind(f"{path}: has {size} bytes, at most {limit} are read")
    return size


def read_bytes(path: Path, limit: int, kind: type[AceError]) -> bytes:
    """Return the contents of a file of at most `limit` bytes. Raises `kind`."""
    with open_plain(path, kind) as file, refusing(kind, path):
        size_of(path, file, limit, kind)
        return file.read(limit)


def read_text(path: Path, limit: int, kind: type[AceError]) -> str:
    """Return a text file in UTF-8 of at most `limit` bytes. Raises `kind`."""
    data = read_bytes(path, limit, kind)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise kind(f"{path}: is not a text file in UTF-8 (byte {error.start})") from error


def read_lines(path: Path, limit: int, kind: type[AceError]) -> Iterator[tuple[int, bytes]]:
    """Yield (number, line) of a file, each with its newline if it has one. Raises `kind`.

    A line longer than `limit` bytes is refused before it is read.
    """
    with open_plain(path, kind) as file, refusing(kind, path):
        number = 0
        while line := file.readline(limit + 1):
            number += 1
            if len(line) > limit:
                raise kind(f"{path}, line {number}: longer than {limit} bytes")
            yield number, line


def refuse_holes(path: Path, file: BinaryIO, kind: type[AceError]) -> None:
    """Raise `kind` where much of a file is holes, which take memory when they are read, but no disk."""
    handle, size = file.fileno(), os.fstat(file.fileno()).st_size
    at = holes = 0
    with refusing(kind, path):
        while at < size:
            hole = os.lseek(handle, at, os.SEEK_HOLE)  # the end, where a file system knows no holes
            at = _next_data(handle, hole, size)
            holes += at - hole
            if holes > MAX_HOLE_BYTES:
                raise kind(f"{path}: {holes} of its {size} bytes are missing (a sparse file)")
        file.seek(0)


def _next_data(handle: int, hole: int, size: int) -> int:
    try:
        return os.lseek(handle, hole, os.SEEK_DATA) if hole < size else size
    except OSError:  # ENXIO: the hole reaches to the end
        return size
