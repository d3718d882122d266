# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ace_ros.errors import ConfigError, SceneError
from ace_ros.mapping.jobs.splitting import MIN_FRAMES, OVERLAP, split_frames

DEPTH_M = 3.0


def looking(positions: np.ndarray, yaw: np.ndarray) -> Tensor:
    """Return T_map_camera (F, 4, 4) of level cameras at positions (F, 3), z up, looking along yaw (F,)."""
    T = torch.eye(4, dtype=torch.float64).repeat(len(positions), 1, 1)
    T[:, 0, 2], T[:, 1, 2] = torch.from_numpy(np.cos(yaw)), torch.from_numpy(np.sin(yaw))
    T[:, 0, 0], T[:, 1, 0] = torch.from_numpy(np.sin(yaw)), torch.from_numpy(-np.cos(yaw))
    T[:, :3, 1] = torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64)
    T[:, 2, 2] = 0.0
    T[:, :3, 3] = torch.from_numpy(positions)
    return T


def floor(frames: int, size: tuple[float, float], height: float, seed: int) -> Tensor:
    rng = np.random.default_rng(seed)
    positions = np.column_stack([rng.random((frames, 2)) * size, np.full(frames, height)])
    return looking(positions, rng.uniform(-math.pi, math.pi, frames))


def own_frames(chunks: list[Tensor], frames: int) -> list[int]:
    """Return how many frames each chunk has alone, after a check that none is left out."""
    count = torch.bincount(torch.cat(chunks), minlength=frames)
    assert count.min() >= 1
    return [int((count[c] == 1).sum()) for c in chunks]


@pytest.mark.parametrize("chunks", [2, 3, 4, 7, 8])
def test_a_long_corridor_is_cut_across_into_pieces_of_equal_length(chunks: int) -> None:
    x = np.linspace(0.0, 80.0, 400)
    there_and_back = np.where(np.arange(400) % 2 == 0, 0.0, math.pi)
    turn = np.radians(30.0)
    along = np.stack([x * np.cos(turn), x * np.sin(turn), 0.0 * x + 1.5], 1)
    parts = split_frames(looking(along, there_and_back + turn), chunks, DEPTH_M)
    assert len(parts) == chunks
    own_frames(parts, 400)
    for part in parts:
        length = float(np.ptp(x[part.numpy()]))
        assert 0.75 * 80 / chunks < length < (1 + 2 * OVERLAP) * 1.2 * 80 / chunks
        assert len(part) <= math.ceil(1.1 * 400 / chunks) * (1 + 2 * OVERLAP) + 2
    middles = [float(np.median(x[p.numpy()])) for p in parts]
    assert sorted(middles) in (middles, middles[::-1])  # neighbours are neighbours


def test_neighbours_share_the_frames_that_look_across_their_border() -> None:
    x = np.linspace(0.0, 80.0, 400)
    T = looking(np.column_stack([x, 0 * x, 0 * x]), 0 * x)
    left, right = (set(p.tolist()) for p in split_frames(T, 2, DEPTH_M))
    shared = sorted(left & right)
    assert 10 <= len(shared) <= 0.3 * 200
    assert shared == list(range(shared[0], shared[-1] + 1))  # all there are around the border
    # The cameras look along x: those before the border see over it, those behind it do not.
    border = float(x[shared].mean()) + 0.5 * DEPTH_M
    assert 36.0 < border < 44.0
    assert len(left | right) == 400


@pytest.mark.parametrize("lower", [300, 270, 330])
def test_two_floors_are_two_chunks_although_they_are_wide_and_near(lower: int) -> None:
    T = torch.cat([floor(lower, (20.0, 12.0), 1.5, 0), floor(600 - lower, (20.0, 12.0), 4.5, 1)])
    first, second = split_frames(T, 2, DEPTH_M)
    floors = [set((T[part, 2, 3] > 3.0).tolist()) for part in (first, second)]
    assert sorted(floors, key=str) == [{False}, {True}]
    # Into four, each floor is halved.
    for part in split_frames(T, 4, DEPTH_M):
        assert len(set((T[part, 2, 3] > 3.0).tolist())) == 1


