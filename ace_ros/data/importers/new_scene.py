# SPDX-License-Identifier: Apache-2.0
"""What importers share: a new scene folder appears whole or not at all, and a split for testing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ace_ros.data.depth_image import encode_depth
from ace_ros.data.frames_file import FRAMES_FILE, format_note
from ace_ros.data.image_file import IMAGE_SUFFIXES
from ace_ros.data.plausibility import require_fitting
from ace_ros.data.scene import DEPTH_FOLDER
from ace_ros.errors import CameraError, SceneError
from ace_ros.files.names import is_file_name
from ace_ros.files.whole import new_folder, write_atomically
from ace_ros.files.writable import require_writable_folder
from ace_ros.geometry.camera import Camera

TEST_RUN = 5


def require_new_scene(folder: Path) -> None:
    """Raise SceneError where there is something in `folder`, OutputError where it cannot be written."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SceneError(f"{folder}: exists already; choose a new scene folder")
    require_writable_folder(folder)


@contextmanager
def new_scene(folder: Path) -> Iterator[Path]:
    """Give a folder to write into that becomes `folder` at the end, unless there is an error.

    Raises SceneError when `folder` exists and is not empty, OutputError when it cannot be written.
    """
    folder = Path(folder)
    require_new_scene(folder)
    with new_folder(folder) as partial:
        yield partial
        require_new_scene(folder)


def is_test_frame(index: int, share: float, run: int = TEST_RUN) -> bool:
    """Return whether the frame with this number is for testing, when a share of all is.

    Test frames come in runs: a single one between two mapping frames of the same drive would be an
    easy question.
    """
    if share <= 0:
        return False
    period = max(run + 1, round(run / share))
    return index % period >= period - run


@dataclass(frozen=True)
class PosedImage:
    """An image of a data set; `split` is None where the set does not say.

    `depth_mm` returns the depth image (h, w) that the camera sees; None where there is none.
    """

    path: Path
    name: str
    T_map_camera: np.ndarray
    camera: Camera
    split: str | None = None
    stamp_ns: int | None = None
    depth_mm: Callable[[Camera], np.ndarray] | None = None


def write_scene(folder: Path, images: list[PosedImage], test_share: float) -> dict[str, int]:
    """Write posed images as a new scene folder; return the number of frames of each split.

    Images are hard links where the file system can, and copies elsewhere. Those without a split
    are divided by `is_test_frame`. Raises SceneError.
    """
    counts = {"train": 0, "test": 0}
    run = TEST_RUN if test_share * len(images) >= 2 * TEST_RUN else 1  # few images: no whole runs
    with new_scene(folder) as scene:
        for index, image in enumerate(images):
            split = image.split or ("test" if is_test_frame(index, test_share, run) else "train")
            _write_frame(scene / split, image)
            counts[split] += 1
        if not counts["train"]:
            raise SceneError(f"{folder}: not written, because no image has a pose for training")
    return counts


def _write_frame(base: Path, image: PosedImage) -> None:
    name = image.name.replace("/", "-")
    if image.path.suffix.lower() not in IMAGE_SUFFIXES:
        raise SceneError(f"{image.path}: expected an image of type {', '.join(IMAGE_SUFFIXES)}")
    if not is_file_name(name + image.path.suffix):
        raise SceneError(f"{str(image.path)[:300]}: its name is too long for a scene folder")
    rgb = base / "rgb" / (name + image.path.suffix)
    for part in ("rgb", "poses", "calibration"):
        (base / part).mkdir(parents=True, exist_ok=True)
    pose = base / "poses" / f"{name}.txt"
    if pose.exists():  # of an image with another suffix, perhaps
        raise SceneError(f"{image.path}: a second image of the name {name}")
    try:
        require_fitting(image.camera)
    except CameraError as error:
        raise SceneError(f"{image.path}: {error}") from error
    _link_or_copy(image.path, rgb)
    np.savetxt(pose, image.T_map_camera, "%.12g")
    np.savetxt(base / "calibration" / f"{name}.txt", image.camera.matrix.numpy(), "%.12g")
    if image.depth_mm:
        write_atomically(base / DEPTH_FOLDER / f"{name}.png", encode_depth(image.depth_mm(image.camera)))
    if image.stamp_ns is not None or image.camera.distortion is not None:
        with (base / FRAMES_FILE).open("ab") as file:
            file.write(format_note(rgb.name, image.camera, image.stamp_ns, ""))


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)
