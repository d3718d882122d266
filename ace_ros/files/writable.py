# SPDX-License-Identifier: Apache-2.0
"""Whether a file or folder can be written, asked before the work whose result it is to hold."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ace_ros.errors import OutputError

PROBE_BYTES = 1 << 16  # a disk that has no room for that has none for a result


def require_writable(path: Path) -> None:
    """Raise OutputError unless a file could be written to `path`: missing folders made, a full disk seen.

    It is tried, not guessed from permissions, and nothing is left behind.
    """
    _try(path, path.parent, f".{path.name}.")
    if path.is_dir():
        raise OutputError(f"{path}: is a folder, expected the path of a file to write")


def require_writable_folder(folder: Path) -> None:
    """Raise OutputError unless files could be written into `folder`, which need not exist yet."""
    _try(folder, folder, ".")


def _try(path: Path, folder: Path, prefix: str) -> None:
    """Write a file into a folder and remove it, and what was made for it."""
    made: list[Path] = []
    try:
        for part in (*reversed(folder.absolute().parents), folder.absolute()):
            if not part.is_dir():
                if part.exists():
                    raise OutputError(f"{path}: cannot be written: {part} is no folder")
                part.mkdir()
                made.append(part)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=prefix) as file:  # as write_atomically names it
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        for part in reversed(made):
            part.rmdir()
