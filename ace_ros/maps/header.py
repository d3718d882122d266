# SPDX-License-Identifier: Apache-2.0
"""The header of a map file: what it says of itself, checked before anything is computed with it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ace_ros.errors import MapError
from ace_ros.files.tensor_file import read_header
from ace_ros.landmarks.landmarks import EXPECTED_INLIER_RATIO
from ace_ros.maps.chunk import EXPECTED_INLIER_RATIO_KEY

FORMAT = "ace_ros map"
FORMAT_VERSION = 3
# Limits on what a foreign header may ask for.
MAX_WIDTH, MAX_BLOCKS, MAX_CHANNELS, MAX_CHUNKS = 4096, 32, 4096, 4096
MAX_COVARIANCE_SCALE = 1e6


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
    try:
        header = json.loads(strings["map"])
        shape, chunks = header["head"], header["chunks"]
        checks = (
            0 < int(shape["channels"]) <= MAX_CHANNELS,
            0 < int(shape["width"]) <= MAX_WIDTH,
            0 <= int(shape["blocks"]) <= MAX_BLOCKS,
            0 < header["heads"] == len(chunks) <= MAX_CHUNKS,
            all(isinstance(c["missing"], str) if "missing" in c else _is_placed(c) for c in chunks),
            not all("missing" in c for c in chunks),
            isinstance(header["training"], dict),
            _is_validation(header["grade"]),
            all(isinstance(header[k], str) for k in ("encoder", "encoder_hash", "map_frame", "created")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MapError(f"{path}: damaged ace_ros map: its header has no usable {error}") from error
    if not all(checks):
        raise MapError(f"{path}: damaged ace_ros map: header values out of range")
    return dict(header)


def _is_placed(about: dict[str, Any]) -> bool:
    """Return whether a chunk's entry in the header says where it lies, and what else is computed with."""
    vectors = [about["centre"], *about["bounds"]]
    finite = all(len(v) == 3 and all(math.isfinite(x) for x in v) for v in vectors)
    share = about.get(EXPECTED_INLIER_RATIO_KEY, EXPECTED_INLIER_RATIO)
    measured = isinstance(share, (int, float)) and 0.0 <= share <= 1.0
    return finite and measured and len(vectors) == 3 and isinstance(about["crc32"], int)


def _is_validation(validation: Any) -> bool:
    """Return whether a header's validation has what is computed with."""
    scale = validation.get("covariance_scale", 1.0)
    return isinstance(scale, (int, float)) and 1.0 <= scale <= MAX_COVARIANCE_SCALE
