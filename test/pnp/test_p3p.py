# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ace_ros.pnp.p3p import cross, intersect_conics, isolated_root, norm, p3p

KINDS = ("usual", "near_collinear", "tiny", "far", "large_coordinates", "uneven", "narrow_rays", "symmetric")
# Relative: how close the best solution comes to the true pose for all but the worst triple in a
# thousand, whose geometry amplifies rounding.
CLOSE = {"usual": 1e-8, "near_collinear": 1e-3, "tiny": 1e-5, "far": 1e-5, "narrow_rays": 1e-4}


def triples(kind: str, count: int, seed: int = 7) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return rays and points (3, 3, count), R (3, 3, count) and t (3, count) that made them."""
    g = torch.Generator().manual_seed(seed)

    def uniform(*shape: int, low: float = -1.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=g, dtype=torch.float64)

    places = torch.cat([uniform(3, 2, count), torch.ones(3, 1, count, dtype=torch.float64)], 1)
    places = places * uniform(3, 1, count, low=0.5, high=5.0)
    if kind == "near_collinear":
        share = uniform(1, count, low=0.2, high=0.8)
        places[2] = places[0] + share * (places[1] - places[0]) + 1e-3 * uniform(3, count)
    elif kind == "tiny":
        places[1:] = places[0] + 1e-3 * uniform(2, 3, count)
    elif kind == "far":
        places[:, 2] += 1000.0
    elif kind == "uneven":
        places[0] *= 100.0
    elif kind == "narrow_rays":
        places[1] = places[0] * uniform(1, count, low=1.5, high=3.0) + 1e-2 * uniform(3, count)
    elif kind == "symmetric":
        corners = torch.tensor([[1.0, 0.0, 3.0], [-0.5, 0.75**0.5, 3.0], [-0.5, -(0.75**0.5), 3.0]])
        places = corners.double()[..., None].expand(3, 3, count).clone()
    Q, _ = torch.linalg.qr(torch.randn(count, 3, 3, generator=g, dtype=torch.float64))
    R = (Q * torch.linalg.det(Q)[:, None, None]).permute(1, 2, 0)
    t = uniform(3, count, low=-3.0, high=3.0) * (1e6 if kind == "large_coordinates" else 1.0)
    points = torch.einsum("jim,kjm->kim", R, places - t)  # R' (places - t)
    return places, points, R, t


@pytest.mark.parametrize("kind", KINDS)
def test_the_true_pose_is_among_the_solutions(kind: str) -> None:
    rays, points, R, _ = triples(kind, 5_000)
    R_found, t_found, valid = p3p(rays, points)
    # Places of the points in the camera, whatever the coordinates' offset.
    seen = torch.einsum("ijsm,kjm->kism", R_found, points) + t_found
    size = norm(rays - rays.mean(0)).amax(0) + rays[:, 2].amax(0)
    off = (seen - rays[:, :, None]).abs().amax((0, 1)) / size
    turned = (R_found - R[:, :, None]).abs().amax((0, 1))
    best = torch.nan_to_num(torch.maximum(off, turned), nan=torch.inf).amin(0)
    assert valid.any(0).double().mean() > 0.999
    assert best.quantile(0.999) < CLOSE.get(kind, 1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_every_valid_solution_explains_its_triple_and_the_rest_is_nan(kind: str) -> None:
    rays, points, _, _ = triples(kind, 5_000)
    R, t, valid = p3p(rays, points)
    assert torch.isnan(R[:, :, ~valid]).all()
    assert torch.isnan(t[:, ~valid]).all()
    assert torch.isfinite(R[:, :, valid]).all()
    # In relation to the triangle: about the first point, so that offsets do not count.
    edges = torch.einsum("ijsm,kjm->kism", R, points - points[0])
    start = torch.einsum("ijsm,jm->ism", R, points[0]) + t
    seen = edges + start
    ahead = (seen * rays[:, :, None]).sum(1) > 0
    assert ahead[:, valid].all()
    sine = cross(seen.transpose(0, 1), rays.transpose(0, 1)[:, :, None].expand_as(seen.transpose(0, 1)))
    sine = sine.square().sum(0).sqrt() / (norm(seen.flatten(2)).view(seen[:, 0].shape) * norm(rays)[:, None])
    offset = points.abs().amax() * 1e-13 / norm(seen.flatten(2)).view(seen[:, 0].shape)
    assert ((sine - offset)[:, valid] < 1e-4).double().mean() > 0.9995


@pytest.mark.parametrize(
    "degenerate", ["all_equal", "two_equal", "collinear", "nan", "infinite", "zero_rays"]
)
def test_degenerate_triples_are_masked(degenerate: str) -> None:
    rays, points, _, _ = triples("usual", 100)
    if degenerate == "all_equal":
        points = points[:1].expand(3, 3, 100).clone()
    elif degenerate == "two_equal":
        points[1] = points[0]
    elif degenerate == "collinear":
        points[2] = 2 * points[1] - points[0]
    elif degenerate == "zero_rays":
        rays = torch.zeros_like(rays)
    else:
        points[1, 2] = float(degenerate[:3])
    R, t, valid = p3p(rays, points)
    if degenerate == "collinear":  # rounding leaves some a hair's breadth beside the line
        return
    assert not valid.any()
    assert torch.isnan(R).all()
    assert torch.isnan(t).all()


def test_triples_of_a_batch_are_solved_as_alone() -> None:
    rays, points, _, _ = triples("usual", 12)
    together = p3p(rays.reshape(3, 3, 3, 4), points.reshape(3, 3, 3, 4))
    for i in range(12):
        alone = p3p(rays[..., i : i + 1], points[..., i : i + 1])
        for a, b in zip(together, alone, strict=True):
            assert torch.allclose(
                a.flatten(-2)[..., i : i + 1].double(), b.double(), rtol=1e-9, atol=1e-9, equal_nan=True
            )


def test_conics_meet_where_they_were_made_to_meet() -> None:
    g = torch.Generator().manual_seed(3)
    # Each conic is a pair of lines through two of four points: the four points are all they share.
    corners = torch.randn(4, 2, 500, generator=g, dtype=torch.float64)
    one = torch.ones_like(corners[:, 0])
    p = torch.stack([corners[:, 0], corners[:, 1], one], 1)  # (4, 3, 500)

    def pair(i: int, j: int, k: int, m: int) -> tuple[Tensor, ...]:
        a, b = cross(p[i], p[j]), cross(p[k], p[m])
        matrix = 0.5 * (a[:, None] * b[None] + b[:, None] * a[None])
        matrix = matrix / matrix.abs().amax((0, 1))
        return matrix[0, 0], matrix[0, 1], matrix[1, 1], matrix[0, 2], matrix[1, 2], matrix[2, 2]

    first = tuple(a + 0.3 * b for a, b in zip(pair(0, 1, 2, 3), pair(0, 2, 1, 3), strict=True))
    x, y = intersect_conics(first, pair(0, 2, 1, 3))  # type: ignore[arg-type]
    apart = ((x[:, None] - corners[:, 0]).square() + (y[:, None] - corners[:, 1]).square()).sqrt()
    apart = torch.nan_to_num(apart, nan=torch.inf)
    assert apart.amin(0).quantile(0.98) < 1e-6


@pytest.mark.parametrize("roots", [(1.0, 2.0, 5.0), (-4.0, 1.0, 1.0), (1e-3, 0.0, -1e6), (2.0, 2.0, 2.0)])
def test_the_isolated_root_is_the_one_farthest_from_the_others(roots: tuple[float, float, float]) -> None:
    a, b, c = (torch.tensor([r], dtype=torch.float64) for r in roots)
    found = isolated_root(-(a + b + c), a * b + b * c + c * a, -a * b * c)
    values = torch.tensor(roots, dtype=torch.float64)
    lonely = values[(values - values.median()).abs().argmax()]
    assert torch.allclose(found, lonely, rtol=1e-5)


def test_a_cubic_with_one_real_root_gives_it() -> None:
    root = isolated_root(*(torch.tensor([v], dtype=torch.float64) for v in (-1.0, 1.0, -1.0)))
    assert torch.allclose(root, torch.ones(1, dtype=torch.float64))
