# SPDX-License-Identifier: Apache-2.0
"""Where a scene lies and how large it is, so that its head learns numbers of order one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ace_ros.data.scene import Frame
from ace_ros.geometry.se3 import inverse
from ace_ros.mapping.features.buffer import FeatureBuffer
from ace_ros.network.input import network_size
from ace_ros.network.loss import Views

SAMPLE = 20_000


@dataclass(frozen=True)
class Extent:
    """The middle (3,) float64 of what the cameras see, in the map frame, and its radius in metres."""

    centre: Tensor
    radius_m: float


def local_views(frames: tuple[Frame, ...], centre: Tensor, device: torch.device) -> Views:
    """Return the frames' views relative to a centre (3,) float64, in float32."""
    T_local_camera = torch.stack([f.T_map_camera for f in frames])
    T_local_camera[:, :3, 3] -= centre
    cameras = [f.camera.resize(*network_size(*f.camera.size)) for f in frames]
    K = torch.stack([c.matrix for c in cameras])
    return Views(
        inverse(T_local_camera)[:, :3].float().to(device),
        K.float().to(device),
        torch.linalg.inv(K).float().to(device),
    )


def scene_extent(frames: tuple[Frame, ...], buffer: FeatureBuffer, seed: int) -> Extent:
    """Return the extent of what features show, by the depths that the plane sweep found."""
    cameras = torch.stack([f.T_map_camera[:3, 3] for f in frames])
    near = cameras.mean(0)  # float32 is good around the cameras, not around a distant origin
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(buffer), generator=generator)[:SAMPLE].to(buffer.device)
    views = local_views(frames, near, buffer.device)
    image = buffer.image[rows]
    rays = (views.K_inverse[image] @ F.pad(buffer.pixels[rows], (0, 1), value=1.0)[..., None])[..., 0]
    in_camera = rays * buffer.depth_m[rows, None]
    T = views.T_camera_map[image]
    points = (T[:, :, :3].mT @ (in_camera - T[:, :, 3])[..., None])[..., 0]
    middle = points.median(0).values
    radius = float((points - middle).norm(dim=-1).median())
    return Extent(near + middle.double().cpu(), max(radius, 1e-3))
