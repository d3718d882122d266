# SPDX-License-Identifier: Apache-2.0
"""What the service train is asked for, checked before anything begins."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

from ace_ros.config import training_preset
from ace_ros.errors import AceError, ConfigError
from ace_ros.nodes.storage import Storage, count_frames
from ace_ros.srv import Train

DEFAULT_PRESET = "standard"


class RefusedError(AceError):
    """A request that is not carried out; `result` is a code of Train."""

    def __init__(self, result: int, message: str) -> None:
        super().__init__(message)
        self.result = result


class TrainRequest(NamedTuple):
    """A training that can begin."""

    map_path: Path
    preset: str
    budget_s: float
    scene: Path
    keyframes: int


def read_train_request(request: Any, storage: Storage, min_keyframes: int, busy: str) -> TrainRequest:
    """Return what an ace_ros/srv/Train request asks for.

    Raises RefusedError: for values that cannot be used, then where the mapper is `busy`, which is the
    sentence on it, then where too little has been recorded.
    """
    try:
        map_path = storage.map_path(request.map_name)
        preset = request.preset or DEFAULT_PRESET
        budget_s = float(request.time_budget_s)
        if not (math.isfinite(budget_s) and budget_s >= 0):
            raise ConfigError(f"time_budget_s must be 0 or more seconds, got {budget_s}")
        training_preset(preset, budget_s)
        scene = storage.scene(request.scene) if request.scene else storage.newest_scene()
        found = count_frames(scene) if scene else 0
    except (ConfigError, OSError) as error:
        raise RefusedError(Train.Response.INVALID_REQUEST, str(error)) from error
    if busy:
        raise RefusedError(Train.Response.BUSY, busy)
    if scene is None or found < min_keyframes:
        where = f"{scene} has {found} keyframes" if scene else "nothing has been recorded"
        message = f"{where}; at least {min_keyframes} are needed (parameter min_keyframes)"
        raise RefusedError(Train.Response.NOTHING_RECORDED, message)
    return TrainRequest(map_path, preset, budget_s, scene, found)
