# SPDX-License-Identifier: Apache-2.0
"""Which pixels of different mapping images show the same point, by the encoder's features."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ace_ros.compute.precision import autocast
from ace_ros.compute.threads import in_threads
from ace_ros.landmarks.peaks import best_cells, peak_shift
from ace_ros.mapping.encoded_images import EncodedImages
from ace_ros.mapping.neighbours import NEIGHBOUR_RANKS, distances, nearest_first

TRACKS = 256  # points followed from an image
CELL_STEP = 2  # every second feature cell each way, and of these one in two, may begin a track
REVISIT = 4.0  # images are of another visit if the way between them is so many times their distance
MAX_TURN_DEG = 50.0  # between the viewing directions of neighbours
MIN_SIMILARITY = 0.6  # cosine


class ImageFeatures(NamedTuple):
    """Features (C, h, w) of unit length, half precision, and the rays (h * w, 2) of their cells.

    Rays are float32 x and y on the plane z = 1, NaN where the camera has none.
    """

    features: Tensor
    rays: Tensor


@dataclass(frozen=True)
class Tracks:
    """A points of each of J images, and where K other images see them.

    images (J,) and neighbours (J, K) int64 say which ones of all images; rays (J, A, 2) and seen
    (J, A, K, 2) float64 are x and y on the plane z = 1; found (J, A, K) bool, false where a
    neighbour does not show the point; features (J, A, C) float16 are those of the points in
    their own images, of unit length.
    """

    images: Tensor
    neighbours: Tensor
    rays: Tensor
    seen: Tensor
    found: Tensor
    features: Tensor


def find_tracks(
    images: EncodedImages,
    on_image: Callable[[int, int], None] = lambda done, total: None,
    chosen: Tensor | None = None,
    count: int = TRACKS,
    rank_factor: int = 1,
) -> Tracks:
    """Return `count` tracks each, on the CPU, of images whose poses are roughly known.

    Matches are the most similar cells of two images in both directions, the position in the
    neighbour by a quadratic between its cells. The poses only choose the neighbours. `chosen` (J,)
    are those whose points are followed, all by default; for `rank_factor` see `choose_neighbours`.
    Raises SceneError when an image cannot be read.
    """
    chosen = torch.arange(len(images)) if chosen is None else chosen
    neighbours = choose_neighbours(images.T_map_camera, chosen, rank_factor)

    def seen_in(index: int) -> ImageFeatures:
        return ImageFeatures(images.features(index).unit, images.rays(index))

    def tracks_of(place: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        index = int(chosen[place])
        others = [seen_in(j) if j >= 0 else None for j in neighbours[place].tolist()]
        return _tracks_of(seen_in(index), others, index, count)

    columns = []
    for row in in_threads(tracks_of, range(len(chosen)), images.device):
        columns.append(row)
        on_image(len(columns), len(chosen))
    return Tracks(chosen, neighbours.clamp(min=0), *(torch.stack(c) for c in zip(*columns, strict=True)))


def choose_neighbours(T_map_camera: Tensor, images: Tensor, rank_factor: int = 1) -> Tensor:
    """Return for images (J,) the K other ones (J, K) to look for their points in, -1 where there are fewer.

    T_map_camera (I, 4, 4) are the poses of all, in the order of the drive. Half of the neighbours
    are of another visit, where there are such: what the robot sees when it comes back is what tells
    of drift; the others are of all. Ranks by distance are multiplied by `rank_factor`, where images
    are close together.
    """
    position = T_map_camera[:, :3, 3]
    steps = (position[1:] - position[:-1]).norm(dim=-1)
    way = torch.cat([steps.new_zeros(1), steps.cumsum(0)])
    ranks = [rank * rank_factor for rank in NEIGHBOUR_RANKS]
    count = 2 * len(ranks)
    rows = []
    for i in images.tolist():
        distance = distances(T_map_camera, i, MAX_TURN_DEG)
        again = torch.where((way - way[i]).abs() > REVISIT * distance, distance, torch.inf)
        row: list[int] = []
        for group in (again, distance):
            ordered = nearest_first(group)[: ranks[-1] + len(row)]
            ordered = [j for j in ordered if j not in row]
            row += [ordered[rank - 1] for rank in ranks if rank <= len(ordered)]
        rows.append(row + [-1] * (count - len(row)))
    return torch.tensor(rows)


def _tracks_of(
    image: ImageFeatures, others: list[ImageFeatures | None], seed: int, count: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return rays, seen, found and features of one image: of random cells those with most matches."""
    h, w = image.features.shape[1:]
    y, x = torch.meshgrid(torch.arange(0, h, CELL_STEP), torch.arange(0, w, CELL_STEP), indexing="ij")
    cells = (y * w + x)[(y + x) % (2 * CELL_STEP) == 0]  # as on a chessboard
    cells = cells[torch.isfinite(image.rays[cells].cpu()).all(-1)]
    anchors = image.features.flatten(1).T[cells.to(image.features.device)]
    seen = torch.full((len(cells), len(others), 2), math.nan, dtype=torch.float64)
    for k, other in enumerate(others):
        if other is not None:
            seen[:, k] = _match(anchors, other).double().cpu()
    found = torch.isfinite(seen).all(-1)
    shuffled = torch.randperm(len(cells), generator=torch.Generator().manual_seed(seed))
    # Three matches are enough to prefer a point; more would prefer what lies in the middle of the scene.
    order = found.sum(-1).clamp(max=3)[shuffled].argsort(descending=True, stable=True)[:count]
    kept = shuffled[order]
    missing = count - len(kept)
    return (
        F.pad(image.rays[cells[kept]].double().cpu(), (0, 0, 0, missing)),
        F.pad(seen[kept].nan_to_num(0.0), (0, 0, 0, 0, 0, missing)),
        F.pad(found[kept], (0, 0, 0, missing)),
        F.pad(anchors.cpu()[kept], (0, 0, 0, missing)),
    )


def _match(anchors: Tensor, other: ImageFeatures) -> Tensor:
    """Return the rays (A, 2) at which another image shows anchors (A, C), NaN where it does not."""
    h, w = other.features.shape[1:]
    with autocast(anchors.device):
        similarity = (anchors.float() @ other.features.flatten(1).float()).float()  # (A, h * w)
    best, cell, mutual = best_cells(similarity.view(-1, h, w))
    inside = (cell % w > 0) & (cell % w < w - 1) & (cell // w > 0) & (cell // w < h - 1)
    cell = torch.where(inside, cell, w + 1)
    near = cell[:, None] + torch.tensor([-w - 1, -w, -w + 1, -1, 0, 1, w - 1, w, w + 1], device=cell.device)
    # Half precision finds the cell, but not the place within it.
    around = other.features.flatten(1).T[near].float() @ anchors.float()[..., None]  # (A, 9, 1)
    shift = peak_shift(around.view(-1, 3, 3))
    at = other.rays[cell]
    for axis, step in enumerate((1, w)):
        at = at + 0.5 * shift[:, axis, None] * (other.rays[cell + step] - other.rays[cell - step])
    good = mutual & inside & (best > MIN_SIMILARITY)
    return torch.where(good[:, None], at, torch.nan)
