# SPDX-License-Identifier: Apache-2.0
"""The depth of an image by a plane sweep over encoder features of it and of its neighbours.

The poses are known, so a feature at a hypothetical depth must look like the features that its
neighbours have at its projection (Collins, "A space-sweep approach to true multi-image matching",
CVPR 1996). A few dozen depths on a coarse grid find the place, a second look around the best one, between
the neighbours' cells, finds it to about a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ace_ros.geometry.camera import Camera
from ace_ros.geometry.se3 import inverse

CANDIDATES = 64  # depths, uniform in their inverse
NEAREST = 0.7  # smallest depth, in baselines of the farthest neighbour
FARTHEST = 50.0
FINE_CANDIDATES = 9  # from one coarse depth before the best one to one after it
MIN_FINE_SIMILARITY = 0.4  # a neighbour that shows nothing like it anywhere there has no say
MIN_SIMILARITY = 0.5  # cosine; below it a depth is a guess
CELL_STEP = 2  # every second feature cell each way


@dataclass(frozen=True)
class SweptImage:
    """What the sweep keeps of an image: features (C, h, w) of unit length, half precision, and its camera."""

    features: Tensor
    camera: Camera
    T_map_camera: Tensor


@dataclass(frozen=True)
class Swept:
    """Depths (gh, gw) of an image in metres, which of them are sure, and its largest baseline in metres."""

    depth: Tensor
    sure: Tensor
    baseline: float


def sweep(image: SweptImage, neighbours: list[SweptImage], baseline: float, stride: int) -> Swept:
    """Return the best depth of every coarse cell of an image; its farthest neighbour is `baseline` m away."""
    device = image.features.device
    inverse_depth = torch.linspace(1.0 / FARTHEST, 1.0 / NEAREST, CANDIDATES, device=device) / baseline
    coarse = image.features[:, ::CELL_STEP, ::CELL_STEP]
    gh, gw = coarse.shape[1:]
    anchors = coarse.flatten(1).T.float().contiguous()  # (n, C)
    rays = _rays(image.camera, gh, gw, stride, device)  # (n, 3)
    total = torch.zeros(CANDIDATES, gh * gw, device=device)
    count = torch.zeros_like(total)
    for other in neighbours:
        cells = _cells_at(inverse_depth[:, None], rays, image, other, stride)
        h, w = other.features.shape[1:]
        x, y = cells.round().unbind(-1)
        seen = (x >= 0) & (x < w) & (y >= 0) & (y < h)  # false for NaN, which is behind the camera
        nearest = torch.where(seen, y * w + x, 0.0).long()
        features = other.features.flatten(1).T.float().contiguous()
        # Depth after depth, what is gathered stays in a processor's cache; a product with all cells
        # takes eight times as long there.
        similarity = torch.stack([torch.linalg.vecdot(features[row], anchors) for row in nearest])
        total += torch.where(seen, similarity, 0.0)
        count += seen
    score = torch.where(count > 0, total / count.clamp(min=1), -1.0)
    best, choice = score.max(0)
    depth = (1.0 / inverse_depth)[choice].reshape(gh, gw)
    return Swept(depth, (best > MIN_SIMILARITY).reshape(gh, gw), baseline)


def _cells_at(
    inverse_depth: Tensor, rays: Tensor, image: SweptImage, other: SweptImage, stride: int
) -> Tensor:
    """Return where points on the rays (n, 3) of an image lie among another one's cells, (K, n, 2).

    `inverse_depth` is (K, 1) or (K, n). NaN behind the camera.
    """
    T = (inverse(other.T_map_camera) @ image.T_map_camera).float().to(rays.device)
    # A point at depth z is z R ray + t; divided by z, infinity is like any other depth.
    points = (rays @ T[:3, :3].T)[None] + inverse_depth[..., None] * T[:3, 3]
    pixels = other.camera.project(points.reshape(-1, 3)).reshape((*points.shape[:2], 2))
    return (pixels - (stride - 1) / 2) / stride


def refine(image: SweptImage, neighbours: list[SweptImage], found: Swept, stride: int) -> Swept:
    """Return the depths with the best match around those that were found, with `neighbours` near and far."""
    coarse = image.features[:, ::CELL_STEP, ::CELL_STEP]
    gh, gw = coarse.shape[1:]
    anchors, rays = coarse.flatten(1).float(), _rays(image.camera, gh, gw, stride, coarse.device)
    step = (1.0 / NEAREST - 1.0 / FARTHEST) / (CANDIDATES - 1) / found.baseline
    offsets = torch.linspace(-step, step, FINE_CANDIDATES, device=coarse.device)
    inverse_depth = (1.0 / found.depth.flatten() + offsets[:, None]).clamp(min=1e-2 * step)  # (K, n)
    total, count = torch.zeros_like(inverse_depth), torch.zeros_like(inverse_depth)
    for other in neighbours:
        cells = _cells_at(inverse_depth, rays, image, other, stride)
        h, w = other.features.shape[1:]
        span = cells.new_tensor([w - 1.0, h - 1.0])
        seen = ((cells >= 0) & (cells <= span)).all(-1)
        grid = torch.nan_to_num(2 * cells / span - 1)[None].float()
        features = F.grid_sample(other.features[None].float(), grid, align_corners=True)[0]  # (C, K, n)
        similarity = (F.normalize(features, dim=0) * anchors[:, None]).sum(0)
        heard = seen & (torch.where(seen, similarity, -1.0).amax(0) > MIN_FINE_SIMILARITY)
        total += torch.where(heard, similarity, 0.0)
        count += heard
    # Depths that fewer neighbours see than others would win by the best of them.
    score = torch.where((count > 0) & (count == count.amax(0)), total / count.clamp(min=1), -1.0)
    return replace(found, depth=1.0 / _peak(score, inverse_depth).reshape(gh, gw))


def _peak(score: Tensor, inverse_depth: Tensor) -> Tensor:
    """Return the inverse depths (n,) of the peak of scores (K, n): of a parabola through the best three.

    Where nothing is scored, the middle one.
    """
    middle = len(score) // 2
    best, choice = score.max(0)
    choice = torch.where(best > -1.0, choice, middle)
    inner = choice.clamp(1, len(score) - 2)
    left, top, right = (score.gather(0, (inner + i)[None])[0] for i in (-1, 0, 1))
    curved = (inner == choice) & (left > -1.0) & (right > -1.0) & (left + right < 2 * top)
    shift = 0.5 * (left - right) / torch.where(curved, left + right - 2 * top, 1.0)
    step = inverse_depth[-1] - inverse_depth[-2]
    found: Tensor = inverse_depth.gather(0, choice[None])[0] + torch.where(curved, shift, 0.0) * step
    return found


def _rays(camera: Camera, gh: int, gw: int, stride: int, device: torch.device) -> Tensor:
    """Return the rays (gh * gw, 3), depth 1, of coarse cells."""
    y, x = torch.meshgrid(torch.arange(gh, device=device), torch.arange(gw, device=device), indexing="ij")
    pixels = torch.stack([x, y], -1).reshape(-1, 2) * float(CELL_STEP * stride) + (stride - 1) / 2
    return F.pad(camera.unproject(pixels), (0, 1), value=1.0)
