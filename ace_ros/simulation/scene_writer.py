# SPDX-License-Identifier: Apache-2.0
"""Scene folders of a simulated room: what a recorded drive would have left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ace_ros.data.depth_image import millimetres
from ace_ros.data.scene import DEPTH_FOLDER
from ace_ros.geometry.camera import Camera
from ace_ros.simulation.drive import Tour, camera_at, camera_of_robot, mapping_tour, second_tour
from ace_ros.simulation.room import SimulatedRoom, photograph


def write_simulated_scene(
    folder: Path,
    frames: int = 60,
    test_frames: int = 20,
    seed: int = 0,
    size: tuple[int, int] = (640, 480),
    texels_per_m: float = 200.0,
    with_depth: bool = False,
) -> None:
    """Write a scene folder with train/ and test/ of a drive through a room, with exact poses and depth.

    The training images follow the drive; the test images look from places beside it, in directions
    that some training image has too.
    """
    room = SimulatedRoom(seed, texels_per_m)
    camera = camera_of_robot(size)
    rng = np.random.default_rng(seed + 1)
    splits: tuple[tuple[str, Tour, int], ...] = (
        ("train", mapping_tour(), frames),
        ("test", second_tour(), test_frames),
    )
    for split, tour, count in splits:
        poses = [camera_at(tour.pose(time)) for time in np.linspace(0.0, tour.duration_s, count)]
        write_split(Path(folder) / split, room, poses, camera, rng, with_depth and split == "train")


def write_split(
    base: Path, room: SimulatedRoom, poses: Sequence[np.ndarray], camera: Camera, rng: np.random.Generator,
    with_depth: bool = False,
) -> None:  # fmt: skip
    """Write images (and depth images) seen from poses, each T_map_camera (4, 4), as a split of a scene."""
    for part in ("rgb", "poses", "calibration", DEPTH_FOLDER)[: 4 if with_depth else 3]:
        (base / part).mkdir(parents=True, exist_ok=True)
    for number, T_map_camera in enumerate(poses):
        image, depth = room.render(T_map_camera, camera)
        name = f"frame-{number:06d}"
        if with_depth:
            _write_image(base / DEPTH_FOLDER / f"{name}.png", millimetres(depth, 1000.0))
        _write_image(base / "rgb" / f"{name}.png", photograph(image, rng, noise=2.0))
        np.savetxt(base / "poses" / f"{name}.txt", T_map_camera, fmt="%.12g")
        np.savetxt(base / "calibration" / f"{name}.txt", camera.matrix.numpy(), fmt="%.12g")


def _write_image(path: Path, image: np.ndarray) -> None:
    # Not cv2.imwrite, which says nothing of a full disk.
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
