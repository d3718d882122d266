# SPDX-License-Identifier: Apache-2.0
"""The index of an atlas: what is known of every place without opening its map.

One safetensors file. What is searched lies in columns, mapped into memory; the rest of a place is
one line of JSON, parsed when somebody asks. So an index of 200,000 places opens in milliseconds.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from ace_ros.errors import ConfigError, MapError
from ace_ros.files.json_text import is_whole, parse_json
from ace_ros.files.limits import MAX_PLACE_BYTES
from ace_ros.files.names import check_name, is_frame
from ace_ros.files.outside import refusing
from ace_ros.files.tensor_file import read_header, write_tensor_file
from ace_ros.maps.global_descriptor import SIZE
from ace_ros.maps.scene_map import DESCRIPTORS

FORMAT = "ace_ros atlas"
FORMAT_VERSION = 1
INDEX_NAME = "atlas.index"
MAX_PLACES = 2_000_000  # a limit on what a foreign file may hold
ROWS_AT_A_TIME = 4096
EARTH_RADIUS_M = 6_371_000.0


@dataclass(frozen=True)
class Place:
    """A place of an atlas.

    `bounds` (2, 3) float64 are in `map_frame`, the frame that its poses are in. `position` is its
    latitude and longitude in degrees (WGS 84), if known. `validation` holds the figures that the map's
    header has of itself. `sha256` is of the map's file, which has `map_bytes`.
    """

    name: str
    map_frame: str
    bounds: Tensor
    sha256: str
    map_bytes: int
    position: tuple[float, float] | None = None
    created: str = ""
    validation: dict[str, Any] = field(default_factory=dict)


class AtlasIndex:
    """The places of an atlas by number, sorted by name; nothing here changes.

    All maps of an atlas belong to one encoder, so that an image is encoded once, whatever places
    are tried.
    """

    def __init__(self, encoder: str, encoder_hash: str, columns: dict[str, Tensor]) -> None:
        self.encoder, self.encoder_hash = encoder, encoder_hash
        self.columns = columns
        self._lines = columns["places"].numpy()
        self._line_ends = columns["line_ends"].numpy()
        self._frames = columns["frames"].numpy()
        self._bounds = columns["bounds"].numpy()
        self._positions = columns["positions"].numpy()
        self._descriptors = columns[DESCRIPTORS]
        self._descriptor_ends = columns["signature_ends"].numpy()

    def __len__(self) -> int:
        return len(self._line_ends)

    def __iter__(self) -> Iterator[Place]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> Place:
        """Return a place by its number. Raises MapError when its line is damaged."""
        start = int(self._line_ends[number - 1]) if number else 0
        line = self._lines[start : int(self._line_ends[number])][:MAX_PLACE_BYTES].tobytes()
        latitude, longitude = self._positions[number].tolist()
        position = None if math.isnan(latitude) else (latitude, longitude)
        bounds = torch.from_numpy(self._bounds[number].copy())
        place = f"damaged {FORMAT} index: place {number}"
        if not torch.isfinite(bounds).all():
            raise MapError(f"{place} has bounds that are not finite numbers")
        return Place(bounds=bounds, position=position, **_checked(line, place))

    def find(self, name: str) -> int | None:
        """Return the number of the place of that name, None where there is none."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self[middle].name < name:
                low = middle + 1
            else:
                high = middle
        return low if low < len(self) and self[low].name == name else None

    def descriptors(self, number: int) -> Tensor:
        """Return the descriptors (K, 64) float16 of a place."""
        start = int(self._descriptor_ends[number - 1]) if number else 0
        return self._descriptors[start : int(self._descriptor_ends[number])]

    def rank(self, query: Tensor, count: int, among: np.ndarray | None = None) -> list[tuple[int, float]]:
        """Return up to `count` places that look most like an image, the most similar first.

        `query` (64,) is the image's descriptor; similarities are cosines. Only the places with
        numbers `among` are looked at, all of them without it.
        """
        chosen = np.arange(len(self)) if among is None else np.unique(among)
        ends = self._descriptor_ends[chosen]
        counts = ends - np.where(chosen > 0, self._descriptor_ends[chosen - 1], 0)
        chosen, counts, ends = (values[counts > 0] for values in (chosen, counts, ends))
        if not len(chosen):
            return []
        if among is None:
            rows = self._descriptors
        else:
            rows = torch.cat([self._descriptors[e - n : e] for e, n in zip(ends, counts, strict=True)])
        # NaN, of a damaged index, would be the most similar of all.
        similarity = _cosines(rows, query.float()).nan_to_num(-1.0, -1.0, -1.0)
        starts = np.concatenate([[0], counts.cumsum()[:-1]])
        best = torch.from_numpy(np.maximum.reduceat(similarity.numpy(), starts))
        top = best.topk(min(count, len(best)))
        return [(int(chosen[i]), s) for i, s in zip(top.indices.tolist(), top.values.tolist(), strict=True)]

    def near(self, position: tuple[float, float], radius_m: float) -> np.ndarray:
        """Return the numbers of places within a distance of a latitude and longitude in degrees."""
        here, there = np.radians(position), np.radians(self._positions)
        # The haversine formula, exact at small distances; NaN, a place of unknown position, is far.
        half = np.sin((there - here) / 2) ** 2
        chord = half[:, 0] + np.cos(here[0]) * np.cos(there[:, 0]) * half[:, 1]
        distance = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.clip(chord, 0.0, 1.0)))
        return np.flatnonzero(distance <= radius_m)

    def around(self, map_frame: str, point: Tensor, margin_m: float) -> np.ndarray:
        """Return the numbers of places in a frame whose bounds, widened by a margin, hold a point (3,)."""
        at = point.numpy()
        inside = (self._bounds[:, 0] - margin_m <= at) & (at <= self._bounds[:, 1] + margin_m)
        return np.flatnonzero(inside.all(1) & (self._frames == _frame_key(map_frame)))

    def in_frame(self, map_frame: str) -> np.ndarray:
        """Return the numbers of places in a frame."""
        return np.flatnonzero(self._frames == _frame_key(map_frame))


