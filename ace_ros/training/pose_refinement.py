# SPDX-License-Identifier: Apache-2.0
"""Refine drifting mapping poses before a map is trained: bundle adjustment with an odometry prior.

Points that several images show (`tracks`) must lie on all their rays. Each point is an inverse
depth on the ray of one image; Gauss-Newton with the depths eliminated (the Schur complement; Triggs
et al., "Bundle adjustment, a modern synthesis", 1999) corrects all poses, and the focal length if
asked, against what the odometry says (`odometry_prior`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ace_ros.data.scene import Frame
from ace_ros.geometry.se3 import from_rotation_translation, nearest_rotation, skew, so3_exp
from ace_ros.network.encoder_file import LoadedEncoder
from ace_ros.network.input import network_size
from ace_ros.training.odometry_prior import OdometryPrior
from ace_ros.training.tracks import Tracks, encode_frame, find_tracks

logger = logging.getLogger(__name__)

# Widths of the robust loss in pixels: wide while poses are off, then narrower than the share of
# matches that are false. The focal length is told by what is left at the end.
WIDTHS_PX = (32.0, 16.0, 8.0, 4.0)
ROUNDS = 3  # of Gauss-Newton at each width
DEPTH_ROUNDS = 3  # for the depths alone before each of them
# A match is off by 3 px, and its neighbours are off alike: only a tenth of them counts.
INFORMATION = 0.1 / 3.0**2
FOCAL_DEVIATION = 0.02  # of the logarithm of the focal length
CANDIDATES = 64  # inverse depths to start from, up to the nearest in baselines of the farthest neighbour
NEAREST, FARTHEST = 0.7, 50.0
MIN_DEPTH = 0.05  # along the axis, over the depth in the first image
EXPLAINED_PX = 4.0
CHUNK = 32  # images whose equations are made at a time
SOLVER_ROUNDS, SOLVER_TOLERANCE = 300, 1e-4


@dataclass(frozen=True)
class RefinedPoses:
    """Refined T_map_camera (I, 4, 4) float64 of mapping images, and what the focal length was multiplied by.

    `explained_before` and `explained` are the shares of matches within EXPLAINED_PX of the
    recorded and of the refined poses.
    """

    T_map_camera: Tensor
    focal_factor: float
    explained_before: float
    explained: float

    def apply(self, frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
        """Return the frames with refined poses and focal lengths."""
        scale = torch.tensor([[self.focal_factor] * 2 + [1.0]] * 2 + [[1.0] * 3], dtype=torch.float64)
        return tuple(
            replace(f, T_map_camera=T, camera=replace(f.camera, matrix=f.camera.matrix * scale))
            for f, T in zip(frames, self.T_map_camera, strict=True)
        )


def refine_poses(
    frames: tuple[Frame, ...],
    encoder: LoadedEncoder,
    device: torch.device,
    refine_focal: bool = False,
    on_image: Callable[[int, int], None] = lambda done, total: None,
) -> RefinedPoses:
    """Return refined poses of frames that were recorded one after the other.

    The map frame stays where it was: the mean of all corrections is nothing. The scale is that of
    the recording, because images cannot tell it. Raises SceneError when an image cannot be read.
    """
    recorded = torch.stack([f.T_map_camera for f in frames])
    encoder.module.to(device, memory_format=torch.channels_last)
    tracks = find_tracks(recorded, lambda i: encode_frame(frames[i], encoder, device), on_image)
    cameras = [f.camera.resize(*network_size(*f.camera.size)) for f in frames]
    focal_px = torch.stack([c.matrix.diagonal()[:2].mean() for c in cameras])
    refined = adjust(recorded, tracks, focal_px, refine_focal)
    logger.info(
        "poses refined: %.0f %% of matches within %.0f px instead of %.0f %%, focal length times %.4f",
        100 * refined.explained, EXPLAINED_PX, 100 * refined.explained_before, refined.focal_factor,
    )  # fmt: skip
    return refined


@torch.no_grad()
def adjust(T_map_camera: Tensor, tracks: Tracks, focal_px: Tensor, refine_focal: bool) -> RefinedPoses:
    """Return the poses (I, 4, 4) float64 that explain tracks; `focal_px` (I,) are the focal lengths."""
    centre = T_map_camera[:, :3, 3].mean(0)
    state = _State(T_map_camera[:, :3, :3], T_map_camera[:, :3, 3] - centre, 0.0)
    recorded, prior = state, OdometryPrior(T_map_camera)
    chunks = [_Chunk(tracks, focal_px, part, state) for part in torch.arange(len(focal_px)).split(CHUNK)]
    for chunk in chunks:
        chunk.search_depths(state, WIDTHS_PX[0])
    for width in WIDTHS_PX:
        for _ in range(ROUNDS):
            state = _step(state, chunks, prior, width, refine_focal and width == WIDTHS_PX[-1])
    state = _without_gauge(state, recorded)
    explained, before = _explained(chunks, state), _explained(chunks, recorded)
    if not explained > before:
        logger.warning("poses not refined: the images do not show better ones than the recorded")
        return RefinedPoses(T_map_camera, 1.0, before, before)
    T = from_rotation_translation(state.R, state.positions + centre)
    return RefinedPoses(T, math.exp(state.log_focal), before, explained)


@dataclass(frozen=True)
class _State:
    """Rotations (I, 3, 3) and positions (I, 3) of all cameras, and the logarithm of the focal factor."""

    R: Tensor
    positions: Tensor
    log_focal: float


@dataclass(frozen=True)
class _Seen:
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


class _Chunk:
    """Some images with their tracks, whose inverse depths it holds, and their part of the equations."""

    def __init__(self, tracks: Tracks, focal_px: Tensor, images: Tensor, state: _State) -> None:
        self._images, self._neighbours = images, tracks.neighbours[images]
        self._rays, self._seen, self._found = tracks.rays[images], tracks.seen[images], tracks.found[images]
        # A point that one neighbour sees tells little, and much that is false.
        self._found = self._found & (self._found.sum(-1, keepdim=True) >= 2)
        self._focal_px = focal_px[self._neighbours][:, None, :, None]  # (i, 1, K, 1)
        away = state.positions[images][:, None] - state.positions[self._neighbours]
        self._unit = 1.0 / away.norm(dim=-1).amax(1).clamp(min=1e-6)[:, None]  # (i, 1)
        self._inverse_depth = self._unit.expand(self._rays.shape[:2]).clone()
        self.star = torch.cat([images[:, None], self._neighbours], 1)  # (i, 1 + K) whom the equations concern

    def search_depths(self, state: _State, width: float) -> None:
        """Give every track the best of many inverse depths and the one that it has."""
        shares = torch.linspace(1.0 / FARTHEST, 1.0 / NEAREST, CANDIDATES).tolist()
        candidates = [share * self._unit.expand_as(self._inverse_depth) for share in shares]
        least = torch.full_like(self._inverse_depth, torch.inf)
        for candidate in [self._inverse_depth, *candidates]:
            # The loss whose weight is that of `_look`; what cannot be seen costs as much as what is far off.
            seen = self._look(state, candidate, width)
            cost = ((1.0 - seen.weight.sqrt()) * self._found).sum(-1)
            better = cost < least
            least = torch.where(better, cost, least)
            self._inverse_depth = torch.where(better, candidate, self._inverse_depth)

    def equations(self, state: _State, width: float) -> tuple[Tensor, Tensor]:
        """Return the normal matrices (i, M, M) and gradients (i, M), the depths eliminated.

        M is 6 numbers for each image of the star, as in `OdometryPrior`, and the focal length's.
        """
        for _ in range(DEPTH_ROUNDS):
            self._fit_depths(state, width)
        seen = self._look(state, self._inverse_depth, width)
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

    def explained(self, state: _State) -> tuple[int, int]:
        """Return how many matches are explained by a state, and how many there are."""
        self.search_depths(state, EXPLAINED_PX)
        for _ in range(DEPTH_ROUNDS):
            self._fit_depths(state, EXPLAINED_PX)
        seen = self._look(state, self._inverse_depth, EXPLAINED_PX)
        near = (seen.error.norm(dim=-1) < EXPLAINED_PX) & (seen.weight > 0)
        return int(near.sum()), int(self._found.sum())

    def _fit_depths(self, state: _State, width: float) -> None:
        seen = self._look(state, self._inverse_depth, width)
        by_depth, weight = self._by_depth(seen), seen.weight[..., None]
        square = (weight * by_depth.square()).sum((2, 3))
        step = (weight * by_depth * seen.error).sum((2, 3)) / square.clamp(min=1e-12)
        old = self._inverse_depth
        self._inverse_depth = torch.maximum(torch.minimum(old - step, 1.4 * old), 0.7 * old)

    def _look(self, state: _State, inverse_depth: Tensor, width: float) -> _Seen:
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
        return _Seen(error, torch.where(visible, weight, 0.0), by_point, from_camera, between, baseline)

    def _by_depth(self, seen: _Seen) -> Tensor:
        """Return the derivative (i, A, K, 2) of the error by the inverse depth."""
        return torch.einsum("iakxc,ikc->iakx", seen.by_point, seen.baseline)

    def _jacobian(self, state: _State, seen: _Seen) -> Tensor:
        """Return the derivative (i, A, K, 2, M) of the error by corrections and log focal length."""
        by_shift = seen.by_point * self._inverse_depth[..., None, None, None]
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


def _step(
    state: _State, chunks: list[_Chunk], prior: OdometryPrior, width: float, with_focal: bool
) -> _State:
    """Return the state after a step of Gauss-Newton."""
    parts = [chunk.equations(state, width) for chunk in chunks]
    matrix, gradient = (torch.cat(column) for column in zip(*parts, strict=True))
    star = torch.cat([chunk.star for chunk in chunks])
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
    return _State(so3_exp(turn) @ state.R, state.positions + shift, state.log_focal + focal * float(x[-1]))


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


def _without_gauge(state: _State, recorded: _State) -> _State:
    """Return a state moved as a whole so that its mean rotation and position are the recorded ones."""
    turn = nearest_rotation((recorded.R @ state.R.mT).mean(0))
    moved = (state.positions - state.positions.mean(0)) @ turn.mT + recorded.positions.mean(0)
    return _State(turn @ state.R, moved, state.log_focal)


def _explained(chunks: list[_Chunk], state: _State) -> float:
    near, all_of_them = (sum(n) for n in zip(*(c.explained(state) for c in chunks), strict=True))
    return near / max(1, all_of_them)
