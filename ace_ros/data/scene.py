# SPDX-License-Identifier: Apache-2.0
"""Scene folders (the DSAC*/ACE layout), checked once: what `load_scene` returns can be trusted.

    SCENE/train/rgb/*.{png,jpg}  poses/*.txt  calibration/*.txt  [depth/*.png]  [frames.jsonl]
    SCENE/test/ likewise

A pose file holds the 4x4 matrix T_map_camera; a calibration file the 3x3 intrinsics, or one focal
length in pixels. With frames.jsonl (see `frames_file`) the folder is a recording. Depth images (see
`depth_image`) are for those images that have one; they are checked where they are used.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ace_ros.data.frames_file import FRAMES_FILE, FrameNote, read_frame_notes
from ace_ros.data.image_file import IMAGE_SUFFIXES, read_grey
from ace_ros.data.scene_cameras import CameraReader, read_numbers
from ace_ros.data.scene_files import PARTS, depths_of, drop_unfinished_frames, list_files, pair
from ace_ros.errors import SceneError
from ace_ros.files.limits import MAX_POSITION_M
from ace_ros.geometry import se3
from ace_ros.geometry.camera import Camera

__all__ = ["Frame", "Scene", "load_scene", "read_grey", "require_trainable"]

log = logging.getLogger(__name__)

DEPTH_FOLDER = "depth"

# A pose farther from a rigid transform than the first is refused. One that is nearer is made
# rigid; the second is what rounding to a few digits in a text file explains.
MAX_RIGID_DEFECT = 1e-3
ROUNDING_DEFECT = 1e-6


@dataclass(frozen=True)
class Frame:
    """One posed image. `T_map_camera` is (4, 4) float64; `camera` has the image's own size.

    `depth_path` is its depth image, None where it has none.
    """

    image_path: Path
    T_map_camera: Tensor
    camera: Camera
    stamp_ns: int | None = None
    depth_path: Path | None = None


@dataclass(frozen=True)
class Scene:
    """The frames of one split ("train" or "test") of a scene folder, sorted by name."""

    folder: Path
    split: str
    frames: tuple[Frame, ...]


def load_scene(folder: Path, split: str = "train") -> Scene:
    """Read one split of a scene folder and check all of it except the pixels.

    Raises SceneError with one sentence naming the file, what was found and what was expected.
    """
    base = Path(folder) / split
    for part in PARTS:
        if not (base / part).is_dir():
            raise SceneError(
                f"{base / part}: no such folder; a scene has {split}/rgb, {split}/poses and "
                f"{split}/calibration"
            )
    files = {part: list_files(base / part, part == "rgb") for part in PARTS}
    recording = (base / FRAMES_FILE).is_file()
    notes = read_frame_notes(base / FRAMES_FILE) if recording else {}
    if recording:
        drop_unfinished_frames(files)
    if not files["rgb"]:
        raise SceneError(f"{base / 'rgb'}: holds no images (looked for {', '.join(IMAGE_SUFFIXES)})")
    images, pose_paths, calibration_paths = pair(base, files)

    poses = _read_poses(pose_paths)
    cameras = CameraReader()
    frames = [
        Frame(image, T, cameras.read(path, image, notes.get(image.name)), _stamp(notes, image), depth)
        for image, T, path, depth in zip(
            images, poses.unbind(0), calibration_paths, depths_of(base / DEPTH_FOLDER, images), strict=True
        )
    ]
    return Scene(Path(folder), split, tuple(frames))


def require_trainable(scene: Scene) -> None:
    """Raise SceneError if the frames cannot give a map: fewer than two, or all at one place."""
    count = len(scene.frames)
    base = scene.folder / scene.split
    if count < 2:
        raise SceneError(f"{base / 'rgb'}: holds {count} image, training needs at least 2")
    positions = torch.stack([frame.T_map_camera[:3, 3] for frame in scene.frames])
    if (positions - positions[0]).abs().max() < 1e-6:
        raise SceneError(
            f"{base / 'poses'}: all {count} cameras are at one position; without movement no map "
            "can be trained"
        )


def _stamp(notes: dict[str, FrameNote], image: Path) -> int | None:
    return notes[image.name].stamp_ns if image.name in notes else None


def _read_poses(paths: list[Path]) -> Tensor:
    """Return T_map_camera (N, 4, 4) float64 of pose files, made exactly rigid."""
    values = [read_numbers(path, (16,), "the 16 numbers of a 4x4 matrix") for path in paths]
    T = torch.tensor(values, dtype=torch.float64).reshape(-1, 4, 4)
    defect = se3.rigid_defect(T)
    for path, T_map_camera, d in zip(paths, T, defect.tolist(), strict=True):
        if not math.isfinite(d):
            raise SceneError(f"{path}: pose has values that are not finite, expected T_map_camera")
        if d > MAX_RIGID_DEFECT:
            det = torch.linalg.det(T_map_camera[:3, :3]).item()
            raise SceneError(
                f"{path}: pose is not a rigid transform (off by {d:.2g}, determinant {det:.3g}), "
                "expected rotation and translation of T_map_camera"
            )
        if T_map_camera[:3, 3].abs().max() > MAX_POSITION_M:
            raise SceneError(f"{path}: the camera is more than {MAX_POSITION_M:g} m from the origin")
    if defect.max() > ROUNDING_DEFECT:
        worst = int(defect.argmax())
        log.info(
            "%s: rotations made orthonormal, the largest defect was %.1e (%s)",
            paths[0].parent, defect[worst].item(), paths[worst].name,
        )  # fmt: skip
    return se3.from_rotation_translation(se3.nearest_rotation(T[:, :3, :3]), T[:, :3, 3])
