# SPDX-License-Identifier: Apache-2.0
"""What stands in the simulated room: walls with pictures, furniture, light and shadow.

World frame: metres, origin in the middle of the floor, x along the long walls, z up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from ace_ros.simulation import objects as ob
from ace_ros.simulation import textures as tx

SIZE = (8.0, 6.0, 2.8)  # x, y, z
LAMPS = np.array([[-2.0, -1.3, 2.75], [2.0, -1.3, 2.75], [-2.0, 1.3, 2.75], [2.0, 1.3, 2.75]])
LIGHT_STEP_M = 0.12


@dataclass(frozen=True)
class Face:
    """A textured rectangle seen from one side: the side from which `right` x `down` points away."""

    origin: np.ndarray  # (3,) its upper left corner for who looks at it
    right: np.ndarray  # (3,) unit
    down: np.ndarray  # (3,) unit
    width: float
    height: float
    texture: np.ndarray  # (h, w, 3) uint8 BGR

    @property
    def normal(self) -> np.ndarray:
        """Return the unit vector (3,) towards the viewer."""
        return np.cross(self.down, self.right)


@dataclass(frozen=True)
class Box:
    """A cuboid on `base` metres above the floor, turned about the vertical."""

    x: float
    y: float
    base: float
    size: tuple[float, float, float]  # along its own x, y and z
    yaw_deg: float = 0.0
    front: tx.Texture = ob.cupboard  # the side towards its own -y
    sides: tx.Texture = tx.wood
    top: tx.Texture = tx.wood

    @property
    def T_map_box(self) -> np.ndarray:
        """Return the pose (4, 4) of the middle of its underside."""
        c, s = math.cos(math.radians(self.yaw_deg)), math.sin(math.radians(self.yaw_deg))
        return np.array([[c, -s, 0, self.x], [s, c, 0, self.y], [0, 0, 1, self.base], [0, 0, 0, 1.0]])


def furnish(seed: int, scale: float) -> tuple[list[Face], list[Box]]:
    """Return all faces of a room and its boxes. `scale` is texels per metre."""
    rng = np.random.default_rng(seed)
    boxes = _arrange(rng)
    faces = _shell(rng, scale)
    for box in boxes:
        faces += _box_faces(box, rng, scale)
    return [_lit(face, boxes) for face in faces], boxes


def outlines(seed: int) -> list[np.ndarray]:
    """Return what of a room is seen on a floor plan: polygons (4, 3), the room itself first."""
    x, y = SIZE[0] / 2, SIZE[1] / 2
    standing = [box for box in _arrange(np.random.default_rng(seed)) if box.base < 1.5]
    shapes = [np.array([[-x, -y, 0.0], [x, -y, 0.0], [x, y, 0.0], [-x, y, 0.0]])]
    for box in standing:
        dx, dy = box.size[0] / 2, box.size[1] / 2
        corners = np.array([[-dx, -dy, 0, 1], [dx, -dy, 0, 1], [dx, dy, 0, 1], [-dx, dy, 0, 1.0]])
        shapes.append((corners @ box.T_map_box.T)[:, :3])
    return shapes


def _arrange(rng: np.random.Generator) -> list[Box]:
    """Return the furniture: along the walls and in the half towards +y; the other half is free."""
    boxes = [
        Box(-2.6, 2.78, 0.0, (1.8, 0.4, 2.1), 0.0, ob.books),
        Box(0.2, 2.72, 0.0, (1.5, 0.5, 0.9), 0.0, ob.cupboard),
        Box(2.9, 2.7, 0.0, (1.2, 0.55, 1.9), 0.0, ob.cupboard),
        Box(3.72, 0.5, 0.0, (1.6, 0.5, 1.1), -90.0, ob.books),
        Box(3.62, -2.0, 0.0, (0.9, 0.7, 0.8), -90.0, ob.cupboard),
        Box(-3.7, 1.0, 0.0, (1.4, 0.5, 1.3), 90.0, ob.cupboard),
        Box(-2.3, -2.65, 0.0, (2.0, 0.65, 0.42), 180.0, ob.fabric, ob.fabric, ob.fabric),
        Box(-2.3, -2.87, 0.42, (2.0, 0.22, 0.45), 180.0, ob.fabric, ob.fabric, ob.fabric),
        Box(1.5, -2.72, 0.0, (1.6, 0.5, 1.0), 180.0, ob.books),
        Box(-3.72, -2.7, 0.0, (0.42, 0.42, 2.8), 90.0, tx.bricks, tx.bricks, tx.bricks),
        # Before them: a pillar, a table with things on it, a low cupboard beside it.
        Box(-1.3, 1.1, 0.0, (0.4, 0.4, 2.8), 0.0, ob.noticeboard, tx.bricks, tx.bricks),
        Box(0.0, 1.12, 0.0, (0.9, 0.45, 0.75), 0.0, ob.cupboard),
    ]
    boxes += _table(0.85, 1.0, 0.8, 0.9, 0.72)
    for x, y, base in ((0.1, 1.1, 0.75), (-0.25, 1.15, 0.75), (0.9, 1.15, 0.76), (0.75, 0.75, 0.76),
                       (0.0, 2.75, 0.9), (0.5, 2.7, 0.9), (3.75, 0.8, 1.1), (3.6, -2.1, 0.8),
                       (-3.7, 1.3, 1.3), (1.2, -2.75, 1.0), (1.9, -2.7, 1.0)):  # fmt: skip
        size = (rng.uniform(0.18, 0.34), rng.uniform(0.15, 0.28), rng.uniform(0.14, 0.42))
        boxes.append(Box(x, y, base, size, rng.uniform(0, 360), ob.carton, ob.carton, ob.carton))
    for x, y in ((3.3, 2.1), (-3.45, -0.6), (3.5, -1.1), (-0.6, -2.6), (-3.4, 2.3)):
        size = (rng.uniform(0.35, 0.5), rng.uniform(0.3, 0.42), rng.uniform(0.3, 0.55))
        boxes.append(Box(x, y, 0.0, size, rng.uniform(0, 360), ob.carton, ob.carton, ob.carton))
        small = (0.65 * size[0], 0.65 * size[1], 0.65 * size[2])
        kind = ob.carton if rng.random() < 0.5 else ob.abstract
        boxes.append(Box(x, y, size[2], small, rng.uniform(0, 360), kind, kind, kind))
    return boxes


def _table(x: float, y: float, length: float, depth: float, height: float) -> list[Box]:
    top = Box(x, y, height, (length, depth, 0.04), 0.0, tx.wood)
    dx, dy = length / 2 - 0.05, depth / 2 - 0.05
    corners = ((x - dx, y - dy), (x + dx, y - dy), (x - dx, y + dy), (x + dx, y + dy))
    return [top, *(Box(*corner, 0.0, (0.06, 0.06, height), 0.0, tx.wood) for corner in corners)]


def _shell(rng: np.random.Generator, scale: float) -> list[Face]:
    """Return floor, ceiling and the four walls with what hangs on them."""
    x, y, z = SIZE
    floor = _paint(tx.planks, rng, x, y, scale)
    carpet = _paint(ob.rug, rng, 2.2, 1.5, scale)
    ob.paste(floor, carpet, 0.7 * scale, 3.9 * scale)
    ob.paste(floor, np.rot90(_paint(ob.rug, rng, 1.5, 1.1, scale)), 6.0 * scale, 1.3 * scale)
    ceiling = _paint(tx.panels, rng, x, y, scale)
    for lamp in LAMPS:  # seen from below, with `down` along +y
        spot = (round((lamp[0] + x / 2) * scale), round((lamp[1] + y / 2) * scale))
        half = (round(0.3 * scale), round(0.15 * scale))
        low, high = (spot[0] - half[0], spot[1] - half[1]), (spot[0] + half[0], spot[1] + half[1])
        cv2.rectangle(ceiling, low, high, (3.0, 3.0, 3.0), -1)
        cv2.rectangle(ceiling, low, high, (0.3, 0.3, 0.3), max(1, round(0.02 * scale)))
    faces = [
        _face((0, 0, 1), (0, -1, 0), (-x / 2, y / 2, 0), x, y, floor),
        _face((0, 0, -1), (0, 1, 0), (-x / 2, -y / 2, z), x, y, ceiling),
    ]
    walls = (
        ((0, -1, 0), (-x / 2, y / 2, z), x, tx.wallpaper),
        ((0, 1, 0), (x / 2, -y / 2, z), x, tx.plaster),
        ((-1, 0, 0), (x / 2, y / 2, z), y, tx.bricks),
        ((1, 0, 0), (-x / 2, -y / 2, z), y, tx.plaster),
    )
    for number, (normal, corner, width, kind) in enumerate(walls):
        wall = _paint(kind, rng, width, z, scale)
        _decorate(wall, number, rng, width, z, scale)
        faces.append(_face(normal, (0, 0, -1), corner, width, z, wall))
    return faces


# For each wall, left to right: kind, left and top in metres, width and height.
_ON_WALLS = (
    ((ob.picture, 2.5, 0.35, 0.7, 0.95), (ob.picture, 3.4, 0.5, 1.3, 0.8),
     (ob.noticeboard, 4.95, 0.4, 1.2, 0.9), (ob.picture, 7.55, 0.7, 0.35, 0.5)),
    ((ob.picture, 0.3, 0.5, 0.6, 0.8), (ob.picture, 1.4, 0.45, 1.1, 0.8), (ob.door, 3.25, 0.8, 0.9, 2.0),
     (ob.picture, 4.35, 0.7, 0.5, 0.7), (ob.picture, 5.2, 0.5, 1.2, 0.95), (ob.picture, 6.6, 0.45, 0.7, 0.9)),
    ((ob.window, 0.75, 0.5, 1.0, 1.2), (ob.picture, 2.05, 0.4, 0.9, 1.1), (ob.window, 3.3, 0.5, 1.3, 1.2),
     (ob.printed, 4.9, 0.6, 0.6, 0.85)),
    ((ob.picture, 0.6, 0.7, 0.55, 0.75), (ob.window, 1.3, 0.5, 1.5, 1.25), (ob.picture, 3.1, 0.35, 1.0, 0.85),
     (ob.noticeboard, 4.4, 0.35, 1.1, 0.95)),
)  # fmt: skip


def _decorate(
    wall: np.ndarray, number: int, rng: np.random.Generator, width: float, height: float, scale: float
) -> None:
    """Hang pictures, windows and a door on a wall, in place; add a skirting board and sockets."""
    for kind, left, top, w, h in _ON_WALLS[number]:
        ob.paste(wall, _paint(kind, rng, w, h, scale), left * scale, top * scale)
    board = max(2, round(0.08 * scale))
    wall[-board:] = 0.75
    wall[-board : -board + 2] = 0.3
    for left in rng.uniform(0.3, width - 0.3, 3):
        x, y, half = round(left * scale), round((height - 0.3) * scale), round(0.04 * scale)
        cv2.rectangle(wall, (x - half, y - half), (x + half, y + half), (0.85, 0.85, 0.85), -1)
        cv2.circle(wall, (x, y), max(1, half // 2), (0.3, 0.3, 0.3), -1, cv2.LINE_AA)


def _box_faces(box: Box, rng: np.random.Generator, scale: float) -> list[Face]:
    """Return the four sides of a box, its top, and its underside where that can be seen."""
    T = box.T_map_box
    length, depth, height = box.size
    sides = (
        ((0, -1, 0), (-length / 2, -depth / 2, height), length, box.front),
        ((0, 1, 0), (length / 2, depth / 2, height), length, box.sides),
        ((1, 0, 0), (length / 2, -depth / 2, height), depth, box.sides),
        ((-1, 0, 0), (-length / 2, depth / 2, height), depth, box.sides),
    )
    faces = [
        _face(normal, (0, 0, -1), corner, width, height, _paint(kind, rng, width, height, scale))
        for normal, corner, width, kind in sides
    ]
    flat = (
        ((0, 0, 1), (0, -1, 0), (-length / 2, depth / 2, height), box.top),
        ((0, 0, -1), (0, 1, 0), (-length / 2, -depth / 2, 0), tx.wood),
    )
    for normal, down, corner, kind in flat[: 2 if box.base > 0 else 1]:
        texture = _paint(kind, rng, length, depth, scale)
        faces.append(_face(normal, down, corner, length, depth, texture))
    return [
        replace(f, origin=T[:3, :3] @ f.origin + T[:3, 3], right=T[:3, :3] @ f.right, down=T[:3, :3] @ f.down)
        for f in faces
    ]


def _face(
    normal: tuple, down: tuple, origin: tuple, width: float, height: float, texture: np.ndarray
) -> Face:
    n, d = np.array(normal, float), np.array(down, float)
    return Face(np.array(origin, float), np.cross(n, d), d, width, height, texture)


def _paint(
    kind: tx.Texture, rng: np.random.Generator, width: float, height: float, scale: float
) -> np.ndarray:
    w, h = max(8, round(width * scale)), max(8, round(height * scale))
    return np.asarray(kind(rng, h, w, scale), np.float32)


def _lit(face: Face, boxes: list[Box]) -> Face:
    """Return the face under the lamps: brighter near them, dark where a box is in between."""
    rows = max(2, math.ceil(face.height / LIGHT_STEP_M) + 1)
    columns = max(2, math.ceil(face.width / LIGHT_STEP_M) + 1)
    u, v = np.meshgrid(np.linspace(0.02, 0.98, columns), np.linspace(0.02, 0.98, rows))
    points = face.origin + u[..., None] * face.width * face.right + v[..., None] * face.height * face.down
    points = (points + 0.01 * face.normal).reshape(-1, 3)
    light = np.full(len(points), 0.42)
    for lamp in LAMPS:
        ray = lamp - points
        distance = np.linalg.norm(ray, axis=1)
        cosine = np.clip(ray @ face.normal / distance, 0.0, 1.0)
        light += 1.5 * cosine / (1.0 + distance**2) * ~_blocked(points, lamp, boxes)
    grid = light.reshape(rows, columns).astype(np.float32)
    h, w = face.texture.shape[:2]
    fine = cv2.resize(cv2.GaussianBlur(grid, (3, 3), 0), (w, h), interpolation=cv2.INTER_LINEAR)
    shaded = np.clip(face.texture * fine[..., None], 0.0, 1.0)
    return replace(face, texture=(255.0 * shaded + 0.5).astype(np.uint8))


def _blocked(points: np.ndarray, lamp: np.ndarray, boxes: list[Box]) -> np.ndarray:
    """Return whether (P,) a box stands between points (P, 3) and a lamp (slab test)."""
    blocked = np.zeros(len(points), bool)
    for box in boxes:
        T_box_map = np.linalg.inv(box.T_map_box)
        start = points @ T_box_map[:3, :3].T + T_box_map[:3, 3]
        ray = T_box_map[:3, :3] @ lamp + T_box_map[:3, 3] - start
        ray = np.where(np.abs(ray) < 1e-9, 1e-9, ray)
        half = np.array([box.size[0] / 2, box.size[1] / 2, box.size[2]])
        low, high = np.array([-half[0], -half[1], 0.0]), half
        a, b = (low - start) / ray, (high - start) / ray
        enter, leave = np.minimum(a, b).max(1), np.maximum(a, b).min(1)
        blocked |= (enter < leave) & (leave > 1e-3) & (enter < 0.98)
    return blocked
