# SPDX-License-Identifier: Apache-2.0
"""Rigid transforms as 4x4 matrices. `T_map_camera` takes points from camera to map."""

from __future__ import annotations

import torch
from torch import Tensor

SMALL_ANGLE_RAD = 1e-6  # below it sines are as long as their angles


def transform(T: Tensor, points: Tensor) -> Tensor:
    """Return points (..., N, 3) moved by transforms (..., 4, 4) or (..., 3, 4)."""
    return points @ T[..., :3, :3].transpose(-1, -2) + T[..., None, :3, 3]


def inverse(T: Tensor) -> Tensor:
    """Return the inverses of rigid transforms (..., 4, 4)."""
    R_inverse = T[..., :3, :3].transpose(-1, -2)
    result = torch.zeros_like(T)
    result[..., :3, :3] = R_inverse
    result[..., :3, 3] = -(R_inverse @ T[..., :3, 3:])[..., 0]
    result[..., 3, 3] = 1.0
    return result


def from_rotation_translation(R: Tensor, t: Tensor) -> Tensor:
    """Return transforms (..., 4, 4) of rotations (..., 3, 3) and translations (..., 3)."""
    top = torch.cat([R, t[..., None]], -1)
    bottom = top.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*top.shape[:-2], 1, 4)
    return torch.cat([top, bottom], -2)


def so3_exp(omega: Tensor) -> Tensor:
    """Return the rotations (..., 3, 3) of rotation vectors (..., 3) in radians (Rodrigues)."""
    R: Tensor = torch.linalg.matrix_exp(skew(omega))
    return R


def so3_log(R: Tensor) -> Tensor:
    """Return the rotation vectors (..., 3) in radians, up to pi long, of rotations (..., 3, 3)."""
    q = to_quaternion(R)
    sine = q[..., :3].norm(dim=-1, keepdim=True)
    angle = 2.0 * torch.atan2(sine, q[..., 3:])
    return q[..., :3] * torch.where(sine > 1e-12, angle / sine.clamp(min=1e-12), 2.0)


def skew(v: Tensor) -> Tensor:
    """Return the matrices (..., 3, 3) with skew(v) @ u = v x u."""
    x, y, z = v.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*v.shape[:-1], 3, 3)


def rotation_angle(R: Tensor) -> Tensor:
    """Return the angles (...,) in radians of rotations (..., 3, 3).

    atan2 and not acos: acos loses small angles in rounding.
    """
    cos = 0.5 * (R.diagonal(dim1=-2, dim2=-1).sum(-1) - 1.0)
    axis = torch.stack(
        [R[..., 2, 1] - R[..., 1, 2], R[..., 0, 2] - R[..., 2, 0], R[..., 1, 0] - R[..., 0, 1]], -1
    )
    return torch.atan2(0.5 * axis.norm(dim=-1), cos)


def from_quaternion(q_xyzw: Tensor) -> Tensor:
    """Return rotations (..., 3, 3) of quaternions (..., 4) in ROS order x, y, z, w, of any length > 0."""
    x, y, z, w = (q_xyzw / q_xyzw.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
        2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
        2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, -1).reshape(*q_xyzw.shape[:-1], 3, 3)


def to_quaternion(R: Tensor) -> Tensor:
    """Return unit quaternions (..., 4) in ROS order x, y, z, w, with w >= 0, of rotations (..., 3, 3).

    The eigenvector form (Bar-Itzhack, 2000) has no branch and no bad angle.
    """
    xx, xy, xz, yx, yy, yz, zx, zy, zz = R.flatten(-2).unbind(-1)
    rows = [
        xx - yy - zz, xy + yx, xz + zx, zy - yz,
        xy + yx, yy - xx - zz, yz + zy, xz - zx,
        xz + zx, yz + zy, zz - xx - yy, yx - xy,
        zy - yz, xz - zx, yx - xy, xx + yy + zz,
    ]  # fmt: skip
    K = torch.stack(rows, -1).reshape(*R.shape[:-2], 4, 4) / 3.0
    q = torch.linalg.eigh(K).eigenvectors[..., -1]
    return torch.where(q[..., 3:] < 0, -q, q)


def slerp(q_a: Tensor, q_b: Tensor, share: float) -> Tensor:
    """Return the unit quaternion (..., 4) at a share 0 to 1 of the shorter way from one to the other.

    At an even rate (Shoemake, 1985). The angle is that of the chords: acos loses small ones in rounding.
    """
    q_b = torch.where((q_a * q_b).sum(-1, keepdim=True) < 0, -q_b, q_b)  # q and -q are one rotation
    chord, other = ((q_b + sign * q_a).norm(dim=-1, keepdim=True) for sign in (-1, 1))
    angle = 2.0 * torch.atan2(chord, other)
    small = angle < SMALL_ANGLE_RAD
    sine = torch.where(small, 1.0, torch.sin(angle))
    first = torch.where(small, 1.0 - share, torch.sin((1.0 - share) * angle) / sine)
    second = torch.where(small, share, torch.sin(share * angle) / sine)
    q: Tensor = first * q_a + second * q_b
    unit: Tensor = q / q.norm(dim=-1, keepdim=True)
    return unit


def interpolate(T_a: Tensor, T_b: Tensor, share: float) -> Tensor:
    """Return the transforms (..., 4, 4) at a share 0 to 1 of the way: straight, and about one axis."""
    q = slerp(to_quaternion(T_a[..., :3, :3]), to_quaternion(T_b[..., :3, :3]), share)
    t = (1.0 - share) * T_a[..., :3, 3] + share * T_b[..., :3, 3]
    return from_rotation_translation(from_quaternion(q), t)


def rigid_defect(T: Tensor) -> Tensor:
    """Return how far (...,) matrices (..., 4, 4) are from rigid transforms; NaN for non-finite ones.

    The largest absolute entry of R Rᵀ - I, of the last row's error, or 2 for a reflection.
    """
    R = T[..., :3, :3]
    eye = torch.eye(3, dtype=T.dtype, device=T.device)
    orthogonal = (R @ R.transpose(-1, -2) - eye).abs().amax((-2, -1))
    bottom = (T[..., 3, :] - T.new_tensor([0.0, 0.0, 0.0, 1.0])).abs().amax(-1)
    reflected = 2.0 * (torch.linalg.det(R) < 0).to(T.dtype)
    return torch.maximum(torch.maximum(orthogonal, bottom), reflected) + 0.0 * T.sum((-2, -1))


def nearest_rotation(R: Tensor) -> Tensor:
    """Return the rotations (..., 3, 3) nearest to matrices (..., 3, 3) (Procrustes)."""
    U, _, Vh = torch.linalg.svd(R)
    sign = torch.ones_like(R[..., 0])
    sign[..., 2] = torch.linalg.det(U @ Vh)
    nearest: Tensor = (U * sign[..., None, :]) @ Vh
    return nearest
