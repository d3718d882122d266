# SPDX-License-Identifier: Apache-2.0
"""A scene that is learned in half a minute: a robot in front of a painted wall."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np

SIZE = (320, 240)
K = np.array([[260.0, 0.0, 159.5], [0.0, 260.0, 119.5], [0.0, 0.0, 1.0]])
TEXELS, METRES_PER_TEXEL = 1400, 6.0 / 1400
# The wall is the plane x = 3 of the map (x forward, y left, z up): (u, v, 1) of a texel to a point.
POINT_OF_TEXEL = np.array(
    [
        [0.0, 0.0, 3.0],
        [-METRES_PER_TEXEL, 0.0, TEXELS / 2 * METRES_PER_TEXEL],
        [0.0, -METRES_PER_TEXEL, TEXELS / 2 * METRES_PER_TEXEL],
    ]
)
R_BODY_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def paint(seed: int) -> np.ndarray:
    """Return a wall with detail of every size, BGR (TEXELS, TEXELS, 3)."""
    rng = np.random.default_rng(seed)
    wall = np.full((TEXELS, TEXELS, 3), 128.0, np.float32)
    for octave in range(2, 9):
        patches = rng.normal(0.0, 1.0, (2**octave, 2**octave, 3)).astype(np.float32)
        smooth = cv2.resize(patches, (TEXELS, TEXELS), interpolation=cv2.INTER_CUBIC)
        wall += smooth * (110.0 / (octave + 3))
    painted = np.clip(wall, 0, 255).astype(np.uint8)
    for _ in range(250):
        x, y = (int(n) for n in rng.integers(0, TEXELS, 2))
        a, b = (int(n) for n in rng.integers(10, 90, 2))
        colour = rng.integers(0, 255, 3).tolist()
        if rng.random() < 0.5:
            turn = float(rng.uniform(0, 180))
            cv2.ellipse(painted, (x, y), (a, b), turn, 0, 360, colour, -1, cv2.LINE_AA)
        else:
            cv2.rectangle(painted, (x, y), (x + a, y + b), colour, -1)
    return painted


def pose(turn: float) -> np.ndarray:
    """Return T_map_camera (4, 4) at a place on a loop in front of the wall; `turn` is 0 to 1."""
    a = 2 * math.pi * turn
    yaw = cv2.Rodrigues(np.array([0.0, 0.0, 0.12 * math.sin(a)]))[0]
    pitch = cv2.Rodrigues(np.array([0.0, 0.05 * math.cos(2 * a), 0.0]))[0]
    T = np.eye(4)
    T[:3, :3] = yaw @ pitch @ R_BODY_OPTICAL
    T[:3, 3] = 0.3 * math.cos(a), 0.5 * math.sin(a), 0.1 * math.sin(2 * a)
    return T


def photograph(wall: np.ndarray, T_map_camera: np.ndarray) -> np.ndarray:
    """Return what a camera sees of the wall, BGR (H, W, 3)."""
    T_camera_map = np.linalg.inv(T_map_camera)
    in_camera = T_camera_map[:3, :3] @ POINT_OF_TEXEL + np.outer(T_camera_map[:3, 3], [0.0, 0.0, 1.0])
    return cv2.warpPerspective(wall, K @ in_camera, SIZE, flags=cv2.INTER_AREA)


def write_wall_scene(
    folder: Path, frames: int = 16, test_frames: int = 6, wall: np.ndarray | None = None
) -> None:
    """Write a scene folder with train/, one loop, and test/, places between those of the loop."""
    wall = paint(seed=5) if wall is None else wall
    for split, count, shift in (("train", frames, 0.0), ("test", test_frames, 0.5)):
        for part in ("rgb", "poses", "calibration"):
            (folder / split / part).mkdir(parents=True)
        for i in range(count):
            T = pose((i + shift) / count)
            cv2.imwrite(str(folder / split / "rgb" / f"{i:04d}.png"), photograph(wall, T))
            np.savetxt(folder / split / "poses" / f"{i:04d}.txt", T)
            np.savetxt(folder / split / "calibration" / f"{i:04d}.txt", K)
