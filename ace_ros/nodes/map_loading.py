# SPDX-License-Identifier: Apache-2.0
"""From a name to what the localizer uses: one map, or an atlas of many places."""

from __future__ import annotations

import errno
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ace_ros.atlas.finder import Hint, PlaceFinder
from ace_ros.atlas.folder import is_atlas, map_path
from ace_ros.atlas.index import Place, read_index
from ace_ros.config import AtlasConfig, RansacConfig
from ace_ros.errors import ConfigError, MapError
from ace_ros.files.names import frame_name
from ace_ros.geometry.camera import Camera
from ace_ros.localization.relocalizer import Relocalizer
from ace_ros.maps.scene_map import SceneMap
from ace_ros.network.encoder_file import LoadedEncoder, load_encoder
from ace_ros.nodes.storage import Storage
from ace_ros.pnp import Reason

NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
SENTENCES = {
    Reason.NONE: "",
    Reason.TOO_FEW_POINTS: "too few usable points in the image",
    Reason.NO_HYPOTHESIS: "no pose explains the image",
    Reason.TOO_FEW_INLIERS: "too little of the image agrees with a pose",
    Reason.TOO_CONCENTRATED: "what agrees with a pose covers too little of the image",
    Reason.AMBIGUOUS_PLACE: "the image fits more than one place of the map",
}


class MapNotFoundError(MapError):
    """There is no map of that name, or no such place in it."""


@dataclass(frozen=True, eq=False)
class Located:
    """Where an image was taken, in `frame` at `place` of an atlas, or why that is not known.

    pixels (N, 2) were asked, inliers (N,) agree, both on the CPU. Without a pose, `reason` is not NONE,
    T_map_camera (4, 4) and covariance (6, 6) are NaN. `message` is a sentence for a person, empty
    where there is nothing to say but that there is a pose. `scene_map` is the map that it is from.
    """

    reason: Reason
    message: str
    place: str
    frame: str
    pixels: Tensor
    inliers: Tensor
    T_map_camera: Tensor
    covariance: Tensor
    scene_map: SceneMap | None = None


NOWHERE = Located(
    Reason.UNKNOWN_PLACE, "", "", "", torch.zeros(0, 2), torch.zeros(0, dtype=torch.bool),
    torch.full((4, 4), torch.nan, dtype=torch.float64), torch.full((6, 6), torch.nan, dtype=torch.float64),
)  # fmt: skip


class SingleMap:
    """One map in use: a map file, or the one place of an atlas that was asked for."""

    def __init__(self, name: str, place: str, frame: str, relocalizer: Relocalizer) -> None:
        self.name, self.place, self.frame = name, place, frame
        self._relocalizer = relocalizer
        self.scene_map = relocalizer.scene_map

    def localize(self, image: np.ndarray, camera: Camera, ransac: RansacConfig, hint: Hint) -> Located:
        """Return where an image was taken; only the hint's point is of use. Raises CameraError."""
        found = self._relocalizer.predict(image, camera, hint.point, ransac)
        poses = self._relocalizer.decide(found)
        reason = Reason(int(poses.reason[0]))
        return Located(
            reason, SENTENCES[reason], self.place, self.frame, found.pixels.cpu(),
            poses.inliers[0].cpu(), poses.T_map_camera[0].cpu(), poses.covariance[0].cpu(), self.scene_map,
        )  # fmt: skip


class AtlasMap:
    """An atlas in use. Its frame, and its map, are those of the place where the robot is found."""

    place = frame = ""
    scene_map = None

    def __init__(self, name: str, finder: PlaceFinder) -> None:
        self.name = name
        self._finder = finder

    def localize(self, image: np.ndarray, camera: Camera, ransac: RansacConfig, hint: Hint) -> Located:
        """Return where an image was taken; the place of the hint is tried first. Raises CameraError."""
        found = self._finder.find(image, camera, hint, ransac)
        if not found.trials:
            return replace(NOWHERE, message=found.message)
        best, known = found.trials[0], found.reason is Reason.NONE
        return Located(
            found.reason,
            found.message if found.unusable or not known else "",
            best.place.name if known else "",
            best.place.map_frame if known else "",
            best.found.pixels.cpu(),
            best.poses.inliers[0].cpu(),
            best.poses.T_map_camera[0].cpu(),
            best.poses.covariance[0].cpu(),
            best.scene_map,
        )


def load_map(
    storage: Storage,
    name: str,
    place: str,
    ransac: RansacConfig,
    atlas: AtlasConfig,
    device: str,
    encoder: str = "",
) -> SingleMap | AtlasMap:
    """Load a map or an atlas by its plain name, or by the absolute path of its file or folder.

    `place` names the only place of an atlas to use. `encoder` replaces the encoder that the map
    names. Raises MapNotFoundError, MapError or ConfigError with one sentence.
    """
    try:
        path = Path(name) if Path(name).is_absolute() else storage.map_path(name)
    except ConfigError as error:
        raise MapNotFoundError(f"{error}; a file needs its absolute path") from error
    own = load_encoder(encoder) if encoder else None
    try:
        return _load(path, place, ransac, atlas, device, own)
    except OSError as error:
        kind = MapNotFoundError if error.errno in NOT_THERE else MapError
        raise kind(f"{_shown(path)}: {error.strerror or error}") from error


def _load(
    path: Path, place: str, ransac: RansacConfig, atlas: AtlasConfig, device: str, own: LoadedEncoder | None
) -> SingleMap | AtlasMap:
    folder = path if path.is_dir() else path.with_suffix("")
    if not path.is_file() and is_atlas(folder):
        if not place:
            return AtlasMap(folder.name, PlaceFinder(folder, ransac, atlas, device, own))
        found = _place_of(folder, place)
        relocalizer = Relocalizer(SceneMap.load(map_path(folder, found)), ransac, device, own)
        return SingleMap(folder.name, place, found.map_frame, relocalizer)
    if not path.is_file():
        raise MapNotFoundError(f"{_shown(path)}: there is no such map")
    if place:
        raise MapNotFoundError(f"{path}: is a single map and has no place {place[:80]!r}")
    scene_map = SceneMap.load(path)
    return SingleMap(path.stem, "", scene_map.map_frame, Relocalizer(scene_map, ransac, device, own))


def check_map_frame(frame: str, odom_frame: str, base_frame: str, camera_frame: str = "") -> None:
    """Raise MapError where a map is in a frame of the robot's own: its transforms would make a loop of tf."""
    frames = {"odom_frame": odom_frame, "base_frame": base_frame, "of the images": camera_frame}
    for name, own in frames.items():
        if own and frame == frame_name(own):
            raise MapError(
                f"the map is in frame {frame[:80]!r}, which is the frame {name} of this node; expected one "
                "of its own, such as 'map': train it with another map_frame"
            )


def _shown(path: Path) -> str:
    """Return a path as a sentence has it: in one line, and cut where it is none that could exist."""
    text = str(path)
    return text if len(text) <= 200 and text.isprintable() else f"{text[:200]!r}"


def _place_of(folder: Path, name: str) -> Place:
    index = read_index(folder)
    number = index.find(name)
    if number is None:
        raise MapNotFoundError(f"{folder}: this atlas has no place {name[:80]!r}")
    return index[number]
