# SPDX-License-Identifier: Apache-2.0
"""How well features tell points apart: nearest neighbours between two views, change by change."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from ace_ros.compute.precision import autocast
from ace_ros.encoder_training.photometric import random_light
from ace_ros.network.encoder import cell_centres
from ace_ros.network.encoder_file import LoadedEncoder

SIZE = 320
PHOTOS = 24  # every so manieth of a folder, which `train_encoder` holds out
TOLERANCE_PX = 8.0


@dataclass(frozen=True)
class Change:
    """What the second view differs by: scale, in-plane rotation, slant of the surface, light."""

    scale: float = 1.0
    rotation_deg: float = 0.0
    slant_deg: float = 0.0
    light: bool = False


CHANGES = {
    "light, blur, noise": Change(light=True),
    "scale 1.5": Change(scale=1.5, light=True),
    "scale 2": Change(scale=2.0, light=True),
    "rotation 15": Change(rotation_deg=15.0, light=True),
    "rotation 45": Change(rotation_deg=45.0, light=True),
    "slant 30": Change(slant_deg=30.0, light=True),
    "slant 50": Change(slant_deg=50.0, light=True),
}


def matched_shares(
    encoder: LoadedEncoder, photos: list[np.ndarray], device: torch.device
) -> dict[str, float]:
    """Return for every change the share of cells whose nearest neighbour is the true match.

    Of cells of a photograph that the second view shows; the nearest neighbour among all cells of
    the second view is right within TOLERANCE_PX.
    """
    every = max(2, len(photos) // 48)
    held_out = photos[::every][:: max(1, len(photos[::every]) // PHOTOS)]
    shares: dict[str, list[float]] = {name: [] for name in CHANGES}
    for index, photo in enumerate(held_out):
        for name, change in CHANGES.items():
            shares[name].append(_matched(encoder, photo, change, np.random.default_rng(index), device))
    return {name: float(np.mean(values)) for name, values in shares.items()}


def _matched(
    encoder: LoadedEncoder, photo: np.ndarray, change: Change, rng: np.random.Generator, device: torch.device
) -> float:
    side = min(photo.shape)
    y, x = ((n - side) // 2 for n in photo.shape)
    first = cv2.resize(photo[y : y + side, x : x + side], (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    H = _homography(change)
    source = cv2.GaussianBlur(first, (0, 0), 0.45 * change.scale) if change.scale > 1.2 else first
    second = cv2.warpPerspective(source, H, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderValue=128)
    views = np.stack([first / np.float32(255.0), random_light(second, rng)])[:, None]
    with torch.inference_mode(), autocast(device):
        features = encoder.module.to(device)(torch.from_numpy(views).to(device)).float()
    a, b = F.normalize(features, dim=1).flatten(2).mT
    centres = cell_centres(SIZE, SIZE, encoder.card.stride).numpy()
    matches = cv2.perspectiveTransform(centres[None].astype(np.float64), H)[0]
    inside = ((matches > 4) & (matches < SIZE - 5)).all(1)
    nearest = (a @ b.T).argmax(1).cpu().numpy()
    return float((np.linalg.norm(centres[nearest] - matches, axis=1) < TOLERANCE_PX)[inside].mean())


def _homography(change: Change) -> np.ndarray:
    """Return the homography from the first view to the second: a camera that moved before a plane."""
    K = np.array([[SIZE, 0.0, (SIZE - 1) / 2], [0.0, SIZE, (SIZE - 1) / 2], [0.0, 0.0, 1.0]])
    roll, _ = cv2.Rodrigues(np.array([0.0, 0.0, np.radians(change.rotation_deg)]))
    slant, _ = cv2.Rodrigues(np.array([0.0, np.radians(change.slant_deg), 0.0]))
    turned = slant @ roll  # the plane about the middle of the view, then pushed away
    seen = K @ np.column_stack([turned[:, 0], turned[:, 1], [0.0, 0.0, change.scale]])
    H: np.ndarray = seen @ np.linalg.inv(K)
    return H
