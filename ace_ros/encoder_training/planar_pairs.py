# SPDX-License-Identifier: Apache-2.0
"""Pairs of views of random scenes made of photographs, with exact correspondences and occlusion.

A scene is a handful of textured planes: a picture on a wall, a corner of a room, cards that stand
before a backdrop. Two cameras look at it. Because every plane is one homography per camera, a
scene is rendered by warping photographs, and where a pixel of the first view lies in the second,
and whether something hides it there, is known exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ace_ros.encoder_training.photometric import random_light


@dataclass(frozen=True)
class Plane:
    """A textured plane: pixel (x, y) of its texture lies at `frame` @ (x, y, 1) in the world.

    texture (H, W) uint8; mask (H, W) uint8, 255 where the plane is solid, or None for a plane
    without end, whose texture is mirrored at its edges; frame (3, 3).
    """

    texture: np.ndarray
    mask: np.ndarray | None
    frame: np.ndarray


@dataclass(frozen=True)
class Pair:
    """Two views (S, S) float32 in [0, 1]; for every cell of the first, row by row, its match.

    matches (cells, 2) are pixels of the second view; visible (cells,) says where they are inside
    it and not hidden.
    """

    first: np.ndarray
    second: np.ndarray
    matches: np.ndarray
    visible: np.ndarray


def random_pair(photos: list[np.ndarray], size: int, cells: np.ndarray, rng: np.random.Generator) -> Pair:
    """Return a pair of views (size, size) of a random scene, for cells (n, 2) at these pixels."""
    focal = size * rng.uniform(0.8, 1.5)
    K = np.array([[focal, 0.0, (size - 1) / 2], [0.0, focal, (size - 1) / 2], [0.0, 0.0, 1.0]])
    planes = _random_scene(photos, focal, rng)
    first, second = _random_cameras(rng)
    homographies = [[_homography(K, camera, p) for p in planes] for camera in (first, second)]
    grey_1, seen_1 = _render(planes, homographies[0], size)
    grey_2, seen_2 = _render(planes, homographies[1], size)

    x, y = np.rint(cells).astype(int).T
    plane = seen_1[y, x]
    first_to_second = np.stack(
        [b @ np.linalg.inv(a) for a, b in zip(*homographies, strict=True)] + [np.zeros((3, 3))]
    )  # the last one is for pixels that see nothing
    warped = np.einsum("nij,nj->ni", first_to_second[plane], np.column_stack([cells, np.ones(len(cells))]))
    ahead = np.abs(warped[:, 2]) > 1e-9
    matches = warped[:, :2] / np.where(ahead, warped[:, 2], 1.0)[:, None]
    inside = ahead & (matches > 0).all(1) & (matches < size - 1).all(1)
    u, v = np.rint(np.where(inside[:, None], matches, 0.0)).astype(int).T
    visible = inside & (seen_2[v, u] == plane) & (plane >= 0)
    return Pair(random_light(grey_1, rng), random_light(grey_2, rng), matches.astype(np.float32), visible)


def _random_cameras(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return T_camera_world (3, 4) of two cameras that look at the origin from about one unit away."""
    first = _orbit(rng.normal(0.0, 0.15), rng.normal(0.0, 0.1), 1.0, rng.normal(0.0, 0.1), rng)
    # Robots keep their cameras upright, and a room is seen from near and far.
    distance = 2.0 ** np.clip(rng.normal(0.0, 0.5), -1.0, 1.0)
    second = _orbit(rng.normal(0.0, 0.35), rng.normal(0.0, 0.15), distance, rng.normal(0.0, 0.25), rng)
    return first, second


def _orbit(
    azimuth: float, elevation: float, distance: float, roll: float, rng: np.random.Generator
) -> np.ndarray:
    """Return T_camera_world (3, 4) of a camera on a sphere around the origin that looks nearly at it."""
    aim = rng.normal(0.0, 0.08, 2)  # radians beside the origin
    R = _rotation(2, roll) @ _rotation(0, elevation + aim[0]) @ _rotation(1, azimuth + aim[1])
    centre = -distance * np.array(
        [np.sin(-azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)]
    )
    return np.column_stack([R, -R @ centre])


def _rotation(axis: int, angle: float) -> np.ndarray:
    rotation, _ = cv2.Rodrigues(np.eye(3)[axis] * angle)
    return rotation


def _random_scene(photos: list[np.ndarray], focal: float, rng: np.random.Generator) -> list[Plane]:
    """Return the planes of a scene around the origin, before cameras at z = -1."""
    kind = rng.choice(3, p=[0.3, 0.4, 0.3])
    if kind == 2:  # a corner: two walls and a floor
        turn = rng.uniform(-0.6, 0.6)
        corner = np.array([rng.uniform(-0.25, 0.25), rng.uniform(0.2, 0.5), rng.uniform(0.05, 0.4)])
        left = _rotation(1, turn + np.pi / 4)
        right = _rotation(1, turn - np.pi / 4)
        floor = _rotation(1, turn) @ _rotation(0, np.pi / 2)
        planes = [_plane(photos, corner * [1, 0, 1], R, focal, False, rng) for R in (left, right)]
        planes.append(_plane(photos, corner, floor, focal, False, rng))
    else:
        tilt = _rotation(1, rng.normal(0.0, 0.35)) @ _rotation(0, rng.normal(0.0, 0.25))
        far = 0.0 if kind == 0 else rng.uniform(0.0, 0.5)
        planes = [_plane(photos, np.array([0.0, 0.0, far]), tilt, focal, False, rng)]
    for _ in range(0 if kind == 0 else rng.integers(0 if kind == 2 else 1, 5)):
        depth = rng.uniform(-0.45, 0.1)
        place = np.array([*rng.uniform(-0.45, 0.45, 2) * (1.0 + depth), depth])
        tilt = _rotation(1, rng.normal(0.0, 0.4)) @ _rotation(0, rng.normal(0.0, 0.3))
        planes.append(_plane(photos, place, tilt, focal, True, rng))
    return planes


