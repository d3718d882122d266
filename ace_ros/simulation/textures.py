# SPDX-License-Identifier: Apache-2.0
"""Procedural surfaces for the simulated room: rich at every scale, as photographs are.

Every function takes a random generator and a size in texels and returns an albedo image
(height, width, 3) float32 in [0, 1], BGR. `scale` is texels per metre. Nothing is read from disk.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import cv2
import numpy as np

Texture = Callable[[np.random.Generator, int, int, float], np.ndarray]
Colour = tuple[float, float, float]  # BGR, 0 to 1


def fractal(
    rng: np.random.Generator, height: int, width: int, cell: float, fall: float = 0.5, stretch: float = 1.0
) -> np.ndarray:
    """Return 1/f-like noise (height, width) float32 of zero mean and unit deviation.

    `cell` is the largest structure in texels, `fall` the amplitude of each octave against the one
    before, `stretch` how much longer the structures are across than down.
    """
    total = np.zeros((height, width), np.float32)
    amplitude = 1.0
    while cell >= 1.5:
        rows, columns = int(height / cell) + 2, int(width / (cell * stretch)) + 2
        grid = rng.standard_normal((rows, columns), dtype=np.float32)
        total += amplitude * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        cell, amplitude = cell / 2.0, amplitude * fall
    return (total - total.mean()) / max(float(total.std()), 1e-6)


def flat(height: int, width: int, colour: Colour) -> np.ndarray:
    """Return one colour."""
    return np.broadcast_to(np.array(colour, np.float32), (height, width, 3)).copy()


def random_colour(
    rng: np.random.Generator, saturation: float = 0.6, value: float = 0.7,
    hues: tuple[float, float] = (0.0, 1.0),
) -> Colour:  # fmt: skip
    """Return a random colour: hue in a range of the circle (0 to 1), the rest near the given values."""
    hue = rng.uniform(*hues)
    saturation, value = (min(x * rng.uniform(0.5, 1.3), 1.0) for x in (saturation, value))
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return blue, green, red


def plaster(
    rng: np.random.Generator, height: int, width: int, scale: float, colour: Colour = (0.66, 0.72, 0.76)
) -> np.ndarray:
    """Return painted plaster: weak texture, a few stains and scratches."""
    image = flat(height, width, colour)
    grain = 0.035 * fractal(rng, height, width, 0.8 * scale, 0.62)
    stains = 0.05 * np.clip(fractal(rng, height, width, 0.5 * scale, 0.6) - 1.2, 0, 2)
    image += (grain - stains)[..., None]
    for _ in range(int(3 * height * width / scale**2)):
        start = rng.uniform(0, [width, height])
        end = start + rng.normal(0, 0.12 * scale, 2)
        shade = float(rng.uniform(0.75, 1.1))
        cv2.line(image, px(start), px(end), tuple(shade * c for c in colour), 1)
    return image


def bricks(rng: np.random.Generator, height: int, width: int, scale: float) -> np.ndarray:
    """Return a brick wall; every brick has its own colour, size and wear."""
    image = flat(height, width, (0.6, 0.63, 0.65))
    row_height, length = 0.085 * scale, 0.24 * scale
    y = 0.0
    while y < height:
        x = -rng.uniform(0, length)
        while x < width:
            step = length * rng.uniform(0.85, 1.15)
            tone = rng.uniform(0.6, 1.25)
            colour = (0.24 * tone * rng.uniform(0.8, 1.3), 0.32 * tone, 0.56 * tone)
            corner = (x + 0.012 * scale, y + 0.012 * scale)
            cv2.rectangle(image, px(corner), px((x + step, y + row_height)), colour, -1)
            x += step
        y += row_height
    rough = fractal(rng, height, width, 0.4 * scale, 0.7)
    return image * (1.0 + 0.16 * rough[..., None])


def wallpaper(rng: np.random.Generator, height: int, width: int, scale: float) -> np.ndarray:
    """Return a repeating floral pattern with stripes: repetition as real rooms have it."""
    base, ink = random_colour(rng, 0.2, 0.75), random_colour(rng, 0.45, 0.5)
    image = flat(height, width, base)
    pitch = 0.32 * scale
    for row, y in enumerate(np.arange(0.5 * pitch, height + pitch, pitch)):
        for x in np.arange((row % 2) * 0.5 * pitch, width + pitch, pitch):
            turn = rng.uniform(0, 360)
            for petal in range(5):
                angle = np.radians(turn + 72 * petal)
                spot = (x + 0.2 * pitch * np.cos(angle), y + 0.2 * pitch * np.sin(angle))
                axes = px((0.16 * pitch, 0.08 * pitch))
                cv2.ellipse(image, px(spot), axes, np.degrees(angle), 0, 360, ink, -1)
    stripes = 0.03 * np.sign(np.sin(np.arange(width) * 2 * np.pi / (0.16 * scale)))
    return image + stripes[None, :, None] + 0.03 * fractal(rng, height, width, 1.0 * scale, 0.65)[..., None]


def wood(
    rng: np.random.Generator, height: int, width: int, scale: float, colour: Colour | None = None
) -> np.ndarray:
    """Return wood with its grain along the width."""
    colour = colour or tuple(np.array([0.25, 0.42, 0.62], np.float32) * rng.uniform(0.5, 1.2))
    grain = fractal(rng, height, width, 0.12 * scale, 0.75, stretch=9.0)
    rings = np.sin(9.0 * fractal(rng, height, width, 0.3 * scale, 0.4, stretch=6.0))
    return flat(height, width, colour) * (1.0 + 0.16 * grain + 0.07 * rings)[..., None]


def planks(rng: np.random.Generator, height: int, width: int, scale: float) -> np.ndarray:
    """Return a wooden floor; every plank is cut from another piece of wood."""
    stock = wood(rng, height, width, scale)
    image = np.empty_like(stock)
    step = int(0.14 * scale)
    for y in range(0, height, step):
        x = -int(rng.uniform(0, 1.2) * scale)
        while x < width:
            length = int(rng.uniform(0.7, 1.5) * scale)
            x0, x1, y1 = max(x, 0), min(x + length, width), min(y + step, height)
            if x1 > x0:
                sy, sx = rng.integers(0, height - (y1 - y) + 1), rng.integers(0, width - (x1 - x0) + 1)
                tone = rng.uniform(0.7, 1.2)
                image[y:y1, x0:x1] = tone * stock[sy : sy + y1 - y, sx : sx + x1 - x0]
                image[y : y + 2, x0:x1] *= 0.45
                image[y:y1, x0 : x0 + 2] *= 0.45
            x += length
    wear = fractal(rng, height, width, 1.5 * scale, 0.6)
    return image * (1.0 + 0.1 * wear[..., None])


def panels(rng: np.random.Generator, height: int, width: int, scale: float) -> np.ndarray:
    """Return a ceiling of mineral panels with pin holes and a few stained ones."""
    image = flat(height, width, (0.78, 0.8, 0.8)) + 0.03 * fractal(rng, height, width, scale, 0.6)[..., None]
    holes = rng.random((height, width), dtype=np.float32) < 0.012
    image[cv2.dilate(holes.astype(np.uint8), np.ones((2, 2), np.uint8)) > 0] *= 0.6
    step = 0.6 * scale
    for y in np.arange(0, height - 2, step):
        for x in np.arange(0, width - 2, step):
            tile = image[int(y) : int(y + step), int(x) : int(x + step)]
            tile *= rng.uniform(0.86, 1.04)
            if rng.random() < 0.25:
                stain = np.clip(fractal(rng, tile.shape[0], tile.shape[1], 0.4 * scale, 0.55) - 0.6, 0, 1.2)
                tile -= stain[..., None] * np.array([0.2, 0.12, 0.08], np.float32)
            tile[:3], tile[:, :3] = 0.5, 0.5
    return image


def px(point: tuple[float, float] | np.ndarray) -> tuple[int, int]:
    """Return the whole texel that is nearest to a point (x, y)."""
    return round(float(point[0])), round(float(point[1]))
