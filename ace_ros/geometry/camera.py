# SPDX-License-Identifier: Apache-2.0
"""Cameras: full intrinsic matrix, distortion, resizing about the image corner.

The centre of the top-left pixel is (0, 0), as in OpenCV and sensor_msgs/CameraInfo. The camera
frame is the optical frame: x right, y down, z forward.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ace_ros.errors import CameraError

MODELS = ("pinhole", "plumb_bob", "rational_polynomial", "equidistant")
COEFFICIENTS = {"pinhole": (0,), "plumb_bob": (4, 5), "rational_polynomial": (8,), "equidistant": (4,)}

# Rays farther than this from the optical axis have no place on the plane z = 1 that the loss and
# the solver work on.
MAX_RAY_ANGLE = math.radians(80.0)
RADIAL_SAMPLES = 1024  # of the angle to the axis, from which a distortion is inverted
NEWTON_STEPS = 5


@dataclass(frozen=True)
class Camera:
    """Intrinsics of one image, matrix (3, 3), or of B images of one size, matrix (B, 3, 3).

    `size` is (width, height) in pixels. `model` is one of MODELS; `distortion` (D,) or (B, D)
    holds its coefficients in OpenCV's order: k1 k2 p1 p2 [k3] for plumb_bob, k1 k2 p1 p2 k3 k4 k5
    k6 for rational_polynomial, k1 k2 k3 k4 for equidistant (fisheye). Raises CameraError.
    """

    matrix: Tensor
    size: tuple[int, int]
    model: str = "pinhole"
    distortion: Tensor | None = None

    def __post_init__(self) -> None:
        matrix = torch.as_tensor(self.matrix, dtype=torch.float64)
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "size", (int(self.size[0]), int(self.size[1])))
        if self.distortion is not None:
            distortion = torch.as_tensor(self.distortion, dtype=torch.float64)
            object.__setattr__(self, "distortion", distortion.to(matrix.device))
        self._check()

    def _check(self) -> None:
        K = self.matrix
        if K.shape[-2:] != (3, 3) or K.dim() not in (2, 3):
            raise CameraError(f"camera matrix must be (3, 3) or (B, 3, 3), got {tuple(K.shape)}")
        if not torch.isfinite(K).all():
            raise CameraError("camera matrix has values that are not finite numbers")
        if not (K[..., [0, 1], [0, 1]] > 0).all():
            raise CameraError("camera matrix has a focal length that is not above zero")
        if not (K[..., 2, :] == K.new_tensor([0.0, 0.0, 1.0])).all() or (K[..., 1, 0] != 0).any():
            raise CameraError("camera matrix must be [[fx, s, cx], [0, fy, cy], [0, 0, 1]]")
        if min(self.size) < 1:
            raise CameraError(f"image size must be positive, got {self.size}")
        if self.model not in MODELS:
            raise CameraError(f"camera model must be one of {', '.join(MODELS)}, got {self.model!r}")
        count = 0 if self.distortion is None else self.distortion.shape[-1]
        if count not in COEFFICIENTS[self.model]:
            expected = " or ".join(str(n) for n in COEFFICIENTS[self.model])
            raise CameraError(f"{self.model} camera needs {expected} distortion coefficients, got {count}")
        if self.distortion is not None and not torch.isfinite(self.distortion).all():
            raise CameraError("distortion has values that are not finite numbers")

    def to(self, device: torch.device | str) -> Camera:
        """Return the camera on a device."""
        distortion = None if self.distortion is None else self.distortion.to(device)
        return replace(self, matrix=self.matrix.to(device), distortion=distortion)

    def resize(self, width: int, height: int) -> Camera:
        """Return the camera of the same image resized to (width, height)."""
        sx, sy = width / self.size[0], height / self.size[1]
        # Scale about the image corner (-0.5, -0.5), not about the first pixel's centre.
        change = self.matrix.new_tensor(
            [[sx, 0.0, 0.5 * sx - 0.5], [0.0, sy, 0.5 * sy - 0.5], [0.0, 0.0, 1.0]]
        )
        return replace(self, matrix=change @ self.matrix, size=(width, height))

    def project(self, points: Tensor) -> Tensor:
        """Return the pixels (..., N, 2) of points (..., N, 3) in the camera frame.

        Points at or behind the camera plane (z <= 0) give NaN.
        """
        z = torch.where(points[..., 2:] > 0, points[..., 2:], torch.nan)
        return self._to_pixels(self._distort((points[..., :2] / z).to(self.matrix.dtype))).to(points.dtype)

    def unproject(self, pixels: Tensor) -> Tensor:
        """Return the rays (..., N, 2), as x and y on the plane z = 1, of pixels (..., N, 2).

        Every pixel that the model reaches has its ray, as far from the axis as the model moves pixels
        outwards with the angle; others, and those whose ray is more than MAX_RAY_ANGLE from the axis,
        give NaN.
        """
        K = self.matrix[..., None, :, :]
        xy = pixels.to(K.dtype) - K[..., :2, 2]
        y = xy[..., 1] / K[..., 1, 1]
        x = (xy[..., 0] - K[..., 0, 1] * y) / K[..., 0, 0]
        distorted = torch.stack([x, y], -1)
        rays = self._undistort(distorted)
        reached = (self._distort(rays) - distorted).abs().amax(-1, keepdim=True) < 1e-4
        reached &= rays.norm(dim=-1, keepdim=True) < math.tan(MAX_RAY_ANGLE)
        return torch.where(reached, rays, torch.nan).to(pixels.dtype)

    def undistort(self, pixels: Tensor) -> Tensor:
        """Return where a pinhole camera of the same matrix would see pixels (..., N, 2)."""
        if self.distortion is None:
            return pixels
        return self._to_pixels(self.unproject(pixels.to(self.matrix.dtype))).to(pixels.dtype)

    def pinhole(self) -> Camera:
        """Return the camera without its distortion: the one that sees `undistort`ed pixels."""
        return Camera(self.matrix, self.size)

    def _to_pixels(self, rays: Tensor) -> Tensor:
        K = self.matrix[..., None, :, :]
        x = K[..., 0, 0] * rays[..., 0] + K[..., 0, 1] * rays[..., 1] + K[..., 0, 2]
        y = K[..., 1, 1] * rays[..., 1] + K[..., 1, 2]
        return torch.stack([x, y], -1)

    def _distort(self, rays: Tensor) -> Tensor:
        if self.distortion is None:
            return rays
        if self.model == "equidistant":
            return rays * _equidistant_scale(rays, self.distortion)
        radial, tangential = _brown_conrady(rays, self.distortion)
        return rays * radial + tangential

    def _undistort(self, distorted: Tensor) -> Tensor:
        """Return the rays that `_distort` takes to `distorted` (..., N, 2), NaN where there is none."""
        if self.distortion is None:
            return distorted
        radius = distorted.norm(dim=-1, keepdim=True)
        direction = distorted / radius.clamp(min=1e-12)
        theta = _invert_increasing(self._radius, radius[..., 0])[..., None]
        if self.model == "equidistant":
            for _ in range(NEWTON_STEPS):
                value, slope = _equidistant_polynomial(theta, self.distortion)
                theta = theta - (value - radius) / slope.clamp(min=1e-6)
            return torch.mul(direction, torch.tan(theta))
        rays: Tensor = direction * torch.tan(theta)
        for _ in range(NEWTON_STEPS):
            rays = rays - _newton_step(rays, self._distort(rays) - distorted, self.distortion)
        return rays

    def _radius(self, theta: Tensor) -> Tensor:
        """Return at which radius (S,) or (B, S) from the axis rays at angles theta (S,) are seen.

        Without tangential distortion, which depends on the direction.
        """
        assert self.distortion is not None
        if self.model == "equidistant":
            return _equidistant_polynomial(theta[:, None], self.distortion)[0][..., 0]
        tan = torch.tan(theta)[:, None]
        return (tan * _radial_factor(tan * tan, self.distortion)[0])[..., 0]


def _invert_increasing(function: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    """Return the angles (..., N) at which a function has values (..., N), NaN where it never does.

    The function takes angles (S,) to (S,) or (B, S) and is 0 at 0; of it counts what comes before it first
    falls. The result is interpolated between samples.
    """
    theta = torch.linspace(0.0, MAX_RAY_ANGLE, RADIAL_SAMPLES, dtype=values.dtype, device=values.device)
    table = function(theta)
    rises = torch.cummin((table.diff(dim=-1) > 0).to(torch.uint8), dim=-1).values.bool()
    # What comes after stays a rising table, which no value finds: they would have to be infinite.
    table = torch.cat([table[..., :1], torch.where(rises, table[..., 1:], torch.inf)], -1)
    table = table.expand(*values.shape[:-1], -1) if table.dim() > 1 else table
    after = torch.searchsorted(table.contiguous(), values.contiguous()).clamp(1, RADIAL_SAMPLES - 1)
    low, high = (_pick(table, at) for at in (after - 1, after))
    share = (values - low) / (high - low)
    angle = theta[after - 1] + share * (theta[1] - theta[0])
    return torch.where(torch.isfinite(high) & (values <= high), angle, torch.nan)


def _pick(table: Tensor, index: Tensor) -> Tensor:
    return table[index] if table.dim() == 1 else table.gather(-1, index)


def _brown_conrady(rays: Tensor, distortion: Tensor) -> tuple[Tensor, Tensor]:
    """Return radial factor (..., 1) and tangential shift (..., 2) of OpenCV's polynomial models."""
    p1, p2, x, y, r2 = _tangential_terms(rays, distortion)
    shift_x = 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    shift_y = p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return _radial_factor(r2, distortion)[0], torch.cat([shift_x, shift_y], -1)


