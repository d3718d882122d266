# SPDX-License-Identifier: Apache-2.0
"""The pose of a camera from three points, for many triples at once and without branches.

After Ding et al., "Revisiting the P3P Problem" (CVPR 2023): the two ratios of the three depths
are the intersections of two conics; one degenerate member of their pencil, from one real root of
a cubic, splits them into the intersections of two lines with a conic. Two things differ here:

- The conics are written in the differences of the depths over the angles between the rays, and
  the angles come from chords. Neither cancels when the triangle is small or far away.
- Of the cubic's real roots the one farthest from the other two is taken. It is never close to a
  double root, so that the pencil's member is well defined.

The batch comes last in every shape: each of the many small operations then runs over contiguous
memory. Triples without an answer are masked and hold NaN, never anything else.
"""

from __future__ import annotations

import torch
from torch import Tensor

TINY = 1e-40
# A conic is named by its six coefficients of x^2, xy, y^2, x, y, 1, with xy, x and y halved.
Conic = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
# Which of three: masks (*S) of the first and of the second, int64 with all bits set or none.
Place = tuple[Tensor, Tensor]


def p3p(rays: Tensor, points: Tensor, polish: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Return the poses under which rays see points.

    `rays` (3, 3, *S): for each of three points the x, y, z of its direction from the camera, of
    any length. `points` (3, 3, *S): their places in the map. Both float64. `polish` counts the
    Newton steps on the depths. Returns R (3, 3, 4, *S), t (3, 4, *S), which take points from map
    to camera, and valid (4, *S); up to four poses explain one triple, and a double one may appear
    twice. What is not valid is NaN.
    """
    rays = rays / norm(rays)[:, None]
    chords, sides = squared_sides(rays), squared_sides(points)
    depths = depths_from_sides(chords, sides)  # (3, 4, *S)
    depths, valid = polish_depths(depths, chords[:, None], sides[:, None], polish)
    R, t = pose_from_depths(rays[:, :, None], points[:, :, None], depths)
    valid = valid & torch.isfinite(R).all(0).all(0) & torch.isfinite(t).all(0)
    return torch.where(valid, R, torch.nan), torch.where(valid, t, torch.nan), valid


def norm(vectors: Tensor) -> Tensor:
    """Return the lengths (3, *S) of three vectors (3, 3, *S)."""
    x, y, z = vectors.unbind(1)
    return (x * x + y * y + z * z).sqrt()


def squared_sides(corners: Tensor) -> Tensor:
    """Return the squared sides (3, *S) of triangles (3, 3, *S); side i lies opposite corner i."""
    a, b, c = corners
    return torch.stack([_dot(e, e) for e in (b - c, c - a, a - b)])


def depths_from_sides(chords: Tensor, sides: Tensor) -> Tensor:
    """Return the depths (3, 4, *S) of three points along unit rays, NaN where there is no solution.

    `chords` (3, *S): squared sides of the triangle that the unit rays' tips make, so that points
    at depths d and e are (d - e)^2 + d e chord apart; `sides` (3, *S): those of the points.
    """
    # The longest side lies between the second and third corner (B, C): it divides the others.
    shift = _largest(*sides)
    side_bc, side_ac, side_ab = _rotated(sides, shift)
    chord_bc, chord_ac, chord_ab = _rotated(chords, shift)
    a, b = side_ab / side_bc, side_ac / side_bc
    total = chord_bc + chord_ac + chord_ab
    e_bc, e_ac, e_ab = chord_bc / total, chord_ac / total, chord_ab / total
    # Depths are 1 + size x of A and 1 + size y of B where that of C is 1. One conic says that AB
    # is a times BC, the other that AC is b times BC.
    size = total.sqrt()
    excess_ab, excess_ac = e_ab - a * e_bc, e_ac - b * e_bc
    one, half = torch.ones_like(a), 0.5 * size
    first = (one, 0.5 * chord_ab - 1, 1 - a, half * e_ab, half * excess_ab, excess_ab)
    second = (one, torch.zeros_like(a), -b, half * e_ac, -half * b * e_bc, excess_ac)
    x, y = intersect_conics(first, second)  # (4, *S)
    depth_a, depth_b = 1 + size * x, 1 + size * y
    apart = y * y + depth_b * e_bc + x * x + depth_a * e_ac + (x - y).square() + depth_a * depth_b * e_ab
    scale = ((side_bc + side_ac + side_ab) / (total * apart)).sqrt()
    a, b, c = depth_a * scale, depth_b * scale, scale
    return torch.stack([_choose(shift, a, c, b), _choose(shift, b, a, c), _choose(shift, c, b, a)])


def _rotated(corners: Tensor, shift: Place) -> tuple[Tensor, Tensor, Tensor]:
    a, b, c = corners
    return _choose(shift, a, b, c), _choose(shift, b, c, a), _choose(shift, c, a, b)


def intersect_conics(first: Conic, second: Conic) -> tuple[Tensor, Tensor]:
    """Return x, y (4, *S) of the points common to two conics, NaN where they are not real."""
    alpha, beta = degenerate_member(first, second)
    l0, l1, l2 = split(_member(alpha, first, beta, second))  # (2, *S)
    # The member of the pencil that is least like the degenerate one.
    other = [c[None] for c in _member(beta, first, -alpha, second)]
    swap = _mask(l0.abs() > l1.abs())  # solve along y where the line is steep
    l0, l1 = _swapped(swap, l0, l1)
    xx, yy = _swapped(swap, other[0], other[2])
    x1, y1 = _swapped(swap, other[3], other[4])
    g, h = -l0 / l1, -l2 / l1  # y = g x + h
    a = xx + g * (2 * other[1] + g * yy)
    b = h * (other[1] + g * yy) + x1 + g * y1
    c = h * (h * yy + 2 * y1) + other[5]
    u = torch.cat(quadratic_roots(a, b, c))  # (4, *S)
    v = torch.cat([g, g]) * u + torch.cat([h, h])
    return _swapped(torch.cat([swap, swap]), u, v)


def _member(alpha: Tensor, first: Conic, beta: Tensor, second: Conic) -> Conic:
    xx, xy, yy, x, y, one = (alpha * f + beta * s for f, s in zip(first, second, strict=True))
    return xx, xy, yy, x, y, one


def degenerate_member(first: Conic, second: Conic) -> tuple[Tensor, Tensor]:
    """Return alpha, beta (*S) such that alpha first + beta second is a pair of lines."""
    f, s = adjugate(first), adjugate(second)
    k0, k3 = determinant(first, f), determinant(second, s)
    k1, k2 = _trace_of_product(f, second), _trace_of_product(s, first)
    swap = _mask(k0.abs() > k3.abs())
    k0, k3 = _swapped(swap, k0, k3)
    k1, k2 = _swapped(swap, k1, k2)
    lead = torch.where(k3.abs() < TINY, TINY, k3)  # both ends vanish for some symmetric triples
    root = isolated_root(k2 / lead, k1 / lead, k0 / lead)
    size = root.abs().clamp(min=1.0)
    one, root = 1 / size, root / size
    return _swapped(swap, one, root)


def isolated_root(b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """Return the real root of x^3 + b x^2 + c x + d that is farthest from the other two."""
    shift = b / 3
    p = c / 3 - shift * shift  # t^3 + 3 p t + 2 q with t = x + b / 3
    q = 0.5 * (d - shift * c) + shift**3
    discriminant = q * q + p**3
    # Three real roots: 2 r cos; one: Cardano. Both have the sign against q, which is the side of
    # the lonely root.
    r = (-p).clamp(min=0.0).sqrt()
    angle = torch.acos((q.abs() / (r**3).clamp(min=TINY)).clamp(max=1.0)) / 3
    w = (q.abs() + discriminant.clamp(min=0.0).sqrt()).pow(1 / 3)
    lonely = torch.where(discriminant > 0, w - p / w.clamp(min=TINY), 2 * r * torch.cos(angle))
    root = -torch.copysign(lonely, q) - shift
    for _ in range(2):
        slope = (3 * root + 2 * b) * root + c
        step = (((root + b) * root + c) * root + d) / slope
        root = root - torch.nan_to_num(step, 0.0, 0.0, 0.0)
    return root


def split(conic: Conic) -> tuple[Tensor, Tensor, Tensor]:
    """Return the two lines (2, *S), as three coefficients, of a degenerate conic."""
    xx, xy, yy, x, y, one = conic
    # The adjugate of p q' + q p' is -v v' with v = p x q, where the lines meet.
    axx, axy, ayy, ax, ay, a1 = adjugate(conic)
    best = _largest(-axx, -ayy, -a1)
    size = -_choose(best, axx, ayy, a1)
    unit = -1 / size.clamp(min=TINY).sqrt()
    v0 = _choose(best, axx, axy, ax) * unit
    v1 = _choose(best, axy, ayy, ay) * unit
    v2 = _choose(best, ax, ay, a1) * unit
    # conic + skew(v) is 2 p q': any row is one line, any column the other.
    rows = ((xx, xy - v2, x + v1), (xy + v2, yy, y - v0), (x - v1, y + v0, one))
    columns = tuple(zip(*rows, strict=True))
    row = _largest(*(_sum_of_sizes(r) for r in rows))
    column = _largest(*(_sum_of_sizes(c) for c in columns))
    p = [_choose(row, *entries) for entries in columns]
    q = [_choose(column, *entries) for entries in rows]
    return torch.stack([p[0], q[0]]), torch.stack([p[1], q[1]]), torch.stack([p[2], q[2]])


# Selections are made on the bits of float64 numbers: exact, NaN and infinity included, and up to
# five times faster on a CPU than torch.where, which branches on a mask that no one can predict.


def _mask(condition: Tensor) -> Tensor:
    return condition.long().neg()


def _largest(a: Tensor, b: Tensor, c: Tensor) -> Place:
    """Return where the first and where the second of three is the largest."""
    first = (a >= b) & (a >= c)
    return _mask(first), _mask(~first & (b >= c))


def _choose(place: Place, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Return the one of three numbers that `place` says."""
    a, b, c = a.view(torch.int64), b.view(torch.int64), c.view(torch.int64)
    return (c ^ ((a ^ c) & place[0]) ^ ((b ^ c) & place[1])).view(torch.float64)


def _swapped(swap: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return a and b, or b and a where the mask is set."""
    a, b = a.view(torch.int64), b.view(torch.int64)
    change = (a ^ b) & swap
    return (a ^ change).view(torch.float64), (b ^ change).view(torch.float64)


def _sum_of_sizes(entries: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    return entries[0].abs() + entries[1].abs() + entries[2].abs()


def quadratic_roots(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Return both roots of a x^2 + 2 b x + c, NaN where they are not real."""
    square = b * b
    discriminant = square - a * c
    # A double root may miss zero by rounding; Newton's steps and their check come later.
    nearly = discriminant > -1e-9 * (square + (a * c).abs())
    root = torch.where(nearly, discriminant.clamp(min=0.0), torch.nan).sqrt()
    q = -(b + torch.copysign(root, b))
    return q / a, c / q


def adjugate(conic: Conic) -> Conic:
    """Return the adjugate of a conic's symmetric matrix, coefficients in the same order."""
    xx, xy, yy, x, y, one = conic
    return (
        yy * one - y * y,
        x * y - xy * one,
        xx * one - x * x,
        xy * y - x * yy,
        xy * x - xx * y,
        xx * yy - xy * xy,
    )


def determinant(conic: Conic, adj: Conic) -> Tensor:
    """Return the determinant of a conic's matrix with its adjugate."""
    return conic[0] * adj[0] + conic[1] * adj[1] + conic[3] * adj[3]


def _trace_of_product(a: Conic, b: Conic) -> Tensor:
    diagonal = a[0] * b[0] + a[2] * b[2] + a[5] * b[5]
    return diagonal + 2 * (a[1] * b[1] + a[3] * b[3] + a[4] * b[4])


def polish_depths(depths: Tensor, chords: Tensor, sides: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Return depths (3, *S) after Newton's steps on the three sides, and which are a solution (*S).

    `chords`, `sides` (3, *S) as in `depths_from_sides`.
    """
    e0, e1, e2 = chords
    a, b, c = depths
    for _ in range(steps):
        f0, f1, f2 = _side_errors(a, b, c, chords, sides)
        # Rows: d f0 = (0, j0b, j0c), d f1 = (j1a, 0, j1c), d f2 = (j2a, j2b, 0).
        j0b, j0c = 2 * (b - c) + c * e0, 2 * (c - b) + b * e0
        j1a, j1c = 2 * (a - c) + c * e1, 2 * (c - a) + a * e1
        j2a, j2b = 2 * (a - b) + b * e2, 2 * (b - a) + a * e2
        inverse = 1 / (j0b * j1c * j2a + j0c * j1a * j2b)
        a = a - torch.nan_to_num((-j1c * j2b * f0 + j0c * j2b * f1 + j0b * j1c * f2) * inverse, 0.0, 0.0, 0.0)
        b = b - torch.nan_to_num((j1c * j2a * f0 - j0c * j2a * f1 + j0c * j1a * f2) * inverse, 0.0, 0.0, 0.0)
        c = c - torch.nan_to_num((j1a * j2b * f0 + j0b * j2a * f1 - j0b * j1a * f2) * inverse, 0.0, 0.0, 0.0)
    f0, f1, f2 = _side_errors(a, b, c, chords, sides)
    error = torch.maximum(torch.maximum(f0.abs(), f1.abs()), f2.abs())
    positive = (a > 0) & (b > 0) & (c > 0)
    return torch.stack([a, b, c]), positive & (error < 1e-7 * sides.amax(0))


def _side_errors(
    a: Tensor, b: Tensor, c: Tensor, chords: Tensor, sides: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return (
        (b - c).square() + b * c * chords[0] - sides[0],
        (a - c).square() + a * c * chords[1] - sides[1],
        (a - b).square() + a * b * chords[2] - sides[2],
    )


def pose_from_depths(rays: Tensor, points: Tensor, depths: Tensor) -> tuple[Tensor, Tensor]:
    """Return R (3, 3, *S) and t (3, *S) that take points (3, 3, *S) to depths (3, *S) on unit rays."""
    places = depths[:, None] * rays
    a, b = points[1] - points[0], points[2] - points[0]
    n = cross(a, b)
    by_nn = 1 / _dot(n, n)
    # The rows of the inverse of (a b n).
    row_a, row_b, row_n = cross(b, n) * by_nn, cross(n, a) * by_nn, n * by_nn
    u, v = places[1] - places[0], places[2] - places[0]
    R = u[:, None] * row_a + v[:, None] * row_b + cross(u, v)[:, None] * row_n  # (3, 3, *S)
    x, y, z = points[0]
    return R, places[0] - (R[:, 0] * x + R[:, 1] * y + R[:, 2] * z)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    # Written out: a sum over a leading axis of three is several times slower.
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a: Tensor, b: Tensor) -> Tensor:
    """Return the cross products (3, *S) of vectors (3, *S)."""
    return torch.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])
