# SPDX-License-Identifier: Apache-2.0
"""Which files of a scene folder belong together, told by their names alone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from ace_ros.data.image_file import IMAGE_SUFFIXES
from ace_ros.errors import SceneError

log = logging.getLogger(__name__)

PARTS = ("rgb", "poses", "calibration")
NOUNS = {"rgb": "image", "poses": "pose", "calibration": "calibration"}


def list_files(folder: Path, images: bool) -> list[Path]:
    """Return the images, or else the text files, of a folder by name. Raises SceneError."""
    suffixes = IMAGE_SUFFIXES if images else (".txt",)
    try:
        found = [
            path
            for path in folder.iterdir()
            # A leading dot marks temporary files of the recorder and litter of file managers.
            if path.suffix.lower() in suffixes and not path.name.startswith(".")
        ]
    except OSError as error:
        raise SceneError(f"{folder}: cannot be read: {error.strerror or error}") from error
    return sorted(found)


def drop_unfinished_frames(files: dict[str, list[Path]]) -> None:
    """Leave out trailing images and calibrations of a recording that was killed.

    The recorder writes a frame's pose last, so only frames after the last pose can be unfinished.
    """
    last = _before_dot(files["poses"][-1]) if files["poses"] else ""
    for part in ("rgb", "calibration"):
        files[part] = [path for path in files[part] if _before_dot(path) <= last]


def pair(base: Path, files: dict[str, list[Path]]) -> list[list[Path]]:
    """Return images, pose files and calibration files in the same order.

    Files belong together when their names agree up to the suffix, or up to the first dot
    (frame-000000.color.png and frame-000000.pose.txt). Where no name agrees at all, as many of
    each are paired in the order of their names, as other tools of this layout do.
    """
    tables = _tables_by(files, lambda path: path.stem)
    if tables is None:
        raise SceneError(f"{base}: {_twice(files)} differ only in the suffix, expected one file each")
    if not _agree(tables):
        tables = _tables_by(files, _before_dot) or tables
    if _agree(tables):
        return [[tables[part][key] for key in sorted(tables["rgb"])] for part in PARTS]
    counts = {part: len(files[part]) for part in PARTS}
    strangers = not any(set(tables["rgb"]) & set(tables[part]) for part in PARTS[1:])
    if strangers and len(set(counts.values())) == 1:
        log.warning("%s: names of images and poses do not agree; paired in their order", base)
        return [files[part] for part in PARTS]
    raise SceneError(
        f"{base}: {counts['rgb']} images, {counts['poses']} poses and {counts['calibration']} "
        f"calibrations do not belong together: {_missing(tables)}"
    )


def calibration_of(image: Path) -> Path:
    """Return the calibration file of one image of a scene folder, paired as `pair` does.

    Raises SceneError where there is none.
    """
    image = image.absolute()
    folder = image.parent.parent / "calibration"
    files = list_files(folder, False) if folder.is_dir() else []
    siblings = list_files(image.parent, True)
    found = _partners(image, files)
    strangers = not any(_partners(other, files) for other in siblings)
    if not found and strangers and len(files) == len(siblings) and image in siblings:
        return files[siblings.index(image)]
    if len(found) != 1:
        several = (
            f"{', '.join(path.name for path in found)} could all be"
            if found
            else f"in {folder} is none that is"
        )
        raise SceneError(f"{image}: {several} its calibration; name a file with --camera")
    return found[0]


def _partners(image: Path, files: list[Path]) -> list[Path]:
    """Return the files whose names agree with an image's up to the suffix, or else up to the first dot."""
    same = [path for path in files if path.stem == image.stem]
    return same or [path for path in files if _before_dot(path) == _before_dot(image)]


def _before_dot(path: Path) -> str:
    return path.name.split(".")[0]


def depths_of(folder: Path, images: list[Path]) -> list[Path | None]:
    """Return each image's depth image, of the same name as `pair` has it; None where there is none."""
    files = {"depth": list_files(folder, True) if folder.is_dir() else [], "rgb": images}
    for key in (lambda path: path.stem, _before_dot):
        tables = _tables_by(files, key)
        if tables and tables["depth"].keys() & tables["rgb"].keys():
            return [tables["depth"].get(key(image)) for image in images]
    return [None] * len(images)


def _tables_by(files: dict[str, list[Path]], key: Callable[[Path], str]) -> dict[str, dict[str, Path]] | None:
    """Return the files of each part by a key of their names, or None where a key is not unique."""
    tables = {part: {key(path): path for path in paths} for part, paths in files.items()}
    unique = all(len(tables[part]) == len(files[part]) for part in files)
    return tables if unique else None


def _agree(tables: dict[str, dict[str, Path]]) -> bool:
    return all(tables[part].keys() == tables["rgb"].keys() for part in PARTS)


def _twice(files: dict[str, list[Path]]) -> str:
    stems = [path.stem for path in files["rgb"]]
    return ", ".join(path.name for path in files["rgb"] if stems.count(path.stem) > 1)[:80]


def _missing(tables: dict[str, dict[str, Path]]) -> str:
    """Say which names lack what, in at most a few words for each part."""
    everything = set().union(*tables.values())
    sentences = []
    for part in PARTS:
        lacking = sorted(everything - tables[part].keys())
        if lacking:
            shown = ", ".join(lacking[:3]) + (f" and {len(lacking) - 3} more" * (len(lacking) > 3))
            sentences.append(f"no {NOUNS[part]} for {shown}")
    return "; ".join(sentences)
