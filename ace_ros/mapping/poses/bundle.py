# SPDX-License-Identifier: Apache-2.0
"""The equations of bundle adjustment: camera poses that put points on all their rays.

Each point is an inverse depth on the ray of one image. Gauss-Newton with the depths eliminated (the
Schur complement; Triggs et al., "Bundle adjustment, a modern synthesis", 1999) corrects all poses
and, if asked, the focal length, against what the odometry says (`odometry_prior`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ace_ros.geometry.se3 import nearest_rotation, skew, so3_exp
from ace_ros.mapping.poses.odometry_prior import OdometryPrior
from ace_ros.mapping.poses.tracks import Tracks

DEPTH_ROUNDS = 3  # for the depths alone before each step
# A match is off by 3 px, and its neighbours are off alike: only a tenth of them counts.
INFORMATION = 0.1 / 3.0**2
FOCAL_DEVIATION = 0.02  # of the logarithm of the focal length
CANDIDATES = 64  # inverse depths to start from, up to the nearest in baselines of the farthest neighbour
NEAREST, FARTHEST = 0.7, 50.0
MIN_DEPTH = 0.05  # along the axis, over the depth in the first image
EXPLAINED_PX = 4.0
SOLVER_ROUNDS, SOLVER_TOLERANCE = 300, 1e-4


@dataclass(frozen=True)
class State:
    """Rotations (I, 3, 3) and positions (I, 3) of all cameras, and the logarithm of the focal factor."""

    R: Tensor
    positions: Tensor
    log_focal: float


@dataclass(frozen=True)
class Seen:
    """Where i images' points (A each) should be seen in their K neighbours.

    error (i, A, K, 2) in pixels; weight (i, A, K) of the robust loss; by_point (i, A, K, 2, 3) the
    derivative of the error by the point in the map frame times its inverse depth; from_camera
    (i, A, 3) and between (i, A, K, 3) that point seen from the image and from the neighbour;
    baseline (i, K, 3) from the neighbour to the image.
    """

    error: Tensor
    weight: Tensor
    by_point: Tensor
    from_camera: Tensor
    between: Tensor
    baseline: Tensor


class Bundle:
    """Some rows of tracks, whose inverse depths (i, A) it holds, and their part of the equations."""

    def __init__(self, tracks: Tracks, focal_px: Tensor, rows: Tensor, state: State) -> None:
        self._images, self._neighbours = tracks.images[rows], tracks.neighbours[rows]
        self._rays, self._seen, self._found = tracks.rays[rows], tracks.seen[rows], tracks.found[rows]
        # A point that one neighbour sees tells little, and much that is false.
        self._found = self._found & (self._found.sum(-1, keepdim=True) >= 2)
        self._focal_px = focal_px[self._neighbours][:, None, :, None]  # (i, 1, K, 1)
        away = state.positions[self._images][:, None] - state.positions[self._neighbours]
        baseline = away.norm(dim=-1)  # (i, K)
        matched = self._found.any(1) | ~self._found.any(2).any(1)[:, None]
        self._unit = 1.0 / (baseline * matched).amax(1).clamp(min=1e-6)[:, None]  # (i, 1)
        self.inverse_depth = self._unit.expand(self._rays.shape[:2]).clone()
        # Whom the equations concern (i, 1 + K).
        self.star = torch.cat([self._images[:, None], self._neighbours], 1)

    def search_depths(self, state: State, width: float) -> None:
        """Give every track the best of many inverse depths and the one that it has."""
        shares = torch.linspace(1.0 / FARTHEST, 1.0 / NEAREST, CANDIDATES).tolist()
        candidates = [share * self._unit.expand_as(self.inverse_depth) for share in shares]
        least = torch.full_like(self.inverse_depth, torch.inf)
        for candidate in [self.inverse_depth, *candidates]:
            # The loss whose weight is that of `_look`; what cannot be seen costs as much as what is far off.
            seen = self._look(state, candidate, width)
            cost = ((1.0 - seen.weight.sqrt()) * self._found).sum(-1)
            better = cost < least
            least = torch.where(better, cost, least)
            self.inverse_depth = torch.where(better, candidate, self.inverse_depth)

    def triangulate(self, state: State, width: float) -> Seen:
        """Find all inverse depths anew; return where the points should be seen then."""
        self.search_depths(state, width)
        for _ in range(DEPTH_ROUNDS):
            self._fit_depths(state, width)
        return self._look(state, self.inverse_depth, width)

    def equations(self, state: State, width: float) -> tuple[Tensor, Tensor]:
        """Return the normal matrices (i, M, M) and gradients (i, M), the depths eliminated.

        M is 6 numbers for each image of the star, as in `OdometryPrior`, and the focal length's.
        """
        for _ in range(DEPTH_ROUNDS):
            self._fit_depths(state, width)
        seen = self._look(state, self.inverse_depth, width)
        root = (INFORMATION * seen.weight).sqrt()[..., None]
        J = self._jacobian(state, seen) * root[..., None]  # (i, A, K, 2, M)
        error = seen.error * root
        by_depth = self._by_depth(seen) * root
        square = by_depth.square().sum((2, 3)) + 1e-12  # (i, A)
        mixed = torch.einsum("iakxm,iakx->iam", J, by_depth)
        flat = J.flatten(1, 3)
        matrix = flat.mT @ flat - (mixed / square[..., None]).mT @ mixed
        slope = (by_depth * error).sum((2, 3)) / square
        gradient = (flat.mT @ error.flatten(1)[..., None])[..., 0] - (slope[..., None] * mixed).sum(1)
        return matrix, gradient

    def explained(self, state: State) -> tuple[int, int]:
        """Return how many matches are explained by a state, and how many there are."""
        seen = self.triangulate(state, EXPLAINED_PX)
        near = (seen.error.norm(dim=-1) < EXPLAINED_PX) & (seen.weight > 0)
        return int(near.sum()), int(self._found.sum())

    def _fit_depths(self, state: State, width: float) -> None:
        seen = self._look(state, self.inverse_depth, width)
        by_depth, weight = self._by_depth(seen), seen.weight[..., None]
        square = (weight * by_depth.square()).sum((2, 3))
        step = (weight * by_depth * seen.error).sum((2, 3)) / square.clamp(min=1e-12)
        old = self.inverse_depth
        self.inverse_depth = torch.maximum(torch.minimum(old - step, 1.4 * old), 0.7 * old)

    def _look(self, state: State, inverse_depth: Tensor, width: float) -> Seen:
        scale = math.exp(-state.log_focal)
        R = state.R[self._images]
        rays = torch.cat([scale * self._rays, torch.ones_like(self._rays[..., :1])], -1)
        from_camera = rays @ R.mT
        baseline = state.positions[self._images][:, None] - state.positions[self._neighbours]
        between = from_camera[:, :, None] + inverse_depth[..., None, None] * baseline[:, None]
        R_other = state.R[self._neighbours]
        in_other = torch.einsum("ikcb,iakc->iakb", R_other, between)
        depth = in_other[..., 2:].clamp(min=MIN_DEPTH)
        at = in_other[..., :2] / depth
        error = self._focal_px * (at - scale * self._seen)
        weight = (1.0 + error.square().sum(-1) / width**2) ** -2  # Geman and McClure's loss
        visible = self._found & (in_other[..., 2] > MIN_DEPTH)
        rows = R_other.mT[:, None]  # (i, 1, K, 3, 3)
        by_point = (rows[..., :2, :] - at[..., None] * rows[..., 2:, :]) * (self._focal_px / depth)[..., None]
        return Seen(error, torch.where(visible, weight, 0.0), by_point, from_camera, between, baseline)

    def _by_depth(self, seen: Seen) -> Tensor:
        """Return the derivative (i, A, K, 2) of the error by the inverse depth."""
        return torch.einsum("iakxc,ikc->iakx", seen.by_point, seen.baseline)

    def _jacobian(self, state: State, seen: Seen) -> Tensor:
        """Return the derivative (i, A, K, 2, M) of the error by corrections and log focal length."""
        by_shift = seen.by_point * self.inverse_depth[..., None, None, None]
        own = torch.cat([by_shift, -seen.by_point @ skew(seen.from_camera)[:, :, None]], -1)
        others = torch.cat([-by_shift, seen.by_point @ skew(seen.between)], -1)
        J = own.new_zeros(*own.shape[:-1], 6 * self.star.shape[1] + 1)
        J[..., :6] = own
        for k in range(self._neighbours.shape[1]):
            J[:, :, k, :, 6 * (k + 1) : 6 * (k + 2)] = others[:, :, k]
        scale = math.exp(-state.log_focal)
        ray = torch.cat([-scale * self._rays, torch.zeros_like(self._rays[..., :1])], -1)
        ray = ray @ state.R[self._images].mT
        moved = torch.einsum("iakxc,iac->iakx", seen.by_point, ray)
        J[..., -1] = moved + self._focal_px * scale * self._seen
        return J


def gauss_newton_step(
    state: State, bundles: list[Bundle], prior: OdometryPrior, width: float, with_focal: bool
) -> State:
    """Return the state after a step of Gauss-Newton."""
    parts = [bundle.equations(state, width) for bundle in bundles]
    matrix, gradient = (torch.cat(column) for column in zip(*parts, strict=True))
    star = torch.cat([bundle.star for bundle in bundles])
    focal = FOCAL_DEVIATION if with_focal else 0.0

    def gathered(rows: Tensor) -> Tensor:
        """Return rows (I, M) of all stars as a vector in steps of the prior and of the focal length."""
        total = rows.new_zeros(len(star), 6)
        total.index_add_(0, star.flatten(), rows[:, :-1].reshape(-1, 6))
        steps = prior.adjoint(total, state.positions)
        return torch.cat([steps.flatten(), focal * rows[:, -1].sum()[None]])

    def product(x: Tensor) -> Tensor:
        corrections = prior.corrections(x[:-1].view(-1, 6), state.positions)
        rows = torch.cat([corrections[star].flatten(1), (focal * x[-1]).expand(len(star), 1)], 1)
        return gathered((matrix @ rows[..., None])[..., 0]) + x

    so_far = torch.cat(
        [
            prior.deviations(state.R, state.positions).flatten(),
            gradient.new_tensor([state.log_focal / FOCAL_DEVIATION if with_focal else 0.0]),
        ]
    )
    x = _conjugate_gradients(product, -(gathered(gradient) + so_far))
    shift, turn = prior.corrections(x[:-1].view(-1, 6), state.positions).split(3, 1)
    return State(so3_exp(turn) @ state.R, state.positions + shift, state.log_focal + focal * float(x[-1]))


def _conjugate_gradients(product: Callable[[Tensor], Tensor], right: Tensor) -> Tensor:
    """Return x with product(x) = right, for a symmetric positive definite product."""
    x, residual, direction = torch.zeros_like(right), right, right
    square = target = residual @ residual
    for _ in range(SOLVER_ROUNDS):
        if not square > SOLVER_TOLERANCE**2 * target:
            break
        image = product(direction)
        share = square / (direction @ image)
        x = x + share * direction
        residual = residual - share * image
        last, square = square, residual @ residual
        direction = residual + square / last * direction
    return x


def without_gauge(state: State, recorded: State) -> State:
    """Return a state moved as a whole so that its mean rotation and position are the recorded ones."""
    turn = nearest_rotation((recorded.R @ state.R.mT).mean(0))
    moved = (state.positions - state.positions.mean(0)) @ turn.mT + recorded.positions.mean(0)
    return State(turn @ state.R, moved, state.log_focal)


def explained_share(bundles: list[Bundle], state: State) -> float:
    """Return the share of all matches that a state explains."""
    counts = [bundle.explained(state) for bundle in bundles]
    return sum(near for near, _ in counts) / max(1, sum(found for _, found in counts))
