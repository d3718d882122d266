# SPDX-License-Identifier: Apache-2.0
"""Camera poses as a problem for RANSAC: three points make hypotheses, all points judge them."""

from __future__ import annotations

import torch
from torch import Tensor

from ace_ros.config import RansacConfig
from ace_ros.pnp.correspondences import Correspondences
from ace_ros.pnp.p3p import depths_from_sides, norm, polish_depths, pose_from_depths, squared_sides
from ace_ros.pnp.ransac import Draws, distinct_ranks, spread_ranks
from ace_ros.pnp.refine import errors, refine
from ace_ros.pnp.score import projection_coefficients, soft_inliers

KEPT_PER_SAMPLE = 1.25  # poses kept per sample of three points; up to four solve it, mostly one or two
CHUNK_SAMPLES = {"cpu": 16384}  # samples at a time, to bound memory
LOCAL_POINTS = 256  # points that a candidate is refined on
WIDENING = 4.0, 1.5  # limits of an inlier around a pose that three noisy points made
LOCAL_STEPS, FINAL_ROUNDS, FINAL_STEPS = 2, 2, 2


class CameraPoses:
    """The poses of B images, as twelve numbers: the rows of [R t] from prepared points to camera."""

    def __init__(
        self, seen: Correspondences, config: RansacConfig, draws: Draws, weighted: bool = False
    ) -> None:
        """Take the correspondences. If `weighted`, heavier points are drawn more often."""
        self._seen, self._config, self._draws, self._weighted = seen, config, draws, weighted
        self._usable_first, self._count = _usable_first(seen.weights)

    def propose(self) -> Tensor:
        """Return hypotheses (B, M, 12) from samples of three points."""
        ones = torch.ones_like(self._seen.rays[:, :1])
        data = torch.cat([self._seen.rays, ones, self._seen.points], 1)  # (B, 6, N)
        chunk = CHUNK_SAMPLES.get(data.device.type, self._config.hypotheses)
        poses = [_poses_of_samples(data, some) for some in self._samples().split(chunk, 2)]
        return torch.cat(poses, 2).permute(1, 2, 0)

    def score(self, hypotheses: Tensor, data: int) -> Tensor:
        """Return the soft number of inliers (B, M) among about `data` points, 0 for all."""
        coefficients, weights = self._points_to_score(data)
        return soft_inliers(hypotheses, coefficients, weights)

    def refine(self, hypotheses: Tensor) -> Tensor:
        """Return hypotheses (B, k, 12) refined on some of the points that agree with them."""
        poses = hypotheses.unflatten(2, (3, 4))
        limit = self._config.inlier_px
        count = self._seen.weights.shape[1]
        near = errors(poses, self._seen).square_px2 < (WIDENING[0] * limit) ** 2
        near &= self._seen.weights[:, None] > 0
        order = self._draws.uniform(1, count).view(1, 1, count) - near.double()
        local = order.topk(min(LOCAL_POINTS, count), dim=2, largest=False).indices  # (B, k, n)
        seen = self._seen.pick_each(local)
        limits = tuple(w * limit for w in WIDENING)
        return refine(poses.flatten(0, 1)[:, None], seen, limits, LOCAL_STEPS).view(hypotheses.shape)

    def finish(self, poses: Tensor) -> Tensor:
        """Return poses (B, 12) refined on all points."""
        limits = (self._config.inlier_px,) * FINAL_ROUNDS
        return refine(poses.view(-1, 1, 3, 4), self._seen, limits, FINAL_STEPS).flatten(1)

    def _samples(self) -> Tensor:
        uniform = self._draws.uniform(3, self._config.hypotheses)
        if self._weighted:
            mass = self._seen.weights.cumsum(1)  # (B, N)
            wanted = uniform.flatten() * mass[:, -1:]
            index = torch.searchsorted(mass, wanted, right=True).clamp(max=mass.shape[1] - 1)
            return index.view(-1, *uniform.shape)
        ranks = distinct_ranks(uniform, self._count)  # (B, 3, S)
        return self._usable_first.gather(1, ranks.flatten(1)).view_as(ranks)

    def _points_to_score(self, data: int) -> tuple[Tensor, Tensor]:
        seen = self._seen
        if 0 < data < seen.weights.shape[1]:
            ranks = spread_ranks(self._draws.uniform(1, data)[0], self._count)
            seen = seen.pick(self._usable_first.gather(1, ranks))
        return projection_coefficients(seen, self._config.inlier_px), seen.weights


def _poses_of_samples(data: Tensor, sample: Tensor) -> Tensor:
    """Return poses (12, B, M) from samples (B, 3, S) of data (B, 6, N), rays and points."""
    batch, _, count = sample.shape
    picked = data.gather(2, sample.flatten(1)[:, None].expand(-1, 6, -1)).view(batch, 6, 3, count)
    picked = picked.permute(2, 1, 0, 3)  # (3 points, 6, B, S)
    rays, points = picked[:, :3], picked[:, 3:].contiguous()
    rays = (rays / norm(rays)[:, None]).contiguous()
    depths = depths_from_sides(squared_sides(rays), squared_sides(points))  # (3, 4, B, S)
    depths, index = _compact(depths, int(KEPT_PER_SAMPLE * count))  # (3, B, M), (B, M)
    rays, points = _take(rays, index), _take(points, index)
    depths, valid = polish_depths(depths, squared_sides(rays), squared_sides(points), 0)
    R, t = pose_from_depths(rays, points, torch.where(valid, depths, torch.nan))
    return torch.cat([R, t[:, None]], 1).flatten(0, 1)


def _usable_first(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return indices (B, N) with the usable first, each part in order, and their number (B,)."""
    usable = weights > 0
    count = usable.sum(1)
    place = torch.where(usable, usable.cumsum(1) - 1, (~usable).cumsum(1) - 1 + count[:, None])
    numbers = torch.arange(weights.shape[1], device=weights.device).expand_as(place)
    return torch.empty_like(place).scatter_(1, place, numbers), count


def _compact(depths: Tensor, keep: int) -> tuple[Tensor, Tensor]:
    """Return the first `keep` solutions (3, B, keep) of depths (3, 4, B, S), and their samples (B, keep).

    Solutions with a depth that is not above 0 are left out; slots that stay empty hold NaN.
    """
    samples = depths.shape[-1]
    a, b, c = depths
    sound = ((a > 0) & (b > 0) & (c > 0)).transpose(0, 1).flatten(1)  # (B, 4 S)
    rank = sound.cumsum(1) - 1
    slot = torch.where(sound & (rank < keep), rank, keep)
    numbers = torch.arange(4 * samples, device=depths.device).expand_as(slot)
    source = torch.full((len(slot), keep + 1), 4 * samples, device=depths.device)
    source = source.scatter_(1, slot, numbers)[:, :keep]
    flat = torch.nn.functional.pad(depths.transpose(1, 2).flatten(2), (0, 1), value=torch.nan)
    return flat.gather(2, source.expand(3, -1, -1)), source % samples


def _take(corners: Tensor, index: Tensor) -> Tensor:
    """Return corners (3, 3, B, M) of the samples with indices (B, M), from (3, 3, B, S)."""
    return corners.gather(3, index.expand(3, 3, -1, -1))
