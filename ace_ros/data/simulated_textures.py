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

SKY, GREEN = (0.52, 0.66), (0.08, 0.4)  # hues
LETTERS = np.array(list("ABCDEFGHIKLMNOPRSTUVWXYZabcdeghiklmnopqrstuvyz0123456789&?!"))
FONTS = (cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)


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
    return np.broadcast_to(np.float32(colour), (height, width, 3)).copy()


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
        cv2.line(image, _px(start), _px(end), tuple(shade * c for c in colour), 1)
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
            cv2.rectangle(image, _px(corner), _px((x + step, y + row_height)), colour, -1)
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
                axes = _px((0.16 * pitch, 0.08 * pitch))
                cv2.ellipse(image, _px(spot), axes, np.degrees(angle), 0, 360, ink, -1)
    stripes = 0.03 * np.sign(np.sin(np.arange(width) * 2 * np.pi / (0.16 * scale)))
    return image + stripes[None, :, None] + 0.03 * fractal(rng, height, width, 1.0 * scale, 0.65)[..., None]


def wood(
    rng: np.random.Generator, height: int, width: int, scale: float, colour: Colour | None = None
) -> np.ndarray:
    """Return wood with its grain along the width."""
    colour = colour or tuple(np.float32([0.25, 0.42, 0.62]) * rng.uniform(0.5, 1.2))
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
                stain = np.clip(fractal(rng, *tile.shape[:2], 0.4 * scale, 0.55) - 0.6, 0, 1.2)
                tile -= stain[..., None] * np.float32([0.2, 0.12, 0.08])
            tile[:3], tile[:, :3] = 0.5, 0.5
    return image


def landscape(rng: np.random.Generator, height: int, width: int, scale: float) -> np.ndarray:
    """Return a view outdoors: sky with clouds, hills one behind the other, trees, a house or two."""
    top, low = (np.float32(random_colour(rng, s, v, SKY)) for s, v in ((0.5, 0.8), (0.25, 0.95)))
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    image = top * (1 - ramp) + low * ramp + np.zeros((height, width, 3), np.float32)
    clouds = np.clip(fractal(rng, height, width, 0.5 * height, 0.55, 2.0), 0, 2)
    image += 0.15 * clouds[..., None]
    rows = np.arange(height)[:, None]
    for layer in range(4):
        ridge = height * (0.35 + 0.16 * layer) + 0.07 * height * fractal(rng, 1, width, 0.5 * width)[0]
        ground = np.float32(random_colour(rng, 0.5, 0.3 + 0.1 * layer, GREEN))
        texture = 1.0 + 0.3 * fractal(rng, height, width, 0.2 * height, 0.75)
        inside = rows > ridge[None, :]
        image[inside] = (ground * texture[..., None])[inside]
        for _ in range(rng.integers(1, 7)):
            x = int(rng.uniform(0, width))
            _tree_or_house(image, rng, x, ridge[min(x, width - 1)], height * (0.04 + 0.04 * layer))
    return image


def _tree_or_house(image: np.ndarray, rng: np.random.Generator, x: int, y: float, size: float) -> None:
    colour = random_colour(rng, 0.6, 0.4, GREEN)
    if rng.random() < 0.3:
        colour = random_colour(rng, 0.2, 0.7)
        cv2.rectangle(image, _px((x - size, y - size)), _px((x + size, y + size)), colour, -1)
        roof = np.int32([[x - 1.3 * size, y - size], [x + 1.3 * size, y - size], [x, y - 2 * size]])
        cv2.fillPoly(image, [roof], random_colour(rng, 0.7, 0.6))
        return
    cv2.line(image, _px((x, y + size)), _px((x, y - size)), (0.1, 0.15, 0.2), max(1, int(0.3 * size)))
    for _ in range(12):
        spot = (x + rng.normal(0, 0.5 * size), y - size + rng.normal(0, 0.6 * size))
        shade = tuple(c * rng.uniform(0.6, 1.5) for c in colour)
        cv2.circle(image, _px(spot), max(1, int(0.4 * size)), shade, -1)


