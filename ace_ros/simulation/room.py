# SPDX-License-Identifier: Apache-2.0
"""A furnished room that a simulated robot can see: exact poses, exact depth, nothing to download.

World frame: metres, origin in the middle of the floor, z up. The room is a set of rectangles; a
picture is made by a z-buffer over them and one mip-mapped texture look-up, some 30 ms on one core
for 640x480. Lamps, window light and shadows are computed once and are part of the textures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from ace_ros.geometry.camera import Camera
from ace_ros.simulation.furniture import SIZE, furnish

NEAR_M = 0.05
LEVELS = 7  # of every texture, each half as fine as the one before
EDGE = 2  # texels repeated around every level in the atlas, so that its neighbours do not bleed in
ATLAS_WIDTH = 6144
# Between the two directions of a pixel's footprint on a slanted surface: 0 would sharpen and
# shimmer, 1 would blur floors away.
SLANT = 0.65
BACKGROUND = -1  # face number where a ray hits nothing


@dataclass(frozen=True)
class _Grid:
    """The rays of a camera's pixels on z = 1: broadcastable columns and rows where there is no distortion."""

    x: np.ndarray  # (1, W) or (H, W) float32
    y: np.ndarray  # (H, 1) or (H, W)
    focal: float
    column_range: np.ndarray  # (2, W): smallest and largest x in each column
    row_range: np.ndarray  # (2, H): smallest and largest y in each row


