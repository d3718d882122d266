# SPDX-License-Identifier: Apache-2.0
"""Correspondences in the form that the solver works on: rays, and points near the origin."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ace_ros.geometry.camera import Camera

RAY_STEP = 1e-4  # for the derivative of the camera model, on the plane z = 1


@dataclass(frozen=True)
class Correspondences:
    """N correspondences of B images, all float64; what cannot be used has weight 0 and is 0.

    rays (B, 2, N): where the pixel's ray meets the plane z = 1. jacobian (B, 2, 2, N): pixels by
    rays there, so that `jacobian @ (ray of a point - ray of its pixel)` is the error in pixels:
    exact without distortion, to first order with it. points (B, 3, N): in the map, less `centre`
    (B, 3), over `scale` (B,), so that half of them lie within 1 of the origin. weights (B, N).
    """

    rays: Tensor
    jacobian: Tensor
    points: Tensor
    weights: Tensor
    centre: Tensor
    scale: Tensor

    def pick(self, index: Tensor) -> Correspondences:
        """Return the correspondences with indices (B, n)."""
        return self.pick_each(index[:, None])

    def pick_each(self, index: Tensor) -> Correspondences:
        """Return B k sets of correspondences, with indices (B, k, n), as if of so many images."""
        k = index.shape[1]

        def chosen(values: Tensor) -> Tensor:
            inner = values.shape[1:-1]
            place = (slice(None), slice(None), *[None] * len(inner))
            wanted = index[place].expand(-1, -1, *inner, -1)
            return values[:, None].expand(-1, k, *inner, -1).gather(-1, wanted).flatten(0, 1)

        return Correspondences(
            rays=chosen(self.rays),
            jacobian=chosen(self.jacobian),
            points=chosen(self.points),
            weights=chosen(self.weights),
            centre=self.centre.repeat_interleave(k, 0),
            scale=self.scale.repeat_interleave(k, 0),
        )


def prepare(pixels: Tensor, points: Tensor, camera: Camera, weights: Tensor | None) -> Correspondences:
    """Return the correspondences of pixels (B, N, 2) and points (B, N, 3) with weights (B, N)."""
    pixels, points = pixels.double(), points.double()
    rays = camera.unproject(pixels)  # (B, N, 2)
    usable = torch.isfinite(rays).all(-1) & torch.isfinite(points).all(-1)
    if weights is None:
        weight = usable.double()
    else:
        weight = torch.where(usable & torch.isfinite(weights), weights.double(), 0.0).clamp(min=0.0)
    known = (weight > 0)[..., None]
    centre = torch.nan_to_num(torch.where(known, points, torch.nan).nanmedian(1).values)  # (B, 3)
    offset = torch.where(known, points - centre[:, None], 0.0)
    scale = torch.where(known[..., 0], offset.norm(dim=-1), torch.nan).nanmedian(1).values
    scale = torch.where(scale > 0, scale, 1.0)  # all equal, or none
    rays = torch.where(known, rays, 0.0)
    return Correspondences(
        rays.transpose(1, 2).contiguous(),
        ray_jacobian(camera, rays),
        (offset / scale[:, None, None]).transpose(1, 2).contiguous(),
        weight,
        centre,
        scale,
    )


def ray_jacobian(camera: Camera, rays: Tensor) -> Tensor:
    """Return the derivatives (B, 2, 2, N) of a camera's pixels by the rays (B, N, 2) that reach them."""
    if camera.distortion is None:
        matrix = camera.matrix[..., :2, :2].expand(len(rays), 2, 2)
        return matrix[..., None].expand(-1, -1, -1, rays.shape[1])
    columns = []
    for axis in range(2):
        step = torch.zeros(2, dtype=rays.dtype, device=rays.device)
        step[axis] = RAY_STEP
        ahead, behind = (_see(camera, rays + s) for s in (step, -step))
        columns.append((ahead - behind) / (2 * RAY_STEP))  # (B, N, 2)
    return torch.stack(columns, -1).permute(0, 2, 3, 1).contiguous()


def _see(camera: Camera, rays: Tensor) -> Tensor:
    return camera.project(torch.cat([rays, torch.ones_like(rays[..., :1])], -1))
