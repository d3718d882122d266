# SPDX-License-Identifier: Apache-2.0
"""The header of a map file: what it says of itself, checked before anything is computed with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ace_ros.errors import MapError
from ace_ros.files.json_text import are_numbers, is_number, is_whole, parse_json
from ace_ros.files.names import frame_name, is_frame
from ace_ros.files.tensor_file import read_header
from ace_ros.landmarks.landmarks import EXPECTED_INLIER_RATIO
from ace_ros.maps.chunk import EXPECTED_INLIER_RATIO_KEY

FORMAT = "ace_ros map"
FORMAT_VERSION = 3
# Limits on what a foreign header may ask for.
MAX_WIDTH, MAX_BLOCKS, MAX_CHANNELS, MAX_CHUNKS = 4096, 32, 4096, 4096
MAX_COVARIANCE_SCALE = 1e6
MAX_TEXT = 4096  # characters of a name, hash or time


def read_map_header(path: Path) -> dict[str, Any]:
    """Return what a map file says of itself, without reading its weights. Raises MapError.

    `bounds` are added: the least and greatest corner of all chunks.
    """
    header = _parse(Path(path), read_header(Path(path), FORMAT, FORMAT_VERSION))
    bounds = [about["bounds"] for about in header["chunks"] if "missing" not in about]
    header["bounds"] = [
        [function(values) for values in zip(*(b[corner] for b in bounds), strict=True)]
        for corner, function in enumerate((min, max))
    ]
    return header


def _parse(path: Path, strings: dict[str, str]) -> dict[str, Any]:
    version = int(strings["format_version"])
    if version < FORMAT_VERSION:
        raise MapError(
            f"{path}: written in format version {version}, this ace_ros reads {FORMAT_VERSION}; "
            "train the map again"
        )
    # Our figures may be NaN: of an image without a single inlier, for example.
    header = parse_json(strings.get("map", ""), path, MapError, finite=False)
    if not isinstance(header, dict):
        raise MapError(f"{path}: damaged ace_ros map: its header is no JSON object")
    for key, is_right in _HEADER.items():
        if not is_right(header.get(key)):
            raise MapError(f"{path}: damaged ace_ros map: its header has no usable {key!r}")
    if header["heads"] != len(header["chunks"]):
        raise MapError(
            f"{path}: damaged ace_ros map: its header describes {len(header['chunks'])} of "
            f"{header['heads']} chunks"
        )
    return header


def _is_shape(shape: Any) -> bool:
    limits = {"channels": (1, MAX_CHANNELS), "width": (1, MAX_WIDTH), "blocks": (0, MAX_BLOCKS)}
    return isinstance(shape, dict) and all(is_whole(shape.get(k), *limit) for k, limit in limits.items())


def _are_chunks(chunks: Any) -> bool:
    return (
        isinstance(chunks, list)
        and all(isinstance(c, dict) and (_is_missing(c) or _is_placed(c)) for c in chunks)
        and not all(map(_is_missing, chunks))
    )


def _is_missing(about: dict[str, Any]) -> bool:
    return isinstance(about.get("missing"), str)


def _is_placed(about: dict[str, Any]) -> bool:
    """Return whether a chunk's entry in the header says where it lies, and what else is computed with."""
    bounds = about.get("bounds")
    return (
        are_numbers(about.get("centre"), 3)
        and isinstance(bounds, list)
        and len(bounds) == 2
        and all(are_numbers(corner, 3) for corner in bounds)
        and is_number(about.get(EXPECTED_INLIER_RATIO_KEY, EXPECTED_INLIER_RATIO), 0.0, 1.0)
        and is_whole(about.get("crc32"))
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT and value.isprintable()


def _is_training(training: Any) -> bool:
    """Return whether a header's training has what is computed with."""
    return isinstance(training, dict) and is_number(training.get("inlier_share", 1.0), 0.0, 1.0)


def _is_validation(validation: Any) -> bool:
    """Return whether a header's validation has what is computed with."""
    return isinstance(validation, dict) and is_number(
        validation.get("covariance_scale", 1.0), 1.0, MAX_COVARIANCE_SCALE
    )


_HEADER: dict[str, Callable[[Any], bool]] = {
    "head": _is_shape,
    "chunks": _are_chunks,
    "heads": lambda value: is_whole(value, 1, MAX_CHUNKS),
    "training": _is_training,
    "grade": _is_validation,
    "encoder": _is_text,
    "encoder_hash": _is_text,
    "map_frame": lambda value: is_frame(value) and bool(frame_name(value)),
    "created": _is_text,
}
