# SPDX-License-Identifier: Apache-2.0
"""Triangulate the landmarks of a place: points that mapping images with known poses agree about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from ace_ros.compute.threads import in_threads
from ace_ros.config import TrainingConfig
from ace_ros.landmarks.landmarks import Landmarks, no_landmarks, quantised
from ace_ros.mapping.encoded_images import EncodedImages
from ace_ros.mapping.neighbours import PROBED, RANK_FACTORS
from ace_ros.mapping.poses.bundle import Bundle, State
from ace_ros.mapping.poses.tracks import Tracks, find_tracks

WIDTH_PX = 4.0  # of the robust loss that triangulates
AGREED_PX = 2.5  # largest error of a match that counts
MIN_IMAGES = 2  # that agree with the one whose point it is
ENOUGH_IMAGES = 3  # more would prefer what lies in the middle of the scene
MIN_PARALLAX = 0.05  # longest baseline of them over the depth
SPARE = 2.5  # tracks followed for every landmark wanted; a half to two thirds are good
TRACKS = 64, 512  # of an image, at least and at most
ROWS = 16  # images whose points are triangulated at a time


class Points(NamedTuple):
    """Triangulated points: position (n, 3) and seen_from (n, 3), the camera whose points they are.

    images (n,) are how many others agree about each; parallax (n,) is the longest baseline to one
    of those over the depth; features (n, C) float16.
    """

    position: Tensor
    seen_from: Tensor
    features: Tensor
    images: Tensor
    parallax: Tensor


@dataclass(frozen=True)
class LandmarkTracks:
    """Tracks through the images of a place, from which its landmarks are triangulated; None without any.

    T_map_camera (I, 4, 4) and `focal_px` (I,) are those of all images; features have `channels` numbers.
    """

    tracks: Tracks | None
    T_map_camera: Tensor
    focal_px: Tensor
    channels: int


def follow_landmarks(
    images: EncodedImages,
    config: TrainingConfig,
    on_image: Callable[[int, int], None] = lambda done, total: None,
) -> LandmarkTracks:
    """Match images whose poses are known. Raises SceneError when one cannot be read."""
    place = LandmarkTracks(None, images.T_map_camera, images.focal_px, images.card.channels)
    if not config.landmarks:
        return place
    count = min(len(images), config.landmark_images)
    per_image = round(min(max(SPARE * config.landmarks / count, TRACKS[0]), TRACKS[1]))

    def tracks_of(some: int, factor: int, on_image: Callable[[int, int], None]) -> Tracks:
        chosen = torch.linspace(0, len(images) - 1, some).round().long()
        return find_tracks(images, on_image, chosen, per_image, factor)

    factor = _rank_factor(place, lambda factor: tracks_of(min(count, PROBED), factor, lambda *_: None))
    return replace(place, tracks=tracks_of(count, factor, on_image))


def triangulate(place: LandmarkTracks, usable: Tensor, centre: Tensor, config: TrainingConfig) -> Landmarks:
    """Return landmarks of images that are `usable` (I,), relative to a centre (3,) of the map frame."""
    if place.tracks is None:
        return no_landmarks(place.channels)
    tracks = place.tracks
    found = tracks.found & usable[tracks.neighbours][:, None] & usable[tracks.images][:, None, None]
    points = _triangulated(place, replace(tracks, found=found), centre)
    keep = (points.images >= MIN_IMAGES) & (points.parallax > MIN_PARALLAX)
    points = Points(*(column[keep] for column in points))
    chosen = _choose(points.images, config.landmarks, config.seed)
    return Landmarks(
        points.position[chosen].float(),
        points.seen_from[chosen].float(),
        quantised(points.features[chosen]),
    )


def _rank_factor(place: LandmarkTracks, probe: Callable[[int], Tracks]) -> int:
    """Return the factor that takes neighbours from so far away that half of the points can be used."""
    for factor in RANK_FACTORS[:-1]:
        points = _triangulated(place, probe(factor), place.T_map_camera[:, :3, 3].mean(0))
        parallax = points.parallax[points.images >= MIN_IMAGES]
        if not len(parallax) or float(parallax.median()) > MIN_PARALLAX:
            return factor
    return RANK_FACTORS[-1]


def _triangulated(place: LandmarkTracks, tracks: Tracks, centre: Tensor) -> Points:
    """Return all points of tracks, relative to a centre (3,)."""
    T = place.T_map_camera
    state = State(T[:, :3, :3], T[:, :3, 3] - centre, 0.0)
    rows = torch.arange(len(tracks.images)).split(ROWS)

    def points_of(part: int) -> Points:
        return _points_of(tracks, place.focal_px, rows[part], state)

    parts = in_threads(points_of, range(len(rows)), torch.device("cpu"))
    return Points(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _points_of(tracks: Tracks, focal_px: Tensor, rows: Tensor, state: State) -> Points:
    """Return all points of some rows of tracks."""
    bundle = Bundle(tracks, focal_px, rows, state)
    seen = bundle.triangulate(state, WIDTH_PX)
    agrees = (seen.error.norm(dim=-1) < AGREED_PX) & (seen.weight > 0)  # (i, A, K)
    baseline = (seen.baseline.norm(dim=-1)[:, None] * agrees).amax(-1)
    seen_from = state.positions[tracks.images[rows]][:, None].expand(*baseline.shape, 3)
    columns = (
        seen_from + seen.from_camera / bundle.inverse_depth[..., None],
        seen_from,
        tracks.features[rows],
        agrees.sum(-1),
        baseline * bundle.inverse_depth,
    )
    return Points(*(column.flatten(0, 1) for column in columns))


def _choose(images: Tensor, count: int, seed: int) -> Tensor:
    """Return `count` of n points in random order, those that enough of `images` (n,) agree about first."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(images), generator=generator)
    order = order[images[order].clamp(max=ENOUGH_IMAGES).argsort(descending=True, stable=True)[:count]]
    return order[torch.randperm(len(order), generator=generator)]
