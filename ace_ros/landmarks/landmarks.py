# SPDX-License-Identifier: Apache-2.0
"""Landmarks: measured points of a place that are found again in an image whose pose is nearly known.

A head says of every pixel where it is, to a few pixels, and where it errs, it errs over a part
of the image: more pixels do not help. The position of a landmark has been measured from several
mapping images, and an image is searched for its feature, to a pixel or two and independently of
the others. (Active search after a coarse pose is as old as tracking; see Davison et al.,
"MonoSLAM", PAMI 2007, section 3.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ace_ros.geometry.camera import Camera
from ace_ros.geometry.se3 import inverse, transform
from ace_ros.landmarks.peaks import peak_shift

MIN_SIMILARITY = 0.6  # cosine
MAX_TURN_DEG = 40.0  # between the directions in which a landmark was seen and is looked for
MAX_ZOOM = 1.8  # between the distances
MIN_DEPTH_M = 1e-3
LANDMARK_TENSORS = "points", "seen_from", "features"
EXPECTED_INLIER_RATIO = 0.5  # where it was not measured; of scenes where it was 0.27 to 0.71


@dataclass(frozen=True)
class Landmarks:
    """L points of a chunk, in an order that any first few are spread over the place.

    points (L, 3) and seen_from (L, 3), the camera that each one's feature is from, are float32 in
    the chunk's local frame; features (L, C) int8 are those of `quantised`. `expected_inlier_ratio` says how
    many of those in view an image of the place shows where they are, in the median.
    """

    points: Tensor
    seen_from: Tensor
    features: Tensor
    expected_inlier_ratio: float = EXPECTED_INLIER_RATIO

    def __len__(self) -> int:
        return len(self.points)

    def to(self, device: torch.device) -> Landmarks:
        """Return the landmarks on a device."""
        moved = {name: getattr(self, name).to(device) for name in LANDMARK_TENSORS}
        return replace(self, **moved)


class FoundLandmarks(NamedTuple):
    """Where N landmarks were looked for in B images: pixels (B, N, 2) of points (B, N, 3), float64, local.

    weights (B, N) float64 are 1 where a landmark was found, 0 where not; `looked_for` (B,) says how many
    the image should show.
    """

    pixels: Tensor
    points: Tensor
    weights: Tensor
    looked_for: Tensor


def no_landmarks(channels: int) -> Landmarks:
    """Return landmarks of a chunk that has none."""
    return Landmarks(torch.zeros(0, 3), torch.zeros(0, 3), torch.zeros(0, channels, dtype=torch.int8))


def quantised(features: Tensor) -> Tensor:
    """Return features (L, C) as int8 (L, C); only their directions are kept."""
    features = features.float()
    return (features * (127.0 / features.abs().amax(-1, keepdim=True).clamp(min=1e-12))).round().char()


def unit_cells(features: Tensor) -> Tensor:
    """Return an image's features (B, C, h, w) as (B, h, w, C) float32 of unit length."""
    return F.normalize(features.float(), dim=1).permute(0, 2, 3, 1).contiguous()


def find_landmarks(
    landmarks: Landmarks,
    T_local_camera: Tensor,
    camera: Camera,
    cells: Tensor,
    stride: int,
    count: int,
    reach: int,
) -> FoundLandmarks:
    """Look for N <= `count` landmarks in each image within `reach` cells of where poses (B, 4, 4) put them.

    `cells` (B, h, w, C) are those of `unit_cells`, of images of `camera`. A landmark is where the
    similarity has its largest peak, between the cells by a quadratic.
    """
    h, w = cells.shape[1:3]
    T = T_local_camera.double()
    points = landmarks.points.double()
    in_camera = transform(inverse(T), points)  # (B, L, 3)
    cell = (camera.project(in_camera) + 0.5) / stride - 0.5
    limit = cell.new_tensor([w, h]) - (reach + 2)
    visible = ((cell >= reach + 1) & (cell <= limit)).all(-1) & (in_camera[..., 2] > MIN_DEPTH_M)
    visible &= _is_seen_alike(points, landmarks.seen_from.double(), T[:, :3, 3])
    first = torch.arange(len(points), 0, -1, device=cells.device)
    rank, chosen = (visible * first).topk(min(count, len(points)))  # (B, N)
    cell = cell.gather(1, chosen[..., None].expand(-1, -1, 2))
    wanted = F.normalize(landmarks.features[chosen].float(), dim=-1)
    middle = torch.where((rank > 0)[..., None], cell, reach + 1.0).round().long()
    at, similarity = _peaks(cells, wanted, middle, reach + 1)
    found = (rank > 0) & (similarity > MIN_SIMILARITY)
    pixels = (at + 0.5) * stride - 0.5
    return FoundLandmarks(pixels, points[chosen], found.double(), (rank > 0).sum(1))


def _is_seen_alike(points: Tensor, seen_from: Tensor, position: Tensor) -> Tensor:
    """Return whether cameras at positions (B, 3) see points (L, 3) much as they were seen, (B, L)."""
    before, now = points - seen_from, points - position[:, None]
    far, near = before.norm(dim=-1), now.norm(dim=-1)
    cosine = (before * now).sum(-1) / (far * near).clamp(min=1e-12)
    zoom = torch.maximum(far, near) / torch.minimum(far, near).clamp(min=1e-12)
    alike: Tensor = (cosine > math.cos(math.radians(MAX_TURN_DEG))) & (zoom < MAX_ZOOM)
    return alike


def _peaks(cells: Tensor, wanted: Tensor, middle: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """Return where (B, N, 2) features (B, N, C) are most similar in windows about cells (B, N, 2).

    And the similarities there (B, N), -1 where there is no peak inside the window.
    """
    batch, h, w, channels = cells.shape
    side = 2 * radius + 1
    offset = torch.arange(-radius, radius + 1, device=cells.device)
    rows, columns = (middle[..., k, None] + offset for k in (1, 0))
    rows, columns = rows.clamp(0, h - 1), columns.clamp(0, w - 1)
    image = torch.arange(batch, device=cells.device)[:, None, None, None] * h
    index = (image + rows[..., :, None]) * w + columns[..., None, :]  # (B, N, side, side)
    window = cells.view(-1, channels)[index.flatten(2)]
    similarity = (window @ wanted[..., None])[..., 0]  # (B, N, side * side)
    inner = similarity.unflatten(-1, (side, side))[..., 1:-1, 1:-1].flatten(2)
    best, place = inner.max(-1)
    row, column = place // (side - 2) + 1, place % (side - 2) + 1
    step = torch.arange(-1, 2, device=cells.device)
    near = (step[:, None] * side + step).flatten()
    around = similarity.gather(2, (row * side + column)[..., None] + near)
    at = middle + torch.stack([column, row], -1) - radius + peak_shift(around.unflatten(-1, (3, 3)))
    return at.double(), torch.where(best >= around.amax(-1), best, -1.0)
