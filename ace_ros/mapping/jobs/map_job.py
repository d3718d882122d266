# SPDX-License-Identifier: Apache-2.0
"""The making of a map as plain values, so that one program can ask another for it as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ace_ros.config import TrainingConfig, override
from ace_ros.errors import ConfigError


@dataclass(frozen=True)
class MapJob:
    """What a process that makes a map has to know.

    The map of the scene folder `scene` becomes the file `output`, in `map_frame`, from `chunks` parts
    (0: by its extent), trained on `device` with `threads` processor threads (0: all) or on the Ray
    cluster at `ray_address`. `resume` goes on from features that a killed process had prepared.
    """

    scene: str
    output: str
    config: TrainingConfig = field(default_factory=TrainingConfig)
    device: str = "auto"
    map_frame: str = "map"
    threads: int = 0
    chunks: int = 1
    ray_address: str = ""
    resume: bool = False

    def to_json(self) -> str:
        """Return the job as one line of JSON."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> MapJob:
        """Return the job of a line of JSON. Raises ConfigError, which names what is wrong."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"a mapping job must be a JSON object, got {text[:80]!r}") from error
        if not isinstance(values, dict):
            raise ConfigError(f"a mapping job must be a JSON object, got {text[:80]!r}")
        given = values.pop("config", {})
        if not isinstance(given, dict):
            raise ConfigError(f"config of a mapping job must be a JSON object, got {given!r}")
        _check(values)
        return MapJob(**values, config=override(TrainingConfig(), given))


def _check(values: dict[str, Any]) -> None:
    kinds = {f.name: {"str": str, "int": int, "bool": bool}.get(str(f.type)) for f in fields(MapJob)}
    for name, value in values.items():
        kind = kinds.get(name)
        if kind is None:
            raise ConfigError(f"a mapping job has no {name!r}; it has {', '.join(kinds)}")
        if type(value) is not kind:
            raise ConfigError(f"{name} of a mapping job must be of type {kind.__name__}, got {value!r}")
    missing = {"scene", "output"} - set(values)
    if missing:
        raise ConfigError(f"a mapping job needs {' and '.join(sorted(missing))}")