def _newton_step(rays: Tensor, error: Tensor, distortion: Tensor) -> Tensor:
    """Return by how much rays (..., N, 2) are off whose distorted places are off by `error` (..., N, 2)."""
    p1, p2, x, y, r2 = _tangential_terms(rays, distortion)
    radial, slope = _radial_factor(r2, distortion)
    # The Jacobian [[a, b], [b, c]] of the distortion; it is symmetric.
    a = radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x
    b = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
    c = radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x
    u, v = error[..., :1], error[..., 1:]
    return torch.cat([c * u - b * v, a * v - b * u], -1) / (a * c - b * b)


def _tangential_terms(rays: Tensor, distortion: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return p1 and p2, and x, y and the squared radius of rays, all (..., 1)."""
    p1, p2 = (c[..., None] for c in distortion[..., None, 2:4].unbind(-1))
    x, y = rays[..., :1], rays[..., 1:]
    return p1, p2, x, y, x * x + y * y


def _radial_factor(r2: Tensor, distortion: Tensor) -> tuple[Tensor, Tensor]:
    """Return the radial factor (..., 1) at squared radii (..., 1), and its derivative by them."""
    missing = 8 - distortion.shape[-1]
    k = torch.nn.functional.pad(distortion, (0, missing))[..., None, :]
    k1, k2, _, _, k3, k4, k5, k6 = (c[..., None] for c in k.unbind(-1))
    below = 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    factor = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / below
    slope = (k1 + r2 * (2 * k2 + 3 * k3 * r2) - factor * (k4 + r2 * (2 * k5 + 3 * k6 * r2))) / below
    return factor, slope


def _equidistant_polynomial(theta: Tensor, distortion: Tensor) -> tuple[Tensor, Tensor]:
    """Return theta_d and its derivative of Kannala-Brandt's model as in OpenCV's fisheye."""
    k1, k2, k3, k4 = (c[..., None] for c in distortion[..., None, :].unbind(-1))
    t2 = theta * theta
    value = theta * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))))
    slope = 1 + t2 * (3 * k1 + t2 * (5 * k2 + t2 * (7 * k3 + t2 * 9 * k4)))
    return value, slope


def _equidistant_scale(rays: Tensor, distortion: Tensor) -> Tensor:
    radius = rays.norm(dim=-1, keepdim=True)
    theta_d, _ = _equidistant_polynomial(torch.atan(radius), distortion)
    return torch.where(radius > 1e-9, theta_d / radius.clamp(min=1e-9), 1.0)
