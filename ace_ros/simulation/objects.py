# SPDX-License-Identifier: Apache-2.0
"""Procedural pictures and other things with a front, for the walls and furniture of the simulated room.

Functions are as in `simulated_textures`: a random generator, a size in texels and texels per metre in,
an albedo image (height, width, 3) float32 in [0, 1], BGR, out.
"""

from __future__ import annotations

import cv2
import numpy as np

from ace_ros.simulation.textures import Colour, Texture, flat, fractal, px, random_colour, wood

SKY, GREEN = (0.52, 0.66), (0.08, 0.4)  # hues
LETTERS = np.array(list("ABCDEFGHIKLMNOPRSTUVWXYZabcdeghiklmnopqrstuvyz0123456789&?!"))
FONTS = (cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)


def landscape(rng: np.random.Generator, height: int, width: int, scale: float) -> np.ndarray:
    """Return a view outdoors: sky with clouds, hills one behind the other, trees, a house or two."""
    top, low = (np.array(random_colour(rng, s, v, SKY), np.float32) for s, v in ((0.5, 0.8), (0.25, 0.95)))
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    image = top * (1 - ramp) + low * ramp + np.zeros((height, width, 3), np.float32)
    clouds = np.clip(fractal(rng, height, width, 0.5 * height, 0.55, 2.0), 0, 2)
    image += 0.15 * clouds[..., None]
    rows = np.arange(height)[:, None]
    for layer in range(4):
        ridge = height * (0.35 + 0.16 * layer) + 0.07 * height * fractal(rng, 1, width, 0.5 * width)[0]
        ground = np.array(random_colour(rng, 0.5, 0.3 + 0.1 * layer, GREEN), np.float32)
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
        cv2.rectangle(image, px((x - size, y - size)), px((x + size, y + size)), colour, -1)
        roof = np.array([[x - 1.3 * size, y - size], [x + 1.3 * size, y - size], [x, y - 2 * size]])
        cv2.fillPoly(image, [roof.astype(np.int32)], random_colour(rng, 0.7, 0.6))
        return
    cv2.line(image, px((x, y + size)), px((x, y - size)), (0.1, 0.15, 0.2), max(1, int(0.3 * size)))
    for _ in range(12):
        spot = (x + rng.normal(0, 0.5 * size), y - size + rng.normal(0, 0.6 * size))
        shade = tuple(c * rng.uniform(0.6, 1.5) for c in colour)
        cv2.circle(image, px(spot), max(1, int(0.4 * size)), shade, -1)


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
            axes = px(np.abs(rng.normal(0, size, 2)) + 1)
            thick = -1 if rng.random() < 0.6 else max(1, int(0.1 * size))
            cv2.ellipse(image, px(centre), axes, rng.uniform(0, 180), 0, 360, colour, thick)
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
        cv2.line(image, px(start), px(end), ink, max(1, int(0.5 * line)))
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
    cv2.putText(ink_mask, text, px((start[0], start[1] - rows.start)), font, size, 255, thick, cv2.LINE_AA)
    share = (ink_mask.astype(np.float32) / 255.0)[..., None]
    image[rows] += share * (np.array(ink, np.float32) - image[rows])


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
        corners = px((x0 * width, y0 * height)), px((x1 * width, y1 * height))
        cv2.rectangle(image, *corners, (0.1, 0.16, 0.22), max(2, int(0.015 * scale)))
    cv2.circle(image, px((0.92 * width, 0.46 * height)), int(0.03 * scale), (0.75, 0.8, 0.8), -1)
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
            cv2.rectangle(image, px((x, y)), px((x + w, y + h)), (0.05, 0.06, 0.08), 2)
            handle = px((x + 0.35 * w, y + 0.18 * h)), px((x + 0.65 * w, y + 0.18 * h + 0.02 * scale))
            cv2.rectangle(image, *handle, (0.8, 0.8, 0.78), -1)
            if rng.random() < 0.35:
                label = printed(rng, int(0.35 * h), int(0.3 * w), scale)
                ly, lx = int(y + 0.5 * h), int(x + rng.uniform(0.1, 0.6) * w)
                image[ly : ly + label.shape[0], lx : lx + label.shape[1]] = label
    return image


def carton(rng: np.random.Generator, height: int, width: int, scale: float) -> np.ndarray:
    """Return one side of a cardboard box: tape, print, a label, dents."""
    image = flat(height, width, tuple(np.array([0.36, 0.52, 0.66], np.float32) * rng.uniform(0.75, 1.1)))
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
        corners = px((inset, inset)), px((width - inset, height - inset))
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
        turn[:, 2] = turn[:, 2] + rng.uniform(0, [max(width - w, 1), max(height - h, 1)])
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
