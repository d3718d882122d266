# SPDX-License-Identifier: Apache-2.0
"""Small scenes with known poses for the tests of ace_ros.data."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

WIDTH, HEIGHT = 64, 48
MATRIX = np.array([[60.0, 0, 31.5], [0, 61.0, 23.5], [0, 0, 1]])


def pose(i: int) -> np.ndarray:
    """Return T_map_camera (4, 4) of frame i: a turn about y while moving along a curve."""
    angle = 0.1 * i
    T = np.eye(4)
    T[:3, :3] = cv2.Rodrigues(np.array([0.05 * i, angle, 0.02]))[0]
    T[:3, 3] = 0.3 * i, np.sin(angle), 0.1
    return T


def picture(i: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Return a textured BGR image (H, W, 3) that differs from frame to frame."""
    rng = np.random.default_rng(i)
    return cv2.resize(rng.integers(0, 255, (6, 8, 3), np.uint8), (width, height))


@pytest.fixture
def scene_folder(tmp_path: Path) -> Path:
    """Return a good scene of four frames in the plain layout."""
    train = tmp_path / "scene" / "train"
    for part in ("rgb", "poses", "calibration"):
        (train / part).mkdir(parents=True)
    for i in range(4):
        cv2.imwrite(str(train / "rgb" / f"{i:05d}.png"), picture(i))
        np.savetxt(train / "poses" / f"{i:05d}.txt", pose(i))
        np.savetxt(train / "calibration" / f"{i:05d}.txt", MATRIX)
    return tmp_path / "scene"
