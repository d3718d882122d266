# SPDX-License-Identifier: Apache-2.0
"""Kinds of errors that a user can cause.

Every message names the file or key, what was found and what was expected. "No pose in this
image" is not among them: it is a result (`ace_ros.pnp.PoseBatch.ok`).
"""

from __future__ import annotations

MAX_MESSAGE = 2000  # characters


def one_line(text: str) -> str:
    """Return a text with all that a terminal would obey, newlines too, written out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class AceError(Exception):
    """Base of all errors that a user can cause and correct; its message is one line of plain text.

    Values and names of files from outside are in it, which may hold what a terminal obeys.
    """

    def __init__(self, message: str = "") -> None:
        text = one_line(str(message)[: MAX_MESSAGE + 1])
        super().__init__(text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE - 4]} ...")


class ConfigError(AceError):
    """An option has a value outside its limits, or is not known."""


class SceneError(AceError):
    """A scene folder, bag or data set cannot be used."""


class MapError(AceError):
    """A map or encoder file is foreign, damaged, newer or does not fit."""


class CameraError(AceError):
    """Intrinsics or an image do not describe a usable camera."""


class OutputError(AceError):
    """A file or folder that was asked for cannot be written."""


class TrainingError(AceError):
    """Training could not produce a map."""


class TrainingCancelled(AceError):
    """Training was cancelled on request; no map was written."""
