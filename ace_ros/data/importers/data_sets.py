# SPDX-License-Identifier: Apache-2.0
"""Public data sets as scene folders. Nothing is downloaded: users have the data and its licence.

Each reader turns one folder into `PosedImage`s, in our conventions: T_map_camera, optical axes,
pixel centres at whole numbers.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from ace_ros.data.image_file import image_size
from ace_ros.data.importers.colmap import read_colmap
from ace_ros.data.importers.data_set_depth import DepthBeside
from ace_ros.data.importers.nerf import read_nerf
from ace_ros.data.importers.new_scene import PosedImage, require_new_scene, write_scene
from ace_ros.data.importers.tables import central_camera, fitted, floats_of, table_text
from ace_ros.data.importers.tum import read_tum
from ace_ros.data.plausibility import warn_of_drive, warn_once
from ace_ros.errors import ConfigError, SceneError
from ace_ros.files.limits import MAX_IMAGES, MAX_LINE_BYTES
from ace_ros.files.names import path_inside
from ace_ros.files.numbers import finite_numbers, real, whole
from ace_ros.files.outside import read_lines
from ace_ros.geometry import se3
from ace_ros.geometry.camera import Camera

log = logging.getLogger(__name__)

# The focal length that evaluations on 7Scenes use for the colour images. Poses and depth of the
# original are of the depth camera, whose focal length is 585: give that for registered images.
SIDES = ("Width", "Height")
SEVEN_SCENES_SIZE = (640, 480)
SEVEN_SCENES_FOCAL_PX, SEVEN_SCENES_DEPTH_FOCAL_PX = 525.0, 585.0


def import_dataset(
    kind: str, source: Path, scene_folder: Path, focal_px: float = 0.0, test_share: float = 0.2
) -> dict[str, int]:
    """Write a data set as a new scene folder; return the frames of each split, and those left out.

    `kind` is one of KINDS. `focal_px` above 0 replaces the focal length of the data set. A data set
    without a test split gives `test_share` of its images for testing, from 0 to below 1. Raises
    SceneError, or ConfigError for a number that is none of these.
    """
    if not 0 <= focal_px < math.inf:
        raise ConfigError(f"the focal length is {focal_px}, expected pixels, or 0 for that of the data set")
    if not 0 <= test_share < 1:
        raise ConfigError(f"the share of test images is {test_share}, expected 0 to below 1")
    if kind not in KINDS:
        raise SceneError(f"data set kind must be one of {', '.join(KINDS)}, got {kind!r}")
    source = Path(source)
    if not source.is_dir():
        raise SceneError(f"{source}: no such folder, expected a data set of kind {kind}")
    require_new_scene(Path(scene_folder))
    images = KINDS[kind](source)
    posed = [_made_rigid(image) for image in images if _is_pose(image.T_map_camera)]
    if not posed:
        why = f": {_why_no_pose(images[0])}" if images else ""
        raise SceneError(f"{source}: none of {len(images)} images has a usable pose{why}")
    if focal_px > 0:
        posed = [replace(image, camera=_with_focal(image.camera, focal_px)) for image in posed]
    counts = write_scene(scene_folder, posed, test_share)
    warn_of_drive(source, posed)
    return {**counts, "without_pose": len(images) - len(posed)}


def _is_pose(T: np.ndarray) -> bool:
    """Return whether a pose is one: data sets mark lost frames by infinite or impossible ones."""
    return bool(se3.rigid_defect(torch.from_numpy(T)) < 1e-2)


def _why_no_pose(image: PosedImage) -> str:
    """Return what is wrong with the pose of an image that has no usable one."""
    if not np.isfinite(image.T_map_camera).all():
        return f"{image.name} has none, or none near its time"
    determinant = np.linalg.det(image.T_map_camera[:3, :3])
    return f"that of {image.name} is no rotation and translation (determinant {determinant:.3g})"


def _made_rigid(image: PosedImage) -> PosedImage:
    T = image.T_map_camera.copy()
    T[:3, :3] = se3.nearest_rotation(torch.from_numpy(T[:3, :3])).numpy()
    return replace(image, T_map_camera=T)


def _with_focal(camera: Camera, focal_px: float) -> Camera:
    matrix = camera.matrix.clone()
    matrix[0, 0] = matrix[1, 1] = focal_px
    return replace(camera, matrix=matrix)


def read_7scenes(source: Path) -> list[PosedImage]:
    """Read one scene of 7Scenes: seq-XX folders, divided by TrainSplit.txt and TestSplit.txt."""
    images = []
    for split, name in (("train", "TrainSplit.txt"), ("test", "TestSplit.txt")):
        numbers = re.findall(r"[0-9]+", table_text(source / name))
        if len(set(numbers)) != len(numbers) or any(len(number) > 6 for number in numbers):
            raise SceneError(f"{source / name}: expected sequence1, sequence2, ..., each of them once")
        for number in numbers:
            sequence = source / f"seq-{int(number):02d}"
            if not sequence.is_dir():
                raise SceneError(f"{sequence}: no such folder, {name} lists sequence{number}")
            for path in sorted(sequence.glob("*.color.png")):
                frame = path.name.removesuffix(".color.png")
                T = _matrix(sequence / f"{frame}.pose.txt")
                camera = central_camera(path, SEVEN_SCENES_FOCAL_PX)
                warn_once(source, _size_doubt(camera))
                depth = _depth_beside(sequence / f"{frame}.depth.png")
                name = f"{sequence.name}-{frame}"
                images.append(PosedImage(path, name, T, camera, split, depth_mm=depth))
    return images


def _size_doubt(camera: Camera) -> str:
    """Return that images of 7Scenes were resized, empty where they were not."""
    if camera.size == SEVEN_SCENES_SIZE:
        return ""
    return (
        f"an image is {camera.size[0]}x{camera.size[1]}, expected {SEVEN_SCENES_SIZE[0]}x"
        f"{SEVEN_SCENES_SIZE[1]}: unless a focal length is given, that of the original is taken"
    )


def _depth_beside(path: Path) -> DepthBeside | None:
    """Return a depth image of 7Scenes, which its Kinect did not register to the colour image."""
    if not path.is_file():
        return None
    return DepthBeside(path, central_camera(path, SEVEN_SCENES_DEPTH_FOCAL_PX).matrix.numpy())


def read_12scenes(source: Path) -> list[PosedImage]:
    """Read one scene of 12Scenes: data/frame-*, the first sequence of split.txt for testing."""
    found = re.search(r"start=([0-9]{1,9})\s*;\s*end=([0-9]{1,9})", table_text(source / "split.txt"))
    if not found:
        raise SceneError(f"{source / 'split.txt'}: no [start=... ; end=...], expected that of a test")
    first, last = int(found[1]), int(found[2])
    info = source / "info.txt"
    K, size = _intrinsics_of_12scenes(info, "Color"), _size_of_12scenes(info)
    K_depth = _intrinsics_of_12scenes(info, "Depth") if "DepthIntrinsic" in table_text(info) else None
    images = []
    for path in sorted((source / "data").glob("frame-*.color.jpg")):
        frame = path.name.removesuffix(".color.jpg")
        T = _matrix(path.with_name(f"{frame}.pose.txt"))
        try:
            number = whole(frame.removeprefix("frame-"), MAX_IMAGES)
        except ValueError as error:
            raise SceneError(f"{path}: expected a name like frame-000000.color.jpg") from error
        split = "test" if first <= number <= last else "train"
        depth_path = path.with_name(f"{frame}.depth.png")
        depth = DepthBeside(depth_path, K_depth) if K_depth is not None and depth_path.is_file() else None
        camera = fitted(Camera(torch.from_numpy(K), size or image_size(path)), path)
        images.append(PosedImage(path, frame, T, camera, split, depth_mm=depth))
    return images


def _intrinsics_of_12scenes(info: Path, lens: str) -> np.ndarray:
    for number, line in enumerate(table_text(info).splitlines(), 1):
        found = re.fullmatch(rf"(?i).*{lens}Intrinsic\s*=\s*(.*)", line)
        if found:
            expected = "the 16 of a 4x4 matrix"
            place = f"{info}, line {number}"
            numbers = finite_numbers(found[1].split(), (16,), expected, place, SceneError)
            return np.array(numbers).reshape(4, 4)[:3, :3]
    raise SceneError(f"{info}: no calibration{lens}Intrinsic with 16 numbers")


def _size_of_12scenes(info: Path) -> tuple[int, int] | None:
    """Return (width, height) of the images that the intrinsics are for, None where they are not given."""
    text = table_text(info)
    sides = [re.search(rf"m_color{side}\s*=\s*([1-9][0-9]{{0,4}})\s*$", text, re.M) for side in SIDES]
    return (int(sides[0][1]), int(sides[1][1])) if sides[0] and sides[1] else None


def read_cambridge(source: Path) -> list[PosedImage]:
    """Read one scene of Cambridge Landmarks: dataset_train.txt, dataset_test.txt and the focal
    lengths of reconstruction.nvm. Its radial distortion is small and is left out.
    """
    focals = _nvm_focals(source / "reconstruction.nvm")
    images = []
    for split in ("train", "test"):
        table = source / f"dataset_{split}.txt"
        for number, line in enumerate(table_text(table).splitlines()[3:], 4):  # three lines of heading
            words = line.split()
            if not words:
                continue
            name = words[0].rsplit(".", 1)[0]
            values = floats_of(table, number, words[1:], 7)
            if name not in focals:
                raise SceneError(f"{table}, line {number}: no focal length in reconstruction.nvm")
            path = path_inside(source, words[0], f"{table}, line {number}", SceneError)
            T = _pose_of_world_to_camera(values[3:], position=values[:3])
            camera = central_camera(path, focals[name])
            images.append(PosedImage(path, name, T, camera, split))
    return images


def _nvm_focals(path: Path) -> dict[str, float]:
    # Line by line: many points follow the cameras.
    rows = read_lines(path, MAX_LINE_BYTES, SceneError)
    lines = ((number, row.decode(errors="replace").split()) for number, row in rows if row.strip())
    heading = [words[0] for _, words in islice(lines, 2)]
    if len(heading) < 2 or heading[0] != "NVM_V3" or not re.fullmatch("[0-9]{1,7}", heading[1]):
        raise SceneError(f"{path}: expected NVM_V3 and the number of its cameras")
    return {
        words[0].rsplit(".", 1)[0]: finite_numbers(
            words[1:2], (1,), "a focal length", f"{path}, line {number}", SceneError
        )[0]
        for number, words in islice(lines, int(heading[1]))
    }


def _pose_of_world_to_camera(q_wxyz: list[float], position: list[float]) -> np.ndarray:
    """Return T_map_camera of a rotation from world to camera and the camera's position."""
    w, x, y, z = q_wxyz
    R_camera_map = se3.from_quaternion(torch.tensor([x, y, z, w], dtype=torch.float64))
    T = np.eye(4)
    T[:3, :3] = R_camera_map.numpy().T
    T[:3, 3] = position
    return T


def _matrix(path: Path) -> np.ndarray:
    """Return the 4x4 matrix of a pose file; NaN where it has something that is no number."""
    words = table_text(path).split()
    if len(words) != 16:
        raise SceneError(f"{path}: holds {len(words)} values, expected the 16 of a 4x4 matrix")
    try:
        return np.array([real(word) for word in words]).reshape(4, 4)
    except ValueError:  # "-1.#IND", as Windows writes the pose of a lost frame
        return np.full((4, 4), math.nan)


KINDS: dict[str, Callable[[Path], list[PosedImage]]] = {
    "7scenes": read_7scenes,
    "12scenes": read_12scenes,
    "cambridge": read_cambridge,
    "colmap": read_colmap,
    "nerf": read_nerf,
    "tum": read_tum,
}
