# SPDX-License-Identifier: Apache-2.0
"""Coarse depth of mapping images by a plane sweep over encoder features: where training starts.

The poses are known, so a feature at a hypothetical depth must look like the features that its
neighbours have at its projection (Collins, "A space-sweep approach to true multi-image matching",
CVPR 1996). A few dozen depths on a coarse grid find the place, a second look around the best one, between
the neighbours' cells, finds it to about a pixel. The reprojection loss does the rest, but from a
wrong depth it may end in a wrong place, or nowhere. Depth that was recorded takes the place of what the
sweep would find.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ace_ros.compute.threads import in_threads
from ace_ros.geometry.camera import Camera
from ace_ros.geometry.se3 import inverse
from ace_ros.mapping.neighbours import (
    NEIGHBOUR_RANKS,
    PROBED,
    RANK_FACTORS,
    distances,
    nearest_first,
)

CANDIDATES = 64  # depths, uniform in their inverse
NEAREST = 0.7  # smallest depth, in baselines of the farthest neighbour
FARTHEST = 50.0
MIN_BASELINE_SHARE = 0.12  # of the depth, for the farthest neighbour
FINE_RANKS = (1, 2, 3, 4, 6, 8)  # of the second look
FINE_CANDIDATES = 9  # from one coarse depth before the best one to one after it
MIN_FINE_SIMILARITY = 0.4  # a neighbour that shows nothing like it anywhere there has no say
MAX_TURN_DEG = 45.0  # between the viewing directions of neighbours
MIN_SIMILARITY = 0.5  # cosine; below it a depth is a guess
CELL_STEP = 2  # every second feature cell each way
MAX_SWEPT = 250  # images; what the others show was mostly seen by these
RECORDED_ENOUGH = 0.9  # share of the cells; where more have recorded depth, an image is not swept
MAX_CONTRADICTION = 1.25  # of swept and recorded depths, in the median; beyond it the sweep met nothing


@dataclass(frozen=True)
class SweptImage:
    """What the sweep keeps of an image: features (C, h, w) of unit length, half precision, and its camera."""

    features: Tensor
    camera: Camera
    T_map_camera: Tensor


@dataclass(frozen=True)
class DepthMap:
    """Depths (gh, gw) along the optical axis in metres, of squares of `cell_px` pixels of an image."""

    depth_m: Tensor
    cell_px: int

    def at(self, pixels: Tensor) -> Tensor:
        """Return the depths (n,) at pixels (n, 2) of the image."""
        cell = (pixels / self.cell_px).long().to(self.depth_m.device)
        x = cell[:, 0].clamp(0, self.depth_m.shape[1] - 1)
        y = cell[:, 1].clamp(0, self.depth_m.shape[0] - 1)
        return self.depth_m[y, x]


def sweep_depths(
    T_map_camera: Tensor,
    image_of: Callable[[int], SweptImage],
    stride: int,
    fallback_m: float,
    device: torch.device,
    on_image: Callable[[int], None] = lambda done: None,
    recorded: Sequence[Tensor | None] = (),
) -> list[DepthMap]:
    """Return the depths of each of I images.

    T_map_camera is (I, 4, 4). `recorded` has for every image, or for none, the recorded depths
    (h, w) of its feature cells in metres, 0 where there is none, or None: they are taken as they
    are. Where nothing is recorded and nothing matches, depths are filled in from around; an image
    that no other one overlaps has the median of the scene, and a scene without any match
    `fallback_m`. Of more than MAX_SWEPT images some are left out; they have the map of the nearest
    one that was not. Several threads call `image_of`, whose features are on `device`; `on_image` is
    called with the images swept.
    """
    recorded = recorded or [None] * len(T_map_camera)
    swept = swept_images(recorded)
    sweeper = _Sweeper(T_map_camera, image_of, stride, device)
    sweeper.choose_ranks(swept[:: max(1, len(swept) // PROBED)])
    maps = {i: _recorded_map(d, stride) for i, d in enumerate(recorded) if d is not None and (d > 0).any()}
    known = [d[d > 0] for d in recorded if d is not None]
    for done, (index, found) in enumerate(zip(swept, sweeper.depths(swept), strict=True)):
        if found is not None:
            maps[index] = _swept_map(found.depth, found.sure, recorded[index], stride)
            known.append(found.depth[found.sure].cpu())
        on_image(done + 1)
    median = float(torch.cat(known).median()) if maps else fallback_m
    default = DepthMap(torch.full((1, 1), median), stride)
    sources = torch.tensor(sorted(maps), dtype=torch.long)
    return [maps.get(_source(T_map_camera, i, sources), default) for i in range(len(T_map_camera))]


def swept_images(recorded: Sequence[Tensor | None]) -> list[int]:
    """Return which images are swept: every one, or every n-th of many, that too little is recorded of."""
    images = range(0, len(recorded), max(1, -(-len(recorded) // MAX_SWEPT)))
    return [i for i in images if _recorded_share(recorded[i]) < RECORDED_ENOUGH]


def _recorded_share(recorded: Tensor | None) -> float:
    return 0.0 if recorded is None else float((recorded > 0).float().mean())


def _recorded_map(recorded: Tensor, stride: int) -> DepthMap:
    """Return the map of an image of which nothing but recorded depths (h, w) is known."""
    return DepthMap(_fill(recorded, recorded > 0), stride)


def _swept_map(depth: Tensor, sure: Tensor, recorded: Tensor | None, stride: int) -> DepthMap:
    """Return the map of an image with swept depths (gh, gw), some of them sure, and recorded ones (h, w)."""
    if recorded is None:
        return DepthMap(_fill(depth, sure), CELL_STEP * stride)
    h, w = recorded.shape
    recorded = recorded.to(depth.device)
    fine = [x.repeat_interleave(CELL_STEP, 0).repeat_interleave(CELL_STEP, 1)[:h, :w] for x in (depth, sure)]
    swept, sure = fine
    is_recorded = recorded > 0
    both = is_recorded & sure
    # Without parallax everything matches at any depth. What was recorded tells when that is so.
    if both.any() and (swept[both] / recorded[both]).log().abs().median() > math.log(MAX_CONTRADICTION):
        sure = torch.zeros_like(sure)
    return DepthMap(_fill(torch.where(is_recorded, recorded, swept), sure | is_recorded), stride)


@dataclass(frozen=True)
class _Swept:
    """Depths (gh, gw) of an image in metres, which of them are sure, and its largest baseline in metres."""

    depth: Tensor
    sure: Tensor
    baseline: float


class _Sweeper:
    """Sweeps images against their neighbours."""

    def __init__(
        self,
        T_map_camera: Tensor,
        image_of: Callable[[int], SweptImage],
        stride: int,
        device: torch.device,
    ) -> None:
        self._T, self._image_of, self._stride, self._device = T_map_camera, image_of, stride, device
        self._factor = 1

    def choose_ranks(self, probed: Sequence[int]) -> None:
        """Take neighbours from so far away that depths can be told apart."""
        for factor in RANK_FACTORS:
            self._factor = factor
            swept = in_threads(self.sweep, probed, self._device)
            found = [f for f in swept if f is not None and f.sure.any()]
            shares = [f.baseline / float(f.depth[f.sure].median()) for f in found]
            if not shares or sorted(shares)[len(shares) // 2] > MIN_BASELINE_SHARE:
                return

    def depths(self, indices: Sequence[int]) -> Iterator[_Swept | None]:
        """Yield the depths of images, found more exactly; None if none of an image is sure."""
        return in_threads(self._depths, indices, self._device)

    def _depths(self, index: int) -> _Swept | None:
        found = self.sweep(index)
        if found is None or not found.sure.any():
            return None
        return replace(found, depth=self.refine(index, found))

    def sweep(self, index: int) -> _Swept | None:
        """Return the depths of an image; None if it has no neighbours."""
        distance = distances(self._T, index, MAX_TURN_DEG)
        neighbours = self._neighbours(distance, NEIGHBOUR_RANKS)
        if not neighbours:
            return None
        baseline = float(distance[neighbours[-1]])
        images = [self._image_of(j) for j in neighbours]
        return _Swept(*_sweep(self._image_of(index), images, baseline, self._stride), baseline)

    def refine(self, index: int, found: _Swept) -> Tensor:
        """Return the depths (gh, gw) of an image that was swept, found more exactly."""
        neighbours = self._neighbours(distances(self._T, index, MAX_TURN_DEG), FINE_RANKS)
        images = [self._image_of(j) for j in neighbours]
        return _refine(self._image_of(index), images, found, self._stride)

    def _neighbours(self, distance: Tensor, ranks: tuple[int, ...]) -> list[int]:
        """Return the images of some ranks by their distances (I,), the nearest first."""
        ordered = nearest_first(distance)
        places = {min(rank * self._factor, len(ordered)) - 1 for rank in ranks}
        return [ordered[place] for place in sorted(places)] if ordered else []


def _source(T_map_camera: Tensor, index: int, swept: Tensor) -> int | None:
    """Return which of the swept images lends its depths to image `index`."""
    distance = distances(T_map_camera, index, MAX_TURN_DEG)[swept]
    return int(swept[distance.argmin()]) if len(swept) and torch.isfinite(distance.min()) else None


def _sweep(
    image: SweptImage, neighbours: list[SweptImage], baseline: float, stride: int
) -> tuple[Tensor, Tensor]:
    """Return the best depth (gh, gw) of every coarse cell, and whether it is sure."""
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
    return depth, (best > MIN_SIMILARITY).reshape(gh, gw)


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


def _refine(image: SweptImage, neighbours: list[SweptImage], found: _Swept, stride: int) -> Tensor:
    """Return the depths (gh, gw) with the best match around those that were found."""
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
    return 1.0 / _peak(score, inverse_depth).reshape(gh, gw)


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


def _fill(depth: Tensor, sure: Tensor) -> Tensor:
    """Return depths (gh, gw) with those that are not sure replaced by what is around them."""
    inverse_depth, weight = (1.0 / torch.where(sure, depth, 1.0))[None, None], sure.float()[None, None]
    filled, known = inverse_depth * weight, weight
    while not (known > 0).all():
        around = F.avg_pool2d(known, 3, 1, 1)
        spread = F.avg_pool2d(filled * known, 3, 1, 1) / around.clamp(min=1e-9)
        filled = torch.where(known > 0, filled, spread)
        known = (around > 0).float()
    return 1.0 / filled[0, 0]
