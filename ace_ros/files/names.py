# SPDX-License-Identifier: Apache-2.0
"""Names from outside: what a map, a frame or a file may be called, so that a name never leads elsewhere."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path, PurePosixPath

from ace_ros.errors import AceError, ConfigError

PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
MAX_FRAME_LENGTH = 256
MAX_FILE_NAME_BYTES = 255  # what file systems take


def check_name(name: str, what: str) -> str:
    """Return a plain name. Raises ConfigError where it could be a path, is empty or too long."""
    if PLAIN_NAME.fullmatch(name) is None:
        raise ConfigError(
            f"{what} {name[:80]!r} is no plain name; expected 1 to 64 letters, digits, '_' or '-'"
        )
    return name


def is_frame(name: object) -> bool:
    """Return whether a value can be the name of a frame: a text in one line; it may be empty."""
    return isinstance(name, str) and len(name) <= MAX_FRAME_LENGTH and name.isprintable()


def frame_name(frame_id: str) -> str:
    """Return a frame's name without leading slashes, which ROS 1 wrote and tf2 strips."""
    return frame_id.lstrip("/")


def check_frame(frame_id: str, what: str) -> str:
    """Return the name of a frame that poses can be in. Raises ConfigError where it is none."""
    name = frame_name(frame_id)
    if not name or not is_frame(name):
        raise ConfigError(
            f"{what} {frame_id[:80]!r} is no name of a frame; expected 1 to {MAX_FRAME_LENGTH} characters in "
            "one line"
        )
    return name


def is_file_name(name: object) -> bool:
    """Return whether a value is the name of a file alone: no path, and nothing that a terminal obeys."""
    return (
        isinstance(name, str)
        and name not in ("", ".", "..")
        and "/" not in name
        and not any(unicodedata.category(c) in ("Cc", "Cs") for c in name)
        and len(name.encode()) <= MAX_FILE_NAME_BYTES
    )


def path_inside(folder: Path, name: object, place: object, kind: type[AceError]) -> Path:
    """Return the path of a file that a text names relative to a folder; links there are the user's own.

    Raises `kind` naming `place` where it is absolute, leads out of the folder or is no path at all.
    """
    path = PurePosixPath(name) if isinstance(name, str) else PurePosixPath()
    if not path.parts or not all(map(is_file_name, path.parts)):
        raise kind(f"{place}: {str(name)[:80]!r} is no path of a file inside {folder}")
    return folder / path