def abstract(rng: np.random.Generator, height: int, width: int, scale: float) -> np.ndarray:
    """Return an abstract painting: brushed shapes of many sizes."""
    image = flat(height, width, random_colour(rng))
    size = 0.35 * min(height, width)
    for _ in range(70):
        centre, colour = rng.uniform(0, [width, height]), random_colour(rng, 0.8, 0.7)
        if rng.random() < 0.5:
            corners = centre + rng.normal(0, size, (rng.integers(3, 6), 2))
            cv2.fillPoly(image, [corners.astype(np.int32)], colour)
        else:
            axes = _px(np.abs(rng.normal(0, size, 2)) + 1)
            thick = -1 if rng.random() < 0.6 else max(1, int(0.1 * size))
            cv2.ellipse(image, _px(centre), axes, rng.uniform(0, 180), 0, 360, colour, thick)
        size = max(0.94 * size, 3.0)
    return image * (1.0 + 0.1 * fractal(rng, height, width, 0.1 * scale, 0.8, 3.0)[..., None])


def printed(rng: np.random.Generator, height: int, width: int, scale: float) -> np.ndarray:
    """Return a printed sheet: a headline, lines of text, now and then a picture."""
    paper, ink = random_colour(rng, 0.15, 0.85), random_colour(rng, 0.7, 0.25)
    image = flat(height, width, paper)
    margin = 0.08 * width
    y = margin
    while y < height - margin:
        if height > 40 and rng.random() < 0.18 and height - y > 0.35 * height:
            h, w = int(0.25 * height), int((1 - rng.uniform(0.16, 0.5)) * width)
            x = int(rng.uniform(0, width - w))
            image[int(y) : int(y) + h, x : x + w] = abstract(rng, h, w, scale)
            y += h + 0.03 * height
            continue
        line = float(rng.choice([0.03, 0.03, 0.04, 0.1])) * height
        _write(image, rng, (margin, y + 0.75 * line), line, width - 2 * margin, ink)
        y += 1.15 * line
    return image + 0.02 * fractal(rng, height, width, 0.3 * scale, 0.7)[..., None]


def _write(
    image: np.ndarray, rng: np.random.Generator, start: tuple[float, float], line: float, room: float,
    ink: Colour,
) -> None:  # fmt: skip
    if line < 4.0:  # too small to be read: a line of print is a grey bar
        end = (start[0] + room * rng.uniform(0.5, 1.0), start[1])
        cv2.line(image, _px(start), _px(end), ink, max(1, int(0.5 * line)))
        return
    size = line / 34.0
    count = max(2, int(room * rng.uniform(0.5, 1.0) / (19.0 * size)))
    text = "".join(" " if rng.random() < 0.16 else rng.choice(LETTERS) for _ in range(min(count, 60)))
    thick = max(1, round(2 * size))
    font = FONTS[rng.integers(len(FONTS))]
    height, width = image.shape[:2]
    rows = slice(max(0, int(start[1] - 1.2 * line)), min(height, int(start[1] + 0.5 * line) + 1))
    ink_mask = np.zeros((max(0, rows.stop - rows.start), width), np.uint8)  # text is drawn on 8 bit only
    if ink_mask.size == 0:
        return
    cv2.putText(ink_mask, text, _px((start[0], start[1] - rows.start)), font, size, 255, thick, cv2.LINE_AA)
    share = (ink_mask.astype(np.float32) / 255.0)[..., None]
    image[rows] += share * (np.float32(ink) - image[rows])


def picture(rng: np.random.Generator, height: int, width: int, scale: float) -> np.ndarray:
    """Return a framed picture of any kind."""
    kind: Texture = (landscape, abstract, printed, landscape)[rng.integers(4)]
    edge = max(2, int(rng.uniform(0.015, 0.035) * scale))
    image = flat(height, width, random_colour(rng, 0.3, 0.35))
    image[edge:-edge, edge:-edge] = kind(rng, height - 2 * edge, width - 2 * edge, scale)
    return image


