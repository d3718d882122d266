# SPDX-License-Identifier: Apache-2.0
"""From the name of a map to a Relocalizer."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ace_ros.config import RansacConfig
from ace_ros.errors import ConfigError, MapError
from ace_ros.network.encoder_file import load_encoder
from ace_ros.nodes.storage import Storage
from ace_ros.relocalizer import Relocalizer
from ace_ros.scene_map import SceneMap


class MapNotFoundError(MapError):
    """There is no map of that name."""


class LoadedMap(NamedTuple):
    """A map in use; `frame` is the frame that its poses are in."""

    name: str
    frame: str
    relocalizer: Relocalizer


def load_map(
    storage: Storage, name: str, ransac: RansacConfig, device: str, encoder: str = ""
) -> LoadedMap:
    """Load a map by its plain name, or by the absolute path of its file.

    `encoder` replaces the encoder that the map names. Raises MapNotFoundError, MapError or
    ConfigError with one sentence.
    """
    try:
        path = Path(name) if Path(name).is_absolute() else storage.map_path(name)
    except ConfigError as error:
        raise MapNotFoundError(f"{error}; a file needs its absolute path") from error
    if not path.is_file():
        raise MapNotFoundError(f"{path}: there is no such map")
    scene_map = SceneMap.load(path)
    found = load_encoder(encoder) if encoder else None
    return LoadedMap(path.stem, scene_map.map_frame, Relocalizer(scene_map, ransac, device, found))
