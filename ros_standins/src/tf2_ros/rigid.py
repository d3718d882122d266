# SPDX-License-Identifier: Apache-2.0
"""Rigid transforms as a translation (x, y, z) and a unit quaternion (x, y, z, w)."""

from __future__ import annotations

import math
from typing import NamedTuple

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]


class Rigid(NamedTuple):
    """A transform that takes points of a child frame to its parent."""

    translation: Vector
    rotation: Quaternion

    def __matmul__(self, other: Rigid) -> Rigid:
        """Return the transform that applies `other` first."""
        moved = rotate(self.rotation, other.translation)
        x, y, z = (a + b for a, b in zip(self.translation, moved, strict=True))
        return Rigid((x, y, z), multiply(self.rotation, other.rotation))

    def inverse(self) -> Rigid:
        """Return the transform from parent to child."""
        x, y, z, w = self.rotation
        back = (-x, -y, -z, w)
        mx, my, mz = rotate(back, self.translation)
        return Rigid((-mx, -my, -mz), back)


IDENTITY = Rigid((0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))


def multiply(a: Quaternion, b: Quaternion) -> Quaternion:
    """Return the rotation that applies `b` first."""
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )


def rotate(q: Quaternion, v: Vector) -> Vector:
    """Return a rotated vector."""
    x, y, z, _ = multiply(multiply(q, (*v, 0.0)), (-q[0], -q[1], -q[2], q[3]))
    return (x, y, z)


def normalize(q: Quaternion) -> Quaternion:
    """Return the unit quaternion in the same direction."""
    length = math.sqrt(sum(c * c for c in q))
    x, y, z, w = (c / length for c in q)
    return (x, y, z, w)


def interpolate(a: Rigid, b: Rigid, share: float) -> Rigid:
    """Return the transform between two: linear in translation, slerp in rotation."""
    translation = combine(1.0 - share, a.translation, share, b.translation)
    return Rigid(translation, slerp(a.rotation, b.rotation, share))


def combine(m: float, a: tuple[float, ...], n: float, b: tuple[float, ...]) -> tuple[float, ...]:
    """Return m a + n b."""
    return tuple(m * p + n * q for p, q in zip(a, b, strict=True))


def slerp(a: Quaternion, b: Quaternion, share: float) -> Quaternion:
    """Return the rotation between two, on the shorter way."""
    dot = sum(p * q for p, q in zip(a, b, strict=True))
    if dot < 0.0:
        b, dot = (-b[0], -b[1], -b[2], -b[3]), -dot
    if dot > 1.0 - 1e-9:  # nearly equal: the sines below vanish, a chord is exact enough
        return normalize(combine(1.0 - share, a, share, b))
    angle = math.acos(dot)
    return normalize(combine(math.sin((1.0 - share) * angle), a, math.sin(share * angle), b))


def from_euler(roll: float, pitch: float, yaw: float) -> Quaternion:
    """Return the rotation about fixed axes x, y, z by angles in radians."""
    about_x = (math.sin(roll / 2), 0.0, 0.0, math.cos(roll / 2))
    about_y = (0.0, math.sin(pitch / 2), 0.0, math.cos(pitch / 2))
    about_z = (0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2))
    return multiply(about_z, multiply(about_y, about_x))