def _plane(
    photos: list[np.ndarray],
    origin: np.ndarray,
    rotation: np.ndarray,
    focal: float,
    card: bool,
    rng: np.random.Generator,
) -> Plane:
    """Return a plane through `origin`, spanned by the first two axes of `rotation`, with a random photo."""
    texture = photos[rng.integers(len(photos))]
    if rng.random() < 0.5:
        texture = texture[:, ::-1]
    if rng.random() < 0.08:  # repeated texture, as of tiles and bricks
        side = int(rng.integers(32, 96))
        y, x = (int(rng.integers(0, n - side)) for n in texture.shape)
        texture = np.tile(texture[y : y + side, x : x + side], (-(-384 // side), -(-384 // side)))
    if rng.random() < 0.12:  # weak texture
        texture = cv2.convertScaleAbs(texture, alpha=rng.uniform(0.1, 0.4), beta=rng.uniform(20, 150))
    mask = None
    if card:
        height, width = (max(48, int(n * rng.uniform(0.2, 0.8))) for n in texture.shape)
        y, x = (int(rng.integers(0, texture.shape[i] - n)) for i, n in enumerate((height, width)))
        texture = texture[y : y + height, x : x + width]
        mask = _random_shape(texture.shape[0], texture.shape[1], rng)
    # One texture pixel is about one pixel of a view from one unit away, give or take a half.
    metres_per_pixel = 1.6 ** rng.uniform(-1.0, 1.0) / focal
    height, width = texture.shape
    x_axis, y_axis = metres_per_pixel * rotation[:, 0], metres_per_pixel * rotation[:, 1]
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    if not card:
        middle = middle + rng.uniform(-0.3, 0.3, 2) * [width, height]
    corner = origin - middle[0] * x_axis - middle[1] * y_axis
    return Plane(np.ascontiguousarray(texture), mask, np.column_stack([x_axis, y_axis, corner]))


def _random_shape(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Return a mask (height, width) of a rectangle, an ellipse or a star-shaped polygon."""
    mask = np.zeros((height, width), np.uint8)
    kind = rng.random()
    if kind < 0.4:
        mask[:] = 255
    elif kind < 0.6:
        cv2.ellipse(mask, (width // 2, height // 2), (width // 2, height // 2), 0, 0, 360, 255, -1)
    else:
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(5, 12)))
        radii = rng.uniform(0.4, 1.0, len(angles))
        corners = np.column_stack(
            [(0.5 + 0.5 * radii * np.cos(angles)) * width, (0.5 + 0.5 * radii * np.sin(angles)) * height]
        )
        cv2.fillPoly(mask, [corners.astype(np.int32)], 255)
    return mask


def _homography(K: np.ndarray, T_camera_world: np.ndarray, plane: Plane) -> np.ndarray:
    """Return the homography from a plane's texture to a view; its third row gives the depth."""
    frame = np.vstack([plane.frame, [0.0, 0.0, 1.0]])
    return K @ T_camera_world @ frame


def _render(planes: list[Plane], homographies: list[np.ndarray], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a view (size, size) uint8 and the plane seen at each pixel (size, size), -1 for none."""
    grey = np.full((size, size), 128, np.uint8)
    seen = np.full((size, size), -1, np.int64)
    nearest = np.full((size, size), 0.05, np.float32)  # of inverse depth: nothing beyond 20 units
    x = np.arange(size, dtype=np.float32)[None]
    y = np.arange(size, dtype=np.float32)[:, None]
    for index, (plane, H) in enumerate(zip(planes, homographies, strict=True)):
        # Texture (a, b, 1) at depth z: H (a, b, 1) = z (x, y, 1), so 1/z is linear in the pixel.
        row = np.linalg.inv(H)[2].astype(np.float32)
        inverse_depth = row[0] * x + row[1] * y + row[2]
        shown = inverse_depth > nearest
        if plane.mask is not None:
            shown &= cv2.warpPerspective(plane.mask, H, (size, size), flags=cv2.INTER_NEAREST) > 0
        if not shown.any():
            continue
        warped = _warp(plane.texture, H, size, shown)
        grey[shown], seen[shown], nearest[shown] = warped[shown], index, inverse_depth[shown]
    return grey, seen


def _warp(texture: np.ndarray, H: np.ndarray, size: int, shown: np.ndarray) -> np.ndarray:
    """Return a texture as a view sees it, low-passed by how much it shrinks where it is shown."""
    ys, xs = shown.nonzero()
    middle = np.array([xs.mean(), ys.mean()])
    probes = middle + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    back = np.column_stack([probes, np.ones(3)]) @ np.linalg.inv(H).T
    back = back[:, :2] / back[:, 2:]
    shrink = np.sqrt(abs(np.linalg.det(np.stack([back[1] - back[0], back[2] - back[0]]))))
    if shrink > 1.2:  # or the view is full of aliases
        texture = cv2.GaussianBlur(texture, (0, 0), min(0.45 * shrink, 8.0))
    return cv2.warpPerspective(
        texture, H, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
