# SPDX-License-Identifier: Apache-2.0
"""Split the frames of a place too large for one head into chunks, one for each head.

The place is cut in two, again and again, by planes. Of all cuts that leave both sides balanced, the
one is taken that the fewest cameras look across: between two floors, or through the narrow part of a
corridor. Cameras that do look across, or stand near the cut, belong to both sides.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ace_ros.errors import ConfigError, SceneError

MIN_FRAMES = 4  # of a chunk
SLACK = 0.1  # share of a side's frames by which a cut may leave the balanced place
OVERLAP = 0.25  # frames from beyond a cut at most, as a share of a side's own
MARGIN = 0.35  # how near to a cut a camera counts as looking across, in units of the viewing depth
NEAR_SHARE = 0.9  # frames that say how a place lies; a few poses may be far off
# What one head is given where nobody says how many chunks: as large as this, or as few frames.
CHUNK_EXTENT_M, CHUNK_FRAMES, MAX_CHUNKS = 12.0, 60, 64


class _Cut(NamedTuple):
    """A plane `along @ x = at`; `left` of the frames that are cut lie below it."""

    crossing: int
    left: int
    along: Tensor
    at: float


def split_frames(T_map_camera: Tensor, chunks: int, depth_m: float) -> list[Tensor]:
    """Return the indices of each chunk's frames, in ascending order, of poses (F, 4, 4).

    `chunks` is their number; 0 takes as many as the extent of the place asks for. `depth_m` is how
    far away things typically are: what a camera sees is taken to lie there. The same poses always
    give the same chunks. Raises SceneError when there are too few frames for so many chunks.
    """
    frames = len(T_map_camera)
    if chunks < 0:
        raise ConfigError(f"the number of chunks must be at least 0, got {chunks}")
    if chunks > max(1, frames // MIN_FRAMES):
        raise SceneError(
            f"{frames} images cannot be split into {chunks} chunks; each needs {MIN_FRAMES} of its own"
        )
    T = T_map_camera.double().cpu()
    seen = T[:, :3, 3] + min(depth_m, _extent(T[:, :3, 3])) * T[:, :3, 2]
    splitter = _Splitter(torch.stack([T[:, :3, 3], seen], 1))
    everything = torch.arange(frames)
    found = splitter.split(everything, everything, chunks or splitter.wanted(everything, MAX_CHUNKS))
    return [part.sort().values for part in found]


class _Splitter:
    """Cuts sets of frames whose cameras stand at, and look at, `ends` (F, 2, 3)."""

    def __init__(self, ends: Tensor) -> None:
        self._ends, self._middle = ends, ends.mean(1)
        self._margin = MARGIN * float((ends[:, 1] - ends[:, 0]).norm(dim=-1).median())

    def wanted(self, own: Tensor, limit: int) -> int:
        """Return how many chunks a set of frames needs by its extent, `limit` at most."""
        chunks = math.ceil(_extent(self._middle[own]) / CHUNK_EXTENT_M)
        if min(chunks, limit) < 2 or len(own) < 2 * CHUNK_FRAMES:
            return 1
        left, right = self._halves(own, self._cut(own, 1, 1))
        return self.wanted(left, limit // 2) + self.wanted(right, limit // 2)

    def split(self, own: Tensor, shown: Tensor, chunks: int) -> list[Tensor]:
        """Return the frames of each chunk: of `own` each is in one, of `shown` also in its neighbours."""
        if chunks == 1:
            return [shown]
        few, many = chunks // 2, chunks - chunks // 2
        cut = self._cut(own, few, many)
        left, right = self._halves(own, cut)
        guests = shown[~torch.isin(shown, own)]
        at = self._middle[guests] @ cut.along
        left_shown = torch.cat([left, guests[at < cut.at], self._looking_across(right, cut, len(left))])
        right_shown = torch.cat([right, guests[at >= cut.at], self._looking_across(left, cut, len(right))])
        return self.split(left, left_shown, few) + self.split(right, right_shown, many)

    def _halves(self, own: Tensor, cut: _Cut) -> tuple[Tensor, Tensor]:
        order = own[(self._middle[own] @ cut.along).argsort(stable=True)]
        return order[: cut.left], order[cut.left :]

    def _looking_across(self, frames: Tensor, cut: _Cut, other: int) -> Tensor:
        """Return the frames on one side of a cut that also show the other one, of `other` frames."""
        low, high = (self._ends[frames] @ cut.along).aminmax(dim=1)
        across = frames[(low - self._margin < cut.at) & (high + self._margin > cut.at)]
        distance = (self._middle[across] @ cut.along - cut.at).abs()
        return across[distance.argsort(stable=True)[: math.ceil(OVERLAP * other)]]

    def _cut(self, own: Tensor, few: int, many: int) -> _Cut:
        """Return the best cut of some frames into parts for so many chunks."""
        cuts = [self._cut_along(own, axis, few, many) for axis in _axes(self._middle[own])]
        return min(cuts, key=lambda cut: cut.crossing)

    def _cut_along(self, own: Tensor, along: Tensor, few: int, many: int) -> _Cut:
        at = (self._middle[own] @ along).sort().values
        balanced = len(own) * few / (few + many)
        slack = SLACK * balanced
        first = max(few * MIN_FRAMES, math.ceil(balanced - slack))
        last = min(len(own) - many * MIN_FRAMES, math.floor(balanced + slack))
        first = min(first, last)
        lefts = torch.arange(first, last + 1)
        planes = 0.5 * (at[lefts - 1] + at[lefts])
        low, high = (self._ends[own] @ along).aminmax(dim=1)
        begun = torch.searchsorted((low - self._margin).sort().values, planes)
        ended = torch.searchsorted((high + self._margin).sort().values, planes, right=True)
        crossing = begun - ended
        # Among equals the most balanced.
        best = int((crossing + (lefts - balanced).abs() / len(own)).argmin())
        return _Cut(int(crossing[best]), int(lefts[best]), along, float(planes[best]))


def _axes(points: Tensor) -> Tensor:
    """Return directions (6, 3) to cut points (N, 3) along: their principal ones and the map's axes."""
    offset = points - points.median(0).values
    distance = offset.norm(dim=1)
    near = offset[distance <= distance.quantile(NEAR_SHARE)]
    near = near - near.mean(0)
    principal = torch.linalg.eigh(near.T @ near).eigenvectors.flip(1).T
    largest = principal.gather(1, principal.abs().argmax(1, keepdim=True))
    return torch.cat([principal * largest.sign(), torch.eye(3, dtype=points.dtype)])


def _extent(points: Tensor) -> float:
    """Return how long a set of points (N, 3) is in metres, without the few that lie far off."""
    along = points @ _axes(points)[:3].T
    low, high = along.quantile(along.new_tensor([0.5 - NEAR_SHARE / 2, 0.5 + NEAR_SHARE / 2]), dim=0)
    return float((high - low).max()) / NEAR_SHARE