@pytest.mark.parametrize("where", [(1000.0, 600.0, 0.0), (-3000.0, 0.0, 200.0)])
def test_a_pose_far_off_gets_no_chunk_of_its_own_and_moves_no_cut(where: tuple[float, float, float]) -> None:
    T = floor(400, (40.0, 6.0), 1.5, 3)
    off = T[:1].clone()
    off[0, :3, 3] = torch.tensor(where, dtype=torch.float64)
    chunks = split_frames(torch.cat([T, off]), 4, DEPTH_M)
    assert min(own_frames(chunks, 401)) > 20
    for part in chunks:
        x = T[part[part < 400], 0, 3]
        assert float(x.max() - x.min()) < 22.0  # a quarter of 40 m and its borders
    assert sum(400 in part for part in chunks) <= 2


def test_the_number_of_chunks_follows_the_extent_and_the_images() -> None:
    assert len(split_frames(floor(300, (5.0, 4.0), 1.5, 0), 0, DEPTH_M)) == 1
    assert 4 <= len(split_frames(floor(600, (40.0, 4.0), 1.5, 0), 0, DEPTH_M)) <= 6
    few = len(split_frames(floor(130, (300.0, 300.0), 1.5, 0), 0, DEPTH_M))
    assert few == 2  # a head for a handful of images is none
    many = split_frames(floor(20_000, (500.0, 500.0), 1.5, 0), 0, DEPTH_M)
    assert len(many) == 64
    own = own_frames(many, 20_000)
    assert sum(own) > 10_000 and max(map(len, many)) < 2 * min(map(len, many))


def test_a_far_outlier_does_not_make_a_room_a_large_place() -> None:
    T = floor(300, (5.0, 4.0), 1.5, 0)
    T[7, :3, 3] = 5000.0
    assert len(split_frames(T, 0, DEPTH_M)) == 1


def test_the_chunks_do_not_depend_on_the_order_or_the_place_of_the_origin() -> None:
    T = floor(300, (30.0, 12.0), 1.5, 5)
    reference = {frozenset(p.tolist()) for p in split_frames(T, 5, DEPTH_M)}
    assert {frozenset(p.tolist()) for p in split_frames(T, 5, DEPTH_M)} == reference
    order = torch.from_numpy(np.random.default_rng(0).permutation(300))
    shuffled = split_frames(T[order], 5, DEPTH_M)
    assert {frozenset(order[p].tolist()) for p in shuffled} == reference
    far = T.clone()
    far[:, :3, 3] += torch.tensor([500_000.0, 5_400_000.0, 200.0], dtype=torch.float64)
    assert {frozenset(p.tolist()) for p in split_frames(far, 5, DEPTH_M)} == reference


def test_one_chunk_is_everything_in_order() -> None:
    (only,) = split_frames(floor(50, (3.0, 3.0), 1.0, 0), 1, DEPTH_M)
    assert only.tolist() == list(range(50))


def test_fewer_images_than_chunks_are_refused_with_both_numbers() -> None:
    T = floor(10, (10.0, 10.0), 1.0, 0)
    with pytest.raises(SceneError, match="10 images cannot be split into 16 chunks; each needs 4"):
        split_frames(T, 16, DEPTH_M)
    with pytest.raises(SceneError, match="10 images cannot be split into 3 chunks"):
        split_frames(T, 3, DEPTH_M)
    with pytest.raises(ConfigError, match="number of chunks must be at least 0, got -1"):
        split_frames(T, -1, DEPTH_M)
    assert len(split_frames(T[:1], 1, DEPTH_M)) == 1
    for frames, chunks in ((MIN_FRAMES * 2, 2), (MIN_FRAMES * 7, 7), (MIN_FRAMES * 3 + 1, 3)):
        parts = split_frames(floor(frames, (10.0, 10.0), 1.0, 0), chunks, DEPTH_M)
        assert len(parts) == chunks and min(map(len, parts)) >= MIN_FRAMES


def test_cameras_at_one_place_are_split_by_where_they_look() -> None:
    yaw = np.linspace(-math.pi, math.pi, 120, endpoint=False)
    parts = split_frames(looking(np.zeros((120, 3)), yaw), 2, DEPTH_M)
    assert min(own_frames(parts, 120)) >= 40 and all(len(p) <= 80 for p in parts)
    same = split_frames(torch.eye(4).repeat(40, 1, 1), 4, DEPTH_M)
    assert len(same) == 4 and min(map(len, same)) >= MIN_FRAMES
