# SPDX-License-Identifier: Apache-2.0
"""An atlas on disk: a folder of maps with an index. Adding and removing maps, and checking it."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ace_ros.atlas.index import INDEX_NAME, AtlasIndex, Place, make_index, read_index, write_index
from ace_ros.errors import ConfigError, MapError
from ace_ros.files.names import check_name, frame_name, is_frame
from ace_ros.files.whole import make_folder, write_atomically
from ace_ros.maps.scene_map import SUFFIX, SceneMap, read_map_header

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Problem:
    """Something wrong with a place of an atlas, or with a file in its folder."""

    name: str
    kind: str  # missing, changed, damaged, incomplete, foreign or unlisted
    message: str


def is_atlas(folder: Path) -> bool:
    """Return whether a folder has an index of places."""
    return (folder / INDEX_NAME).is_file()


def map_path(folder: Path, place: Place) -> Path:
    """Return the file of a place's map."""
    return folder / f"{place.name}{SUFFIX}"


def add_maps(
    folder: Path,
    paths: Sequence[Path],
    name: str = "",
    map_frame: str = "",
    position: tuple[float, float] | None = None,
    replaces: bool = False,
) -> list[Place]:
    """Copy maps into an atlas, which is made if there is none; return their places.

    A place is named `name`, or as its file. `map_frame`, in which {name} stands for the place's,
    replaces the frame that a map names: two places have one frame only if somebody says so. Raises
    MapError or ConfigError when a map cannot be used, is of another encoder than the atlas or
    contradicts another place, OSError when the folder cannot be written; maps before it were added.
    """
    if name and len(paths) > 1:
        raise ConfigError(f"{len(paths)} maps cannot all be named {name!r}; add them one by one")
    make_folder(folder)
    with _alone(folder):
        old = read_index(folder) if is_atlas(folder) else None
        entries = {p.name: (p, old.descriptors(i)) for i, p in enumerate(old)} if old else {}
        frames = {place.map_frame: place.name for place, _ in entries.values()}
        encoder = (old.encoder, old.encoder_hash) if old else ("", "")
        added: list[Place] = []
        try:
            for path in map(Path, paths):
                scene_map, place, data = _read(path, name or path.stem, map_frame, position)
                encoder = encoder if entries else (scene_map.encoder, scene_map.encoder_hash)
                _check_encoder(path, scene_map, *encoder)
                if place.name in entries and not replaces:
                    raise MapError(f"{place.name!r} is in the atlas already; --replace replaces its map")
                _check_frame(place, frames.get(place.map_frame, ""), chosen=bool(map_frame))
                if path.resolve() != map_path(folder, place).resolve():
                    write_atomically(map_path(folder, place), data)
                entries[place.name] = (place, scene_map.descriptors)
                frames.setdefault(place.map_frame, place.name)
                added.append(place)
        finally:
            if added:
                write_index(folder, make_index(*encoder, entries.values()))
    return added


def remove_places(folder: Path, names: Sequence[str]) -> None:
    """Take places out of an atlas and delete their maps.

    Raises MapError when there is no such place, OSError when the folder cannot be written: all of
    them are then still there.
    """
    with _alone(folder):
        old = read_index(folder)
        entries = {place.name: (place, old.descriptors(number)) for number, place in enumerate(old)}
        unknown = sorted(set(names) - set(entries))
        if unknown:
            raise MapError(f"{folder}: this atlas has no place {', '.join(map(repr, unknown))}")
        removed = [entries.pop(name)[0] for name in dict.fromkeys(names)]
        # The index first: killed in between, a map is left that nobody uses, never a place without one.
        write_index(folder, make_index(old.encoder, old.encoder_hash, entries.values()))
        for place in removed:
            map_path(folder, place).unlink(missing_ok=True)


def _read(
    path: Path, name: str, map_frame: str, position: tuple[float, float] | None
) -> tuple[SceneMap, Place, bytes]:
    """Return a map, the place that it becomes and the bytes of its file."""
    check_name(name, "place")
    scene_map, header, data = SceneMap.load(path), read_map_header(path), path.read_bytes()
    if not len(scene_map.descriptors):
        log.warning(
            "%s: has no descriptor; it will be found only by the name or position of its place. "
            "Train it again to have one",
            path,
        )
    place = Place(
        name=name,
        map_frame=_checked_frame(map_frame.replace("{name}", name) or scene_map.map_frame),
        bounds=scene_map.bounds,
        sha256=hashlib.sha256(data).hexdigest(),
        map_bytes=len(data),
        position=_checked_position(position),
        created=scene_map.created,
        validation=header.get("grade", {}),
    )
    return scene_map, place, data


def check(folder: Path) -> Iterator[Problem]:
    """Yield what is wrong with an atlas; goes on after every problem. Raises MapError without an index."""
    index = read_index(folder)
    names = set()
    for number in range(len(index)):
        try:
            place = index[number]
        except MapError as error:
            yield Problem(f"number {number}", "damaged", str(error))
            continue
        names.add(place.name)
        yield from _problems_of(folder, place, index)
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        if path.stem not in names:
            yield Problem(path.stem, "unlisted", f"{path}: is not in the index; add it")


def _problems_of(folder: Path, place: Place, index: AtlasIndex) -> Iterator[Problem]:
    path = map_path(folder, place)
    if not path.is_file():
        yield Problem(place.name, "missing", f"{path}: there is no such file")
        return
    try:
        scene_map, data = SceneMap.load(path), path.read_bytes()
    except (MapError, OSError) as error:
        yield Problem(place.name, "damaged", str(error))
        return
    if scene_map.missing:
        yield Problem(place.name, "incomplete", f"{path}: {scene_map.missing_text}")
    try:
        _check_encoder(path, scene_map, index.encoder, index.encoder_hash)
    except MapError as error:
        yield Problem(place.name, "foreign", str(error))
        return
    if hashlib.sha256(data).hexdigest() != place.sha256:
        yield Problem(place.name, "changed", f"{path}: is not the file that was added; add it again")


def _check_encoder(path: Path, scene_map: SceneMap, encoder: str, encoder_hash: str) -> None:
    if scene_map.encoder_hash != encoder_hash:
        raise MapError(
            f"{path}: belongs to encoder {scene_map.encoder} ({scene_map.encoder_hash}), the atlas to "
            f"{encoder} ({encoder_hash})"
        )


def _check_frame(place: Place, other: str, chosen: bool) -> None:
    """Raise MapError where a place would be in the frame of another one and nobody has said so."""
    if other not in ("", place.name) and not chosen:
        raise MapError(
            f"place {place.name!r} would be in frame {place.map_frame!r}, the frame of {other!r}; "
            "name its frame with --map-frame: another one, or the same if both were mapped in one"
        )


def _checked_frame(map_frame: str) -> str:
    name = frame_name(map_frame)
    if not name or not is_frame(name):
        raise MapError(f"{map_frame[:80]!r} is no name of a frame")
    return name


def _checked_position(position: tuple[float, float] | None) -> tuple[float, float] | None:
    if position is not None and not (abs(position[0]) <= 90.0 and abs(position[1]) <= 180.0):
        raise MapError(f"position {position} is no latitude and longitude in degrees")
    return position


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, so that two programs that add maps do not lose each other's."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