def read_index(folder: Path) -> AtlasIndex:
    """Open the index of an atlas. Raises MapError when it is missing, foreign, damaged or newer."""
    path = Path(folder) / INDEX_NAME
    header = read_header(path, FORMAT, FORMAT_VERSION)
    with refusing(MapError, path, f"damaged or truncated {FORMAT}"), safe_open(path, "pt") as file:
        # Mapped, not read: the file is replaced as a whole, never changed.
        columns = {name: file.get_tensor(name) for name in _SHAPES}
        encoder, encoder_hash = header["encoder"], header["encoder_hash"]
    _check_columns(path, columns)
    return AtlasIndex(encoder, encoder_hash, columns)


def make_index(encoder: str, encoder_hash: str, places: Iterable[tuple[Place, Tensor]]) -> AtlasIndex:
    """Return the index of places with their descriptors (K, 64)."""
    known = sorted(places, key=lambda entry: entry[0].name)
    lines = [_line(place) for place, _ in known]
    unknown = (math.nan, math.nan)
    columns = {
        "places": torch.frombuffer(bytearray(b"".join(lines) or b"\n"), dtype=torch.uint8),
        "line_ends": torch.tensor([len(line) for line in lines], dtype=torch.int64).cumsum(0),
        "frames": torch.tensor([_frame_key(p.map_frame) for p, _ in known], dtype=torch.int64),
        "bounds": torch.stack([torch.zeros(2, 3).double(), *(p.bounds.double() for p, _ in known)])[1:],
        "positions": torch.tensor([p.position or unknown for p, _ in known], dtype=torch.float64).view(-1, 2),
        DESCRIPTORS: torch.cat([torch.zeros(0, SIZE).half(), *(s.half() for _, s in known)]),
        "signature_ends": torch.tensor([len(s) for _, s in known], dtype=torch.int64).cumsum(0),
    }
    return AtlasIndex(encoder, encoder_hash, columns)


