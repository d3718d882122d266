# SPDX-License-Identifier: Apache-2.0
"""Measure the landmarks of a place: points that mapping images with known poses agree about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ace_ros.config import TrainingConfig
from ace_ros.data.scene import Frame
from ace_ros.network.encoder_file import LoadedEncoder
from ace_ros.network.input import network_size
from ace_ros.network.landmarks import Landmarks, no_landmarks, quantised
from ace_ros.pnp.solve import one_thread
from ace_ros.training.bundle import Bundle, State
from ace_ros.training.tracks import Tracks, encode_frame, find_tracks

WIDTH_PX = 4.0  # of the robust loss that triangulates
AGREED_PX = 2.5  # largest error of a match that counts
MIN_IMAGES = 2  # that agree with the one whose point it is
ENOUGH_IMAGES = 3  # more would prefer what lies in the middle of the scene
MIN_PARALLAX = 0.05  # longest baseline of them over the depth
SPARE = 2.5  # tracks followed for every landmark wanted; a half to two thirds are good
TRACKS = 64, 512  # of an image, at least and at most
ROWS = 32  # images whose points are triangulated at a time


class Survey:
    """Tracks through the images of a place, from which landmarks are made."""

    def __init__(
        self,
        frames: tuple[Frame, ...],
        encoder: LoadedEncoder,
        config: TrainingConfig,
        device: torch.device,
        on_image: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Match images of frames whose poses are known. Raises SceneError when one cannot be read."""
        self._frames, self._config = frames, config
        self._tracks: Tracks | None = None
        if not config.landmarks:
            return
        count = min(len(frames), config.landmark_images)
        images = torch.linspace(0, len(frames) - 1, count).round().long()
        per_image = round(min(max(SPARE * config.landmarks / count, TRACKS[0]), TRACKS[1]))
        T = torch.stack([f.T_map_camera for f in frames])
        encoder.module.to(device, memory_format=torch.channels_last)
        self._tracks = find_tracks(
            T, lambda i: encode_frame(frames[i], encoder, device), on_image, images, per_image
        )

    def landmarks(self, usable: Tensor, centre: Tensor, channels: int) -> Landmarks:
        """Return landmarks of images that are `usable` (I,), relative to a centre (3,) of the map frame."""
        if self._tracks is None:
            return no_landmarks(channels)
        found = self._tracks.found & usable[self._tracks.neighbours][:, None]
        tracks = replace(self._tracks, found=found & usable[self._tracks.images][:, None, None])
        T = torch.stack([f.T_map_camera for f in self._frames])
        state = State(T[:, :3, :3], T[:, :3, 3] - centre, 0.0)
        cameras = [f.camera.resize(*network_size(*f.camera.size)) for f in self._frames]
        focal_px = torch.stack([c.matrix.diagonal()[:2].mean() for c in cameras])
        with one_thread(torch.device("cpu")):
            rows = torch.arange(len(tracks.images)).split(ROWS)
            parts = [_triangulated(tracks, focal_px, part, state) for part in rows]
        points, seen_from, features, images = (torch.cat(column) for column in zip(*parts, strict=True))
        chosen = _choose(images, self._config.landmarks, self._config.seed)
        return Landmarks(points[chosen].float(), seen_from[chosen].float(), quantised(features[chosen]))


def _triangulated(
    tracks: Tracks, focal_px: Tensor, rows: Tensor, state: State
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the good points of some rows: positions and cameras (n, 3), features, images that agree."""
    bundle = Bundle(tracks, focal_px, rows, state)
    seen = bundle.triangulate(state, WIDTH_PX)
    agrees = (seen.error.norm(dim=-1) < AGREED_PX) & (seen.weight > 0)  # (i, A, K)
    baseline = seen.baseline.norm(dim=-1)[:, None] * agrees
    good = agrees.sum(-1) >= MIN_IMAGES
    good &= baseline.amax(-1) * bundle.inverse_depth > MIN_PARALLAX
    cameras = state.positions[tracks.images[rows]][:, None].expand(*good.shape, 3)
    points = cameras + seen.from_camera / bundle.inverse_depth[..., None]
    return points[good], cameras[good], tracks.features[rows][good], agrees.sum(-1)[good]


def _choose(images: Tensor, count: int, seed: int) -> Tensor:
    """Return `count` of n points in random order, those that enough of `images` (n,) agree about first."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(images), generator=generator)
    order = order[images[order].clamp(max=ENOUGH_IMAGES).argsort(descending=True, stable=True)[:count]]
    return order[torch.randperm(len(order), generator=generator)]
