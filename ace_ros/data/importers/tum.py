# SPDX-License-Identifier: Apache-2.0
"""Sequences of the TUM RGB-D benchmark, and what other tools write in its format."""

from __future__ import annotations

import logging
import math
import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import torch

from ace_ros.data.importers.data_set_depth import nearest_tum_depth
from ace_ros.data.importers.new_scene import PosedImage
from ace_ros.data.importers.tables import central_camera, fitted, floats_of, table_text
from ace_ros.data.importers.transforms import NoTransform, TransformTree
from ace_ros.errors import SceneError
from ace_ros.files.names import path_inside
from ace_ros.files.numbers import real
from ace_ros.geometry.camera import Camera

log = logging.getLogger(__name__)

# Colour cameras of the TUM RGB-D benchmark as its authors calibrated them: fx fy cx cy, distortion.
TUM_CAMERAS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "freiburg1": (
        (517.3, 516.5, 318.6, 255.3),
        (0.2624, -0.9531, -0.0054, 0.0026, 1.1633),
    ),
    "freiburg2": (
        (520.9, 521.0, 325.1, 249.7),
        (0.2312, -0.7849, -0.0033, -0.0001, 0.9172),
    ),
    "freiburg3": ((535.4, 539.2, 320.1, 247.6), ()),
}
TUM_SIZE = (640, 480)
TUM_MAX_GAP_NS = 100_000_000
STAMP = re.compile(r"\+?([0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?", re.ASCII)
MAX_STAMP_S = 10**11  # a stamp in whole nanoseconds is more


def read_tum(source: Path) -> list[PosedImage]:
    """Read a sequence of the TUM RGB-D benchmark: rgb.txt, with groundtruth.txt interpolated."""
    tree = TransformTree(TUM_MAX_GAP_NS)
    for stamp, words in _tum_lines(source / "groundtruth.txt", 7):
        values = np.array([real(word) for word in words])
        tree.add("map", "camera", stamp, values[:3], values[3:])
    known = [name for name in TUM_CAMERAS if name in source.resolve().name]
    if not known:
        log.warning("%s: not named freiburg1, 2 or 3; a focal length of 525 is assumed", source)
    table = source / "depth.txt"
    depths = sorted((stamp, name) for stamp, (name,) in (_tum_lines(table, 1) if table.is_file() else ()))
    for _, name in depths:
        path_inside(source, name, table, SceneError)
    images = []
    for stamp, (name,) in _tum_lines(source / "rgb.txt", 1):
        path = path_inside(source, name, source / "rgb.txt", SceneError)
        camera = _tum_camera(path, known[0]) if known else central_camera(path, 525.0)
        try:
            T = tree.lookup("map", "camera", stamp)
        except NoTransform:
            T = np.full((4, 4), math.nan)
        depth = nearest_tum_depth(source, depths, stamp)
        images.append(PosedImage(path, path.stem, T, camera, None, stamp, depth))
    return images


def _tum_camera(path: Path, name: str) -> Camera:
    (fx, fy, cx, cy), distortion = TUM_CAMERAS[name]
    K = torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=torch.float64)
    model = "plumb_bob" if distortion else "pinhole"
    camera = Camera(K, TUM_SIZE, model, K.new_tensor(distortion) if distortion else None)
    return fitted(camera, path)


def _tum_lines(path: Path, columns: int) -> list[tuple[int, list[str]]]:
    """Return (nanoseconds, words) of the lines of a file of the benchmark, or of a tool that writes such."""
    rows = []
    for number, line in enumerate(table_text(path).removeprefix("\ufeff").splitlines(), 1):
        words = line.replace(",", " ").split()
        if words and not words[0].startswith("#"):
            if len(words) != columns + 1:
                raise SceneError(
                    f"{path}, line {number}: has {len(words)} columns, expected a stamp and {columns} columns"
                )
            if columns > 1:
                floats_of(path, number, words[1:], columns)
            rows.append((_nanoseconds(f"{path}, line {number}", words[0]), words[1:]))
    return rows


def _nanoseconds(place: str, seconds: str) -> int:
    """Return a stamp in seconds, in plain or scientific notation, as nanoseconds. Raises SceneError."""
    # Not through a float, which has too few digits for nanoseconds since 1970.
    stamp = Decimal(seconds) if STAMP.fullmatch(seconds) else None
    if stamp is None or stamp >= MAX_STAMP_S:
        raise SceneError(
            f"{place}: has the stamp {seconds[:40]!r}, expected seconds from 0 to {MAX_STAMP_S:g}"
        )
    return int(stamp * 1_000_000_000)
