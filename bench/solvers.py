# SPDX-License-Identifier: Apache-2.0
"""The pose solvers that `pose_solver.py` compares: ours, and those of other projects that are installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from ace_ros.config import RansacConfig
from ace_ros.geometry.camera import Camera
from ace_ros.geometry.se3 import inverse
from ace_ros.pnp import solve_pose

CONFIG = RansacConfig()


class Image(NamedTuple):
    """Pixels (N, 2) of a pinhole camera, points (N, 3) and the true T_map_camera (4, 4), float64."""

    pixels: Tensor
    points: Tensor
    camera: Camera
    T_map_camera: Tensor


Solver = Callable[[Image], "Tensor | None"]  # T_map_camera (4, 4), or None


def ours(image: Image) -> Tensor | None:
    """Solve with ace_ros."""
    found = solve_pose(image.pixels[None], image.points[None], image.camera, CONFIG)
    return found.T_map_camera[0] if bool(found.ok[0]) else None


def poselib_with(**ransac: float) -> Solver:
    """Return PoseLib with options of its RANSAC."""
    poselib = importlib.import_module("poselib")

    def solve(image: Image) -> Tensor | None:
        K = image.camera.matrix.numpy()
        camera = {
            "model": "PINHOLE", "width": image.camera.size[0], "height": image.camera.size[1],
            "params": [K[0, 0], K[1, 1], K[0, 2], K[1, 2]],
        }  # fmt: skip
        options = {"max_reproj_error": CONFIG.inlier_px, **ransac}
        pose, _ = poselib.estimate_absolute_pose(image.pixels.numpy(), image.points.numpy(), camera, options)
        return _from_camera_map(np.asarray(pose.Rt))

    return solve


def opencv_p3p(image: Image) -> Tensor | None:
    """Solve with OpenCV's RANSAC on P3P, 1000 rounds."""
    found, turn, shift, _ = cv2.solvePnPRansac(
        image.points.numpy(), image.pixels.numpy(), image.camera.matrix.numpy(), None,
        iterationsCount=1000, reprojectionError=CONFIG.inlier_px, flags=cv2.SOLVEPNP_P3P,
    )  # fmt: skip
    return _from_camera_map(np.hstack([cv2.Rodrigues(turn)[0], shift])) if found else None


def opencv_magsac(image: Image) -> Tensor | None:
    """Solve with OpenCV's USAC: MAGSAC scores, local optimisation, 10,000 rounds."""
    options = cv2.UsacParams()
    options.score = cv2.SCORE_METHOD_MAGSAC
    options.loMethod = cv2.LOCAL_OPTIM_INNER_AND_ITER_LO
    options.maxIterations, options.confidence, options.threshold = 10_000, 0.9999, CONFIG.inlier_px
    found, _, turn, shift, _ = cv2.solvePnPRansac(
        image.points.numpy(), image.pixels.numpy(), image.camera.matrix.numpy(), None, params=options
    )
    return _from_camera_map(np.hstack([cv2.Rodrigues(turn)[0], shift])) if found else None


def pycolmap_default() -> Solver:
    """Return pycolmap's estimation and refinement."""
    pycolmap = importlib.import_module("pycolmap")
    options = pycolmap.AbsolutePoseEstimationOptions()
    options.ransac.max_error, options.ransac.min_inlier_ratio = CONFIG.inlier_px, CONFIG.min_inlier_share

    def solve(image: Image) -> Tensor | None:
        K = image.camera.matrix.numpy()
        # Its pixels count from the image's corner.
        camera = pycolmap.Camera(
            model="PINHOLE", width=image.camera.size[0], height=image.camera.size[1],
            params=[K[0, 0], K[1, 1], K[0, 2] + 0.5, K[1, 2] + 0.5],
        )  # fmt: skip
        found = pycolmap.estimate_and_refine_absolute_pose(
            image.pixels.numpy() + 0.5, image.points.numpy(), camera, options
        )
        return _from_camera_map(found["cam_from_world"].matrix()) if found else None

    return solve


def _from_camera_map(Rt: np.ndarray) -> Tensor | None:
    if not np.isfinite(Rt).all():
        return None
    T = torch.eye(4, dtype=torch.float64)
    T[:3] = torch.from_numpy(np.ascontiguousarray(Rt, dtype=np.float64))
    return inverse(T)


def installed_solvers(only: list[str]) -> dict[str, Solver]:
    """Return the solvers that can be imported; of those named, if any are."""
    makers: dict[str, Callable[[], Solver]] = {
        "ace_ros": lambda: ours,
        "PoseLib, default": poselib_with,
        "PoseLib, tuned": lambda: poselib_with(min_iterations=100, success_prob=0.99),
        "OpenCV P3P": lambda: opencv_p3p,
        "OpenCV USAC_MAGSAC": lambda: opencv_magsac,
        "pycolmap": pycolmap_default,
    }
    solvers = {}
    for name, make in makers.items():
        if only and name not in only:
            continue
        try:
            solvers[name] = make()
        except ImportError as missing:
            print(f"left out: {name} ({missing})")
    return solvers