def window(rng: np.random.Generator, height: int, width: int, scale: float) -> np.ndarray:
    """Return a window with a bright view and crossed bars."""
    image = np.minimum(1.25 * landscape(rng, height, width, scale) + 0.15, 1.0)
    bar = max(2, int(0.05 * scale))
    white = (0.85, 0.87, 0.88)
    cv2.rectangle(image, (0, 0), (width - 1, height - 1), white, 2 * bar)
    cv2.line(image, (width // 2, 0), (width // 2, height), white, bar)
    cv2.line(image, (0, int(0.35 * height)), (width, int(0.35 * height)), white, bar)
    return image


def door(rng: np.random.Generator, height: int, width: int, scale: float) -> np.ndarray:
    """Return a door with panels and a handle."""
    image = np.rot90(wood(rng, width, height, scale)).copy()
    for x0, y0, x1, y1 in ((0.15, 0.08, 0.85, 0.42), (0.15, 0.5, 0.85, 0.92)):
        corners = _px((x0 * width, y0 * height)), _px((x1 * width, y1 * height))
        cv2.rectangle(image, *corners, (0.1, 0.16, 0.22), max(2, int(0.015 * scale)))
    cv2.circle(image, _px((0.92 * width, 0.46 * height)), int(0.03 * scale), (0.75, 0.8, 0.8), -1)
    sign = printed(rng, int(0.3 * scale), int(0.22 * scale), scale)
    y, x = int(0.17 * height), int(0.5 * width - 0.11 * scale)
    image[y : y + sign.shape[0], x : x + sign.shape[1]] = sign
    return image


def books(rng: np.random.Generator, height: int, width: int, scale: float) -> np.ndarray:
    """Return a filled bookcase: boards, spines of all colours and heights, titles, gaps."""
    image = flat(height, width, (0.06, 0.08, 0.1))
    board = max(2, int(0.025 * scale))
    shelf = height / max(1, round(height / (0.33 * scale)))
    for top in np.arange(0, height - 1, shelf):
        x = float(board)
        floor = int(top + shelf - board)
        while x < width - board:
            thick = int(rng.uniform(0.018, 0.06) * scale)
            tall = int(rng.uniform(0.6, 0.97) * (shelf - board))
            if rng.random() < 0.93:
                spine = flat(max(thick, 2), max(tall, 4), random_colour(rng, 0.6, 0.55))
                _write(spine, rng, (0.1 * tall, 0.68 * thick), 0.6 * thick, 0.8 * tall, (0.9, 0.9, 0.85))
                spine = np.rot90(spine)[:, : max(0, width - board - int(x))]
                image[floor - spine.shape[0] : floor, int(x) : int(x) + spine.shape[1]] = spine
            x += thick + 1
        image[floor : floor + board] = wood(rng, board, width, scale)[: height - floor]
    image[:, :board] = image[:, -board:] = (0.25, 0.4, 0.55)
    return image * (1.0 + 0.06 * fractal(rng, height, width, 0.1 * scale, 0.8)[..., None])


def cupboard(rng: np.random.Generator, height: int, width: int, scale: float) -> np.ndarray:
    """Return the front of a cupboard: doors or drawers with handles."""
    paint = random_colour(rng, 0.35, 0.6) if rng.random() < 0.5 else None
    image = wood(rng, height, width, scale, paint)
    columns, rows = max(1, round(width / (0.5 * scale))), max(1, round(height / (0.4 * scale)))
    for y in np.linspace(0, height, rows + 1)[:-1]:
        for x in np.linspace(0, width, columns + 1)[:-1]:
            w, h = width / columns, height / rows
            image[int(y) : int(y + h), int(x) : int(x + w)] *= rng.uniform(0.82, 1.12)
            cv2.rectangle(image, _px((x, y)), _px((x + w, y + h)), (0.05, 0.06, 0.08), 2)
            handle = _px((x + 0.35 * w, y + 0.18 * h)), _px((x + 0.65 * w, y + 0.18 * h + 0.02 * scale))
            cv2.rectangle(image, *handle, (0.8, 0.8, 0.78), -1)
            if rng.random() < 0.35:
                label = printed(rng, int(0.35 * h), int(0.3 * w), scale)
                ly, lx = int(y + 0.5 * h), int(x + rng.uniform(0.1, 0.6) * w)
                image[ly : ly + label.shape[0], lx : lx + label.shape[1]] = label
    return image


def carton(rng: np.random.Generator, height: int, width: int, scale: float) -> np.ndarray:
    """Return one side of a cardboard box: tape, print, a label, dents."""
    image = flat(height, width, tuple(np.float32([0.36, 0.52, 0.66]) * rng.uniform(0.75, 1.1)))
    image *= 1.0 + 0.09 * fractal(rng, height, width, 0.3 * scale, 0.65, 2.0)[..., None]
    tape = int(0.5 * width + rng.normal(0, 0.03) * width)
    half = max(2, int(0.025 * scale))
    image[:, max(tape - half, 0) : tape + half] = (0.5, 0.66, 0.76)
    for _ in range(3):
        line = rng.uniform(0.08, 0.22) * height
        start = (rng.uniform(0.02, 0.4) * width, rng.uniform(0.2, 0.9) * height)
        _write(image, rng, start, line, 0.6 * width, random_colour(rng, 0.8, 0.25))
    h, w = int(0.3 * height), int(0.4 * width)
    y, x = int(rng.uniform(0, height - h)), int(rng.uniform(0, width - w))
    image[y : y + h, x : x + w] = printed(rng, h, w, scale)
    return image


def fabric(rng: np.random.Generator, height: int, width: int, scale: float) -> np.ndarray:
    """Return upholstery: a weak weave with folds."""
    weave = fractal(rng, height, width, 0.02 * scale, 0.8)
    folds = fractal(rng, height, width, 0.5 * scale, 0.45)
    return flat(height, width, random_colour(rng, 0.5, 0.5)) * (1.0 + 0.1 * weave + 0.13 * folds)[..., None]


def rug(rng: np.random.Generator, height: int, width: int, scale: float) -> np.ndarray:
    """Return a woven rug with nested borders and medallions."""
    image = flat(height, width, random_colour(rng, 0.7, 0.45))
    for inset in np.linspace(0.02, 0.2, 6) * min(height, width):
        corners = _px((inset, inset)), _px((width - inset, height - inset))
        cv2.rectangle(image, *corners, random_colour(rng, 0.7, 0.5), max(2, int(0.03 * scale)))
    for _ in range(40):
        spot = rng.uniform(0.22, 0.78, 2) * [width, height]
        points, radius = rng.integers(4, 9), rng.uniform(0.03, 0.14) * scale
        angles = np.arange(2 * points) * np.pi / points
        radii = radius * np.where(np.arange(2 * points) % 2, 0.5, 1.0)
        star = spot + np.stack([radii * np.cos(angles), radii * np.sin(angles)], -1)
        cv2.fillPoly(image, [star.astype(np.int32)], random_colour(rng, 0.7, 0.6))
    return image * (1.0 + 0.13 * fractal(rng, height, width, 0.06 * scale, 0.85)[..., None])


def noticeboard(rng: np.random.Generator, height: int, width: int, scale: float) -> np.ndarray:
    """Return a cork board with sheets pinned on it at all angles."""
    cork = 1.0 + 0.15 * fractal(rng, height, width, 0.05 * scale, 0.8)
    image = flat(height, width, (0.3, 0.48, 0.62)) * cork[..., None]
    for _ in range(int(14 * height * width / scale**2)):
        h, w = (rng.uniform(0.15, 0.32, 2) * scale).astype(int)
        kind: Texture = (printed, printed, abstract, landscape)[rng.integers(4)]
        sheet = kind(rng, h, w, scale)
        turn = cv2.getRotationMatrix2D((w / 2, h / 2), rng.normal(0, 8), 1.0)
        turn[:, 2] += rng.uniform(0, [max(width - w, 1), max(height - h, 1)])
        cv2.warpAffine(
            sheet, turn, (width, height), dst=image, flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_TRANSPARENT,
        )  # fmt: skip
    return image


def paste(wall: np.ndarray, item: np.ndarray, left: float, top: float) -> None:
    """Put an item on a wall in place, at texels (left, top), with a soft shadow below it."""
    x, y = int(left), int(top)
    h, w = item.shape[0], item.shape[1]
    shadow = max(2, h // 40)
    wall[y + shadow : y + h + shadow, x + shadow : x + w + shadow] *= 0.72
    target = wall[y : y + h, x : x + w]
    target[:] = item[: target.shape[0], : target.shape[1]]


def _px(point: tuple[float, float] | np.ndarray) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
