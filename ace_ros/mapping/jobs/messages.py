# SPDX-License-Identifier: Apache-2.0
"""What a mapping process says while it works, as lines of JSON that another program reads."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np

from ace_ros.mapping.progress import Progress


@contextmanager
def json_lines(title: str) -> Iterator[Callable[[Progress], None]]:
    """Print every Progress as a line of JSON on stdout; unknown numbers are null."""

    def on_progress(p: Progress) -> None:
        known = {
            k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(p).items()
        }
        print(json.dumps({"event": "progress", **known}), flush=True)

    yield on_progress


def print_cloud(points: np.ndarray, grey: np.ndarray) -> None:
    """Print points (P, 3) in the map frame and their brightness (P,) uint8 as a line of JSON on stdout."""
    origin = points.mean(0) if len(points) else np.zeros(3)
    event = {
        "event": "cloud",
        "origin": origin.tolist(),  # float32 is good around the points, not around a distant origin
        "points": _encode((points - origin).astype("<f4")),
        "grey": _encode(grey),
    }
    print(json.dumps(event), flush=True)


def decode_cloud(event: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return points (P, 3) float64 and their brightness (P,) uint8 of a line of `print_cloud`."""
    points = np.frombuffer(base64.b64decode(event["points"]), "<f4").reshape(-1, 3)
    grey = np.frombuffer(base64.b64decode(event["grey"]), np.uint8)
    return points.astype(np.float64) + event["origin"], grey


def _encode(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