class SimulatedRoom:
    """A room made from a seed: the same seed gives the same pixels.

    `texels_per_m` is the finest detail; lower values make the room quicker to build.
    """

    size_m = SIZE

    def __init__(self, seed: int = 0, texels_per_m: float = 200.0) -> None:
        self.faces, self.boxes = furnish(seed, texels_per_m)
        self._scale = texels_per_m
        self._atlas, self._corner_x, self._corner_y = _pack([face.texture for face in self.faces])
        self._frames = np.stack([np.stack([f.origin, f.right, f.down]) for f in self.faces])  # (F, 3, 3)
        self._extent = np.array([[f.width, f.height] for f in self.faces])
        self._grids: dict[tuple, _Grid] = {}

    def render(self, T_map_camera: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
        """Return what a camera sees: image (H, W, 3) uint8 BGR and depth (H, W) float32 along z in metres.

        `T_map_camera` (4, 4) takes points from the optical frame to the room. Where a pixel has no
        ray (a distortion that cannot be undone) the depth is NaN and the pixel black.
        """
        grid = self._grid(camera)
        T_camera_map = np.linalg.inv(np.asarray(T_map_camera, dtype=np.float64))
        R, t = T_camera_map[:3, :3], T_camera_map[:3, 3]
        width, height = camera.size
        inverse_depth = np.zeros((height, width), np.float32)
        number = np.full((height, width), BACKGROUND, np.int16)
        s, r = np.zeros((2, height, width), np.float32)
        constants = np.zeros(len(self.faces) + 1, np.float32)
        for index, frame in enumerate(self._frames):
            in_camera = frame @ R.T  # rows: origin, right, down
            in_camera[0] += t
            distance = float(in_camera[0] @ np.cross(in_camera[1], in_camera[2]))
            if distance < 1e-3:  # seen from behind
                continue
            roi = _roi(in_camera, self._extent[index], grid)
            if roi is None:
                continue
            constants[index] = self._scale / (grid.focal * distance**SLANT)
            _draw(index, in_camera, distance, self._extent[index], grid, roi, inverse_depth, number, s, r)
        image = self._look_up(number, inverse_depth, s, r, constants)
        with np.errstate(divide="ignore"):
            depth = np.where(number >= 0, 1.0 / inverse_depth, np.float32(np.nan))
        return image, depth

    def _look_up(
        self, number: np.ndarray, inverse_depth: np.ndarray, s: np.ndarray, r: np.ndarray,
        constants: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """Return the colours (H, W, 3) at face coordinates s / r in metres, between two mip levels."""
        # A pixel's footprint is z / f across and z^2 / (f d) along the slant of a plane at distance d.
        inverse_depth = np.maximum(inverse_depth, 1e-6)
        footprint = constants[number] * inverse_depth ** np.float32(-1.0 - SLANT)
        level = np.clip(np.log2(np.maximum(footprint, 1e-6)), 0.0, LEVELS - 1.001)
        lower = level.astype(np.int32)
        share = level - lower.astype(np.float32)
        u, v = s / inverse_depth, r / inverse_depth
        index = number * np.int32(LEVELS) + lower
        texels = (self._scale * 0.5 ** np.arange(LEVELS)).astype(np.float32)[lower]
        fine = self._sample(index, u * texels, v * texels)
        texels *= np.float32(0.5)
        coarse = self._sample(index + 1, u * texels, v * texels)
        image = cv2.blendLinear(fine, coarse, 1.0 - share, share)
        # A lens spreads each point a little; this also hides the steps at the edges of things.
        image = cv2.GaussianBlur(image, (3, 3), 0.5)
        image[number < 0] = 0
        return image

    def _sample(self, index: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return the colours (H, W, 3) at texels (u, v) of the atlas tiles `index`."""
        x, y = u + self._corner_x[index], v + self._corner_y[index]
        return cv2.remap(self._atlas, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def _grid(self, camera: Camera) -> _Grid:
        distortion = () if camera.distortion is None else tuple(camera.distortion.tolist())
        key = (tuple(camera.matrix.flatten().tolist()), camera.size, camera.model, distortion)
        if key not in self._grids:
            self._grids[key] = _make_grid(camera)
        return self._grids[key]


def photograph(
    image: np.ndarray,
    rng: np.random.Generator,
    exposure: float = 1.0,
    noise: float = 0.0,
    blur_px: float = 0.0,
) -> np.ndarray:
    """Return an image (H, W, 3) uint8 as a real camera would give it.

    `exposure` multiplies, `noise` is the deviation of the sensor's noise in grey levels, `blur_px`
    the deviation of a defocus.
    """
    if blur_px > 0.0:
        image = cv2.GaussianBlur(image, (0, 0), blur_px)
    if exposure != 1.0:
        image = cv2.convertScaleAbs(image, alpha=exposure)
    if noise > 0.0:
        grain = np.empty(image.shape, np.int16)
        cv2.setRNGSeed(int(rng.integers(1 << 31)))
        cv2.randn(grain, (0.0, 0.0, 0.0), (noise, noise, noise))  # type: ignore[call-overload]
        image = cv2.add(image, grain, dtype=cv2.CV_8U)
    return image


def _make_grid(camera: Camera) -> _Grid:
    width, height = camera.size
    focal = float((camera.matrix[0, 0] * camera.matrix[1, 1]).sqrt())
    columns, rows = torch.arange(width).double(), torch.arange(height).double()
    if camera.distortion is None and camera.matrix[0, 1] == 0:
        x = camera.unproject(torch.stack([columns, columns * 0], -1))[:, 0].numpy()[None]
        y = camera.unproject(torch.stack([rows * 0, rows], -1))[:, 1].numpy()[:, None]
        ranges = np.repeat(x, 2, 0), np.repeat(y.T, 2, 0)
    else:
        pixels = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)
        rays = camera.unproject(pixels.reshape(-1, 2)).reshape(height, width, 2).numpy()
        x, y = rays[..., 0], rays[..., 1]
        big = 1e6  # a pixel without a ray must not hide its column or row
        across, down = (
            np.stack([np.nan_to_num(a, nan=big).min(axis), np.nan_to_num(a, nan=-big).max(axis)])
            for a, axis in ((x, 0), (y, 1))
        )
        ranges = across, down
    return _Grid(x.astype(np.float32), y.astype(np.float32), focal, *ranges)


def _roi(in_camera: np.ndarray, extent: np.ndarray, grid: _Grid) -> tuple[slice, slice] | None:
    """Return rows and columns of the pixels that may see a face, or None."""
    origin, right, down = in_camera
    across, along = right * extent[0], down * extent[1]
    corners = np.stack([origin, origin + across, origin + across + along, origin + along])
    ahead = _in_front(corners)
    if len(ahead) == 0:
        return None
    rays = ahead[:, :2] / ahead[:, 2:]
    low, high = rays.min(0), rays.max(0)
    spans = []
    for axis, limits in ((1, grid.row_range), (0, grid.column_range)):
        inside = np.flatnonzero((limits[1] >= low[axis]) & (limits[0] <= high[axis]))
        if len(inside) == 0:
            return None
        spans.append(slice(int(inside[0]), int(inside[-1]) + 1))
    return spans[0], spans[1]


def _in_front(corners: np.ndarray) -> np.ndarray:
    """Return the polygon (P, 3) clipped to z >= NEAR_M."""
    if (corners[:, 2] >= NEAR_M).all():
        return corners
    kept = []
    for a, b in zip(corners, np.roll(corners, -1, 0), strict=True):
        if a[2] >= NEAR_M:
            kept.append(a)
        if (a[2] >= NEAR_M) != (b[2] >= NEAR_M):
            kept.append(a + (b - a) * ((NEAR_M - a[2]) / (b[2] - a[2])))
    return np.array(kept).reshape(-1, 3)


def _draw(
    index: int, in_camera: np.ndarray, distance: float, extent: np.ndarray, grid: _Grid,
    roi: tuple[slice, slice], inverse_depth: np.ndarray, number: np.ndarray, s: np.ndarray, r: np.ndarray,
) -> None:  # fmt: skip
    """Put a face into the z-buffer, with its coordinates over depth (which are linear in the ray)."""
    rows, columns = roi
    x = grid.x[:, columns] if grid.x.shape[0] == 1 else grid.x[roi]
    y = grid.y[rows] if grid.y.shape[1] == 1 else grid.y[roi]
    origin, right, down = in_camera
    normal = np.cross(right, down)
    to_plane = normal / distance
    # ray * z = origin + u right + v down, hence u / z = right.ray - (right.origin) / z.
    inverse = _linear(to_plane, x, y)
    across = _linear(right - (right @ origin) * to_plane, x, y)
    along = _linear(down - (down @ origin) * to_plane, x, y)
    seen = inverse > inverse_depth[roi]
    seen &= (across >= 0.0) & (along >= 0.0)
    seen &= across <= np.float32(extent[0]) * inverse
    seen &= along <= np.float32(extent[1]) * inverse
    seen &= inverse < 1.0 / NEAR_M
    np.copyto(inverse_depth[roi], inverse, where=seen)
    np.copyto(s[roi], across, where=seen)
    np.copyto(r[roi], along, where=seen)
    number[roi][seen] = index


def _linear(c: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    c = c.astype(np.float32)
    return (c[0] * x + c[2]) + c[1] * y


def _halved(image: np.ndarray) -> np.ndarray:
    """Return the next mip level. An odd side is made even first, so that the scale is exactly half."""
    height, width = image.shape[:2]
    even = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    half = (even.shape[1] // 2, even.shape[0] // 2)
    return cv2.resize(even, half, interpolation=cv2.INTER_AREA)


def _pack(images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return an atlas (H, W, 3) of all levels of all images, and where texel (0, 0) of each is.

    The positions are (F * LEVELS,) float32; the centre of the first texel is 0.5 texel from the
    face's corner.
    """
    tiles = []
    for image in images:
        level = image
        for _ in range(LEVELS):
            tiles.append(cv2.copyMakeBorder(level, EDGE, EDGE, EDGE, EDGE, cv2.BORDER_REPLICATE))
            level = _halved(level)
    corners = np.zeros((len(tiles), 2), np.float32)
    x = y = tallest = 0
    for index in sorted(range(len(tiles)), key=lambda i: -tiles[i].shape[0]):
        height, width = tiles[index].shape[:2]
        if x + width > ATLAS_WIDTH:
            x, y, tallest = 0, y + tallest, 0
        corners[index] = x, y
        x, tallest = x + width, max(tallest, height)
    atlas = np.zeros((y + tallest, ATLAS_WIDTH, 3), np.uint8)
    for (left, top), tile in zip(corners.astype(int), tiles, strict=True):
        atlas[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return atlas, corners[:, 0] + EDGE - 0.5, corners[:, 1] + EDGE - 0.5