def write_index(folder: Path, index: AtlasIndex) -> None:
    """Write the index of an atlas in one step (OSError)."""
    header = {"encoder": index.encoder, "encoder_hash": index.encoder_hash}
    write_tensor_file(Path(folder) / INDEX_NAME, index.columns, FORMAT, FORMAT_VERSION, header)


_SHAPES: dict[str, tuple[torch.dtype, tuple[int, ...]]] = {
    "places": (torch.uint8, ()),
    "line_ends": (torch.int64, ()),
    "frames": (torch.int64, ()),
    "bounds": (torch.float64, (2, 3)),
    "positions": (torch.float64, (2,)),
    DESCRIPTORS: (torch.float16, (SIZE,)),
    "signature_ends": (torch.int64, ()),
}


def _check_columns(path: Path, columns: dict[str, Tensor]) -> None:
    """Raise MapError unless types, shapes and ends belong together; lines are checked when parsed."""
    for name, (dtype, shape) in _SHAPES.items():
        found = columns[name]
        if found.dtype != dtype or found.dim() == 0 or tuple(found.shape[1:]) != shape:
            raise MapError(f"{path}: damaged {FORMAT}: {name} is {found.dtype} {tuple(found.shape)}")
    places = len(columns["line_ends"])
    per_place = ("frames", "bounds", "positions", "signature_ends")
    if places > MAX_PLACES or any(len(columns[name]) != places for name in per_place):
        raise MapError(f"{path}: damaged {FORMAT}: its columns are of different lengths")
    for ends, of in (("line_ends", "places"), ("signature_ends", DESCRIPTORS)):
        values = columns[ends]
        ordered = bool((values[1:] >= values[:-1]).all() and (values[:1] >= 0).all())
        if not ordered or (places and int(values[-1]) > len(columns[of])):
            raise MapError(f"{path}: damaged {FORMAT}: its {ends} are out of order")


def _cosines(rows: Tensor, query: Tensor) -> Tensor:
    """Return the products (R,) float32 of rows (R, 64) float16 with a query (64,)."""
    # Piece by piece in one buffer: half precision has no fast product on CPUs, and all rows as float
    # are twice the index.
    result = torch.empty(len(rows))
    buffer = torch.empty(min(len(rows), ROWS_AT_A_TIME), SIZE)
    for start in range(0, len(rows), ROWS_AT_A_TIME):
        part = rows[start : start + ROWS_AT_A_TIME]
        torch.mv(buffer[: len(part)].copy_(part), query, out=result[start : start + len(part)])
    return result


def _line(place: Place) -> bytes:
    about = {
        "name": place.name, "map_frame": place.map_frame, "sha256": place.sha256,
        "map_bytes": place.map_bytes, "created": place.created, "grade": place.validation,
    }  # fmt: skip
    line = json.dumps(about).encode() + b"\n"
    if len(line) > MAX_PLACE_BYTES:
        raise MapError(f"place {place.name!r} takes {len(line)} bytes in the index, over {MAX_PLACE_BYTES}")
    return line


def _checked(line: bytes, place: str) -> dict[str, Any]:
    """Return the fields of a line of JSON. Raises MapError naming the place."""
    about = parse_json(line, place, MapError, finite=False)  # figures may be NaN
    for key, is_right in _FIELDS.items():
        if not isinstance(about, dict) or not is_right(about.get(key)):
            raise MapError(f"{place} has no usable {key!r}")
    try:
        check_name(about["name"], "place")
    except ConfigError as error:
        raise MapError(f"{place}: {error}") from error
    fields = {key: about[key] for key in _FIELDS}
    fields["validation"] = fields.pop("grade")
    return fields


_FIELDS: dict[str, Callable[[Any], bool]] = {
    "name": lambda value: isinstance(value, str),
    "map_frame": is_frame,
    "sha256": lambda value: isinstance(value, str),
    "map_bytes": lambda value: is_whole(value, 0),
    "created": lambda value: isinstance(value, str) and value.isprintable(),
    "grade": lambda value: isinstance(value, dict),
}


def _frame_key(map_frame: str) -> int:
    """Return a number for a frame's name that is the same in every process."""
    return int.from_bytes(hashlib.sha256(map_frame.encode()).digest()[:8], "little", signed=True)
