# SPDX-License-Identifier: Apache-2.0
"""The front door of the pose solver: `solve_pose`."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ace_ros.compute.precision import full_precision
from ace_ros.compute.threads import one_thread
from ace_ros.config import RansacConfig
from ace_ros.geometry.camera import Camera
from ace_ros.pnp.accept import MIN_POINTS, Reason, refusal
from ace_ros.pnp.correspondences import Correspondences, prepare
from ace_ros.pnp.covariance import pose_covariance
from ace_ros.pnp.poses import CameraPoses
from ace_ros.pnp.ransac import Draws, Stage, search
from ace_ros.pnp.refine import errors, orthonormal

# Samples worked on at a time: one image's on a CPU, whose cache is small, some 32 images' on a GPU.
CHUNK_SAMPLES = {"cuda": 1 << 19}


@dataclass(frozen=True)
class PoseBatch:
    """Poses of B images with N correspondences each; where `ok` is False, pose and covariance are NaN.

    T_map_camera (B, 4, 4) float64; ok (B,) bool; inliers (B, N) bool; covariance (B, 6, 6) float64
    of (x, y, z, rotation about x, y, z), all about the map frame's axes as in
    geometry_msgs/PoseWithCovariance, in m and rad; reason (B,) uint8, values of `Reason`.
    """

    T_map_camera: Tensor
    ok: Tensor
    inliers: Tensor
    covariance: Tensor
    reason: Tensor


def solve_pose(
    pixels: Tensor,
    points: Tensor,
    cameras: Camera,
    config: RansacConfig,
    generator: torch.Generator | None = None,
    *,
    weights: Tensor | None = None,
    prior_T_map_camera: Tensor | None = None,
) -> PoseBatch:
    """Return the camera poses that explain pixels (B, N, 2) of points (B, N, 3) in the map frame.

    `cameras` hold one matrix for all images or one each. `generator` replaces the config's seed.
    `weights` (B, N) >= 0 say how much each correspondence counts. `prior_T_map_camera` (B, 4, 4)
    is where the cameras may be: one more hypothesis, which wins only if the points say so; NaN
    where nothing is known. Correspondences that are not finite are ignored. All arguments lie on
    one device, where the work is done. Raises ValueError, which names the argument, on a wrong
    shape, type or device.
    """
    check(pixels, points, cameras, weights, prior_T_map_camera)
    missing = max(0, MIN_POINTS - pixels.shape[1])
    if missing:
        pixels, points = _padded(pixels, missing), _padded(points, missing)
        weights = None if weights is None else _padded(weights, missing)
    draws = Draws(config.seed, generator, pixels.device)
    per_chunk = max(1, CHUNK_SAMPLES.get(pixels.device.type, 0) // config.hypotheses)
    parts = []
    with torch.no_grad(), full_precision(), one_thread(pixels.device):
        for first in range(0, max(1, len(pixels)), per_chunk):
            part = slice(first, first + per_chunk)
            parts.append(
                _solve_chunk(
                    pixels[part].double(),
                    points[part],
                    _some(cameras, part),
                    config,
                    draws,
                    None if weights is None else weights[part],
                    None if prior_T_map_camera is None else prior_T_map_camera[part],
                )
            )
    result = PoseBatch(*(torch.cat([getattr(p, f.name) for p in parts]) for f in fields(PoseBatch)))
    if missing:
        return PoseBatch(
            result.T_map_camera, result.ok, result.inliers[:, :-missing], result.covariance, result.reason
        )
    return result


def without(poses: PoseBatch, refused: Tensor, reason: Reason) -> PoseBatch:
    """Return poses of which those refused (B,) bool are none, for a reason."""
    return PoseBatch(
        T_map_camera=torch.where(refused[:, None, None], torch.nan, poses.T_map_camera),
        ok=poses.ok & ~refused,
        inliers=poses.inliers,
        covariance=torch.where(refused[:, None, None], torch.nan, poses.covariance),
        reason=torch.where(refused, int(reason), poses.reason).to(torch.uint8),
    )


def _solve_chunk(
    pixels: Tensor,
    points: Tensor,
    camera: Camera,
    config: RansacConfig,
    draws: Draws,
    weights: Tensor | None,
    prior_T_map_camera: Tensor | None,
) -> PoseBatch:
    seen = prepare(pixels, points, camera, weights)
    problem = CameraPoses(seen, config, draws, weighted=weights is not None)
    stages = (
        Stage(config.first_points, config.second_hypotheses),
        Stage(config.second_points, config.candidates),
        Stage(0, config.refined),
    )
    prior = None if prior_T_map_camera is None else to_prepared(prior_T_map_camera, seen)
    found, _ = search(problem, stages, prior)
    poses = problem.finish(found).unflatten(1, (3, 4))
    inliers = inliers_of(poses, seen, pixels, camera, config.inlier_px)
    covariance = pose_covariance(poses, seen, pixels, camera.size, config.inlier_px)
    sound = torch.isfinite(poses).all(-1).all(-1) & torch.isfinite(covariance).all(-1).all(-1)
    reason = refusal(pixels, inliers, seen.weights > 0, sound, camera.size, config)
    ok = reason == int(Reason.NONE)
    refused = ~ok[:, None, None]
    T = torch.where(refused, torch.nan, to_map(poses, seen))
    return PoseBatch(T, ok, inliers, torch.where(refused, torch.nan, covariance), reason)


def to_prepared(T_map_camera: Tensor, seen: Correspondences) -> Tensor:
    """Return poses (B, 1, 12) from prepared points to camera."""
    T = T_map_camera.double()
    R = T[:, :3, :3].transpose(1, 2)
    t = R @ ((seen.centre - T[:, :3, 3]) / seen.scale[:, None])[..., None]
    return orthonormal(torch.cat([R, t], 2)).flatten(1)[:, None]


def to_map(poses: Tensor, seen: Correspondences) -> Tensor:
    """Return T_map_camera (B, 4, 4) of poses (B, 3, 4) from prepared points to camera."""
    R = poses[..., :3].transpose(1, 2)
    T = torch.zeros(len(poses), 4, 4, dtype=poses.dtype, device=poses.device)
    T[:, :3, :3] = R
    T[:, :3, 3] = seen.centre - seen.scale[:, None] * (R @ poses[..., 3:])[..., 0]
    T[:, 3, 3] = 1.0
    return T


def inliers_of(
    poses: Tensor, seen: Correspondences, pixels: Tensor, camera: Camera, limit_px: float
) -> Tensor:
    """Return which points (B, N) lie before the camera and within the limit of their pixels."""
    at = errors(poses[:, None], seen)
    in_camera = at.turned[:, 0] + poses[..., 3:]
    off = camera.project(in_camera.transpose(1, 2)) - pixels
    # A distorted camera's polynomial can bring a far ray back to the pixel; its first order cannot.
    near: Tensor = (off.norm(dim=-1) < limit_px) & (at.square_px2[:, 0] < (2 * limit_px) ** 2)
    return near & (seen.weights > 0)


def _some(cameras: Camera, part: slice) -> Camera:
    """Return the cameras of some images."""
    shared = cameras.matrix.dim() == 2
    matrix = cameras.matrix[None] if shared else cameras.matrix[part]
    distortion = cameras.distortion
    if distortion is not None:
        distortion = distortion[None] if distortion.dim() == 1 else distortion[part]
    return Camera(matrix, cameras.size, cameras.model, distortion)


def _padded(values: Tensor, missing: int) -> Tensor:
    """Return values (B, N, ...) with NaN for correspondences that are missing."""
    filler = values.new_full((len(values), missing, *values.shape[2:]), torch.nan)
    return torch.cat([values, filler], 1)


def check(
    pixels: Tensor,
    points: Tensor,
    cameras: Camera,
    weights: Tensor | None,
    prior_T_map_camera: Tensor | None = None,
) -> None:
    """Raise ValueError, which names the argument, where the arguments of `solve_pose` do not fit together."""
    check_tensor("pixels", pixels, ("B", "N", 2), pixels)
    batch, count = pixels.shape[:2]
    check_tensor("points", points, (batch, count, 3), pixels)
    if weights is not None:
        check_tensor("weights", weights, (batch, count), pixels)
    if prior_T_map_camera is not None:
        check_tensor("prior_T_map_camera", prior_T_map_camera, (batch, 4, 4), pixels)
    check_tensor("cameras.matrix", cameras.matrix, cameras.matrix.shape, pixels)
    for name, values, dims in (("matrix", cameras.matrix, 3), ("distortion", cameras.distortion, 2)):
        if values is not None and values.dim() == dims and len(values) != batch:
            raise ValueError(f"cameras.{name} is of {len(values)} images, pixels are of {batch}")


def check_tensor(name: str, values: Tensor, shape: tuple[int | str, ...], like: Tensor) -> None:
    """Raise ValueError where an argument is not of a shape, of a floating-point type and on a device."""
    wrong = len(values.shape) != len(shape) or any(
        isinstance(e, int) and e != n for e, n in zip(shape, values.shape, strict=True)
    )
    if wrong:
        expected = ", ".join(str(s) for s in shape)
        raise ValueError(f"{name} must be ({expected}), got {tuple(values.shape)}")
    if not values.is_floating_point():
        raise ValueError(f"{name} must be of a floating-point type, got {values.dtype}")
    if values.device != like.device:
        raise ValueError(f"{name} must be on {like.device} like pixels, got {values.device}")
