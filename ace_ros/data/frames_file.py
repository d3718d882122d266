# SPDX-License-Identifier: Apache-2.0
"""frames.jsonl: what the plain scene layout cannot hold (stamps, frame ids, distortion).

One JSON object a line: {"image": "000000.png", "stamp_ns": 1, "frame_id": "camera",
"model": "plumb_bob", "distortion": [...], "size": [width, height]}; all but "image" is optional.
The file marks a folder as a recording that may have been interrupted: its last line may be cut
off. Any other damage is an error.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ace_ros.errors import SceneError
from ace_ros.files.json_text import is_number, is_whole, parse_json
from ace_ros.files.limits import MAX_NOTE_BYTES, MAX_SIDE
from ace_ros.files.names import is_file_name
from ace_ros.files.outside import read_lines
from ace_ros.geometry.camera import Camera

FRAMES_FILE = "frames.jsonl"
KEYS = ("image", "stamp_ns", "frame_id", "model", "distortion", "size")


@dataclass(frozen=True)
class FrameNote:
    """One line of frames.jsonl. `size` is (width, height), None where the line has none."""

    image: str
    stamp_ns: int | None = None
    frame_id: str = ""
    model: str = "pinhole"
    distortion: tuple[float, ...] = ()
    size: tuple[int, int] | None = None


def format_note(image: str, camera: Camera, stamp_ns: int | None, frame_id: str) -> bytes:
    """Return the line of one recorded frame, with its newline."""
    distortion = [] if camera.distortion is None else camera.distortion.tolist()
    values = (image, stamp_ns, frame_id, camera.model, distortion, list(camera.size))
    return json.dumps(dict(zip(KEYS, values, strict=True))).encode() + b"\n"


def read_frame_notes(path: Path) -> dict[str, FrameNote]:
    """Return the notes of a frames.jsonl by image name; a cut-off last line is left out.

    Raises SceneError naming the line.
    """
    # Every whole line ends with a newline, so what follows the last one was cut off.
    lines = (entry for entry in read_lines(path, MAX_NOTE_BYTES, SceneError) if entry[1].endswith(b"\n"))
    notes = [_parse_note(path, number, line) for number, line in lines if line.strip()]
    return {note.image: note for note in notes}


def _parse_note(path: Path, number: int, line: bytes) -> FrameNote:
    values = parse_json(line, f"{path}, line {number}", SceneError)
    wrong = _wrong_key(values)
    if wrong:
        raise SceneError(f"{path}, line {number}: {wrong}")
    size = values.get("size")
    return FrameNote(
        image=values["image"],
        stamp_ns=values.get("stamp_ns"),
        frame_id=values.get("frame_id", ""),
        model=values.get("model", "pinhole"),
        distortion=tuple(float(value) for value in values.get("distortion", ())),
        size=None if size is None else (size[0], size[1]),
    )


def _wrong_key(values: Any) -> str:
    """Return what is wrong with a line's object, in words; empty when it is right."""
    if not isinstance(values, dict) or "image" not in values:
        return 'expected a JSON object with the key "image"'
    for key, value in values.items():
        if key not in KEYS:
            return f"unknown key {key[:80]!r}; known are {', '.join(KEYS)}"
        if not _CHECKS[key](value):
            return f"key {key!r} has the value {value!r:.80}, expected {_EXPECTED[key]}"
    return ""


_CHECKS = {
    "image": is_file_name,
    "stamp_ns": lambda value: value is None or is_whole(value, -(1 << 63), (1 << 63) - 1),
    "frame_id": lambda value: isinstance(value, str),
    "model": lambda value: isinstance(value, str),
    "distortion": lambda value: isinstance(value, list) and all(map(is_number, value)),
    "size": lambda value: (
        isinstance(value, list) and len(value) == 2 and all(is_whole(n, 1, MAX_SIDE) for n in value)
    ),
}
_EXPECTED = {
    "image": "the plain name of an image file",
    "stamp_ns": "whole nanoseconds",
    "frame_id": "a string",
    "model": "the name of a camera model",
    "distortion": "a list of finite numbers",
    "size": "[width, height]",
}
