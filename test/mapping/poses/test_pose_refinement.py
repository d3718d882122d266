# SPDX-License-Identifier: Apache-2.0
"""Refinement of drifting poses, on exact tracks and on real images."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ace_ros import cli
from ace_ros.compute.threads import one_thread
from ace_ros.data.scene import Frame, load_scene
from ace_ros.geometry.se3 import from_rotation_translation, inverse, nearest_rotation, so3_exp, transform
from ace_ros.mapping.encoded_images import EncodedImages
from ace_ros.mapping.poses.bundle import INFORMATION, Bundle, State
from ace_ros.mapping.poses.odometry_prior import OdometryPrior
from ace_ros.mapping.poses.refinement import adjust, refine_poses
from ace_ros.mapping.poses.tracks import Tracks, choose_neighbours
from ace_ros.maps.scene_map import SceneMap
from ace_ros.network.encoder_file import load_encoder

FOCAL_PX = 500.0


@pytest.fixture(autouse=True)
def _one_core() -> Iterator[None]:
    with one_thread(torch.device("cpu")):
        yield


def loop(images: int) -> Tensor:
    """Return T_map_camera (I, 4, 4) of a robot that drives two rounds of 1 m and looks along z."""
    angle = torch.linspace(0.0, 4.0 * math.pi, images).double()
    position = torch.stack([angle.cos(), 0.2 * (1.5 * angle).sin(), angle.sin()], 1)
    turn = torch.stack([0.05 * angle.cos(), 0.2 * angle.sin(), 0.0 * angle], 1)
    return from_rotation_translation(so3_exp(turn), position)


def drifted(T: Tensor, seed: int, scale: float = 1.0) -> Tensor:
    """Return poses as an odometry that drifts records them: every step with an error of its own."""
    generator = torch.Generator().manual_seed(seed)
    poses = [T[0]]
    for step in inverse(T[:-1]) @ T[1:]:
        noise = scale * torch.randn(2, 3, generator=generator).double()
        error = from_rotation_translation(so3_exp(0.004 * noise[0]), 0.015 * noise[1])
        poses.append(poses[-1] @ step @ error)
    return torch.stack(poses)


def tracks_of(T: Tensor, false_share: float = 0.0, noise_px: float = 0.0, points: int = 120) -> Tracks:
    """Return tracks of random points 4 to 8 m ahead, some of them false."""
    generator = torch.Generator().manual_seed(1)
    neighbours = choose_neighbours(T, torch.arange(len(T))).clamp(min=0)
    count, others = neighbours.shape
    rays = torch.rand(count, points, 2, generator=generator).double() - 0.5
    depth = 4.0 + 4.0 * torch.rand(count, points, 1, generator=generator).double()
    in_map = transform(T, torch.cat([rays, torch.ones_like(depth)], -1) * depth)
    in_other = transform(inverse(T[neighbours]), in_map[:, None].expand(-1, others, -1, -1)).transpose(1, 2)
    seen = in_other[..., :2] / in_other[..., 2:]
    seen = seen + noise_px / FOCAL_PX * torch.randn(seen.shape, generator=generator)
    wrong = torch.rand(seen.shape[:3], generator=generator) < false_share
    seen[wrong] = torch.rand(seen.shape, generator=generator).double()[wrong] - 0.5
    features = torch.zeros(count, points, 1, dtype=torch.float16)
    return Tracks(torch.arange(count), neighbours, rays, seen, in_other[..., 2] > 0.1, features)


def misfit(T: Tensor, true: Tensor) -> float:
    """Return the median distance in metres of poses from the true ones after their alignment.

    Their scale is aligned, too: images cannot tell it.
    """
    p, q = (poses[:, :3, 3] - poses[:, :3, 3].mean(0) for poses in (T, true))
    R = nearest_rotation(q.T @ p)
    scale = float((R * (q.T @ p)).sum() / p.square().sum())
    return float((scale * p @ R.T - q).norm(dim=1).median())


def test_poses_are_found_again_although_matches_are_false() -> None:
    true = loop(24)
    recorded = drifted(true, seed=0)
    refined = adjust(recorded, tracks_of(true, false_share=0.2, noise_px=1.0), torch.full((24,), FOCAL_PX))
    assert misfit(recorded, true) > 0.03
    assert misfit(refined.T_map_camera, true) < 0.25 * misfit(recorded, true)
    assert refined.explained > 0.75 > refined.explained_before
    assert refined.focal_factor == 1.0


def test_the_map_frame_stays_where_it_was() -> None:
    true = loop(24)
    far = torch.tensor([500_000.0, 5_400_000.0, 100.0], dtype=torch.float64)
    recorded = drifted(true, seed=3)
    tracks, focal = tracks_of(true), torch.full((24,), FOCAL_PX)
    refined = adjust(recorded, tracks, focal).T_map_camera
    torch.testing.assert_close(refined[:, :3, 3].mean(0), recorded[:, :3, 3].mean(0), atol=1e-9, rtol=0)
    mean_turn = nearest_rotation((recorded[:, :3, :3] @ refined[:, :3, :3].mT).mean(0))
    torch.testing.assert_close(mean_turn, torch.eye(3).double(), atol=1e-9, rtol=0)
    # And a scene far from the origin is corrected by the same.
    moved = recorded.clone()
    moved[:, :3, 3] += far
    again = adjust(moved, tracks, focal).T_map_camera
    torch.testing.assert_close(again[:, :3, 3] - far, refined[:, :3, 3], atol=1e-5, rtol=0)


def test_a_false_focal_length_is_found() -> None:
    true = loop(24)
    tracks = tracks_of(true, noise_px=0.5)
    # Rays of a calibration whose focal length is 3 % too long are too near to the axis.
    wrong = replace(tracks, rays=tracks.rays / 1.03, seen=tracks.seen / 1.03)
    focal = torch.full((24,), 1.03 * FOCAL_PX)
    refined = adjust(drifted(true, seed=0), wrong, focal, refine_focal=True)
    assert refined.focal_factor == pytest.approx(1.0 / 1.03, abs=0.006)


def test_poses_that_the_images_do_not_better_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    recorded = loop(12)
    nothing = replace(tracks_of(recorded), found=torch.zeros(12, 120, 8, dtype=torch.bool))
    with caplog.at_level(logging.WARNING):
        refined = adjust(recorded, nothing, torch.full((12,), FOCAL_PX))
    assert torch.equal(refined.T_map_camera, recorded)
    assert "not refined" in caplog.text


def test_the_gradient_is_that_of_the_loss() -> None:
    true, width = loop(10), 8.0
    recorded = drifted(true, seed=1, scale=0.2)
    tracks = tracks_of(true, false_share=0.1, noise_px=1.0)
    state = State(recorded[:, :3, :3], recorded[:, :3, 3], 0.01)
    bundle = Bundle(tracks, torch.full((10,), FOCAL_PX).double(), torch.arange(10), state)
    bundle.search_depths(state, width)
    for _ in range(30):  # until the depths, which are eliminated, are the best ones
        _, gradient = bundle.equations(state, width)
    total = torch.zeros(10, 6).double()
    total.index_add_(0, bundle.star.flatten(), gradient[:, :-1].reshape(-1, 6))

    def loss(corrections: Tensor, log_focal: float) -> Tensor:
        """Return the loss by plain projection, independent of the class under test."""
        scale = math.exp(-log_focal)
        T = from_rotation_translation(
            so3_exp(corrections[:, 3:]) @ state.R, state.positions + corrections[:, :3]
        )
        ahead = torch.cat([scale * tracks.rays, torch.ones(10, 120, 1)], -1) / bundle.inverse_depth[..., None]
        in_map = transform(T, ahead)
        in_other = transform(inverse(T[tracks.neighbours]), in_map[:, None].expand(-1, 8, -1, -1))
        at = (in_other[..., :2] / in_other[..., 2:]).transpose(1, 2)
        square = (FOCAL_PX * (at - scale * tracks.seen)).square().sum(-1)
        return 0.5 * INFORMATION * (tracks.found * square / (1.0 + square / width**2)).sum()

    step = 1e-6
    for image, axis in ((0, 0), (3, 1), (5, 2), (2, 3), (7, 4), (9, 5)):
        nudge = torch.zeros(10, 6).double()
        nudge[image, axis] = step
        numeric = float(loss(nudge, 0.01) - loss(-nudge, 0.01)) / (2 * step)
        assert float(total[image, axis]) == pytest.approx(numeric, rel=2e-3, abs=1e-2)
    still = torch.zeros(10, 6).double()
    numeric = float(loss(still, 0.01 + step) - loss(still, 0.01 - step)) / (2 * step)
    assert float(gradient[:, -1].sum()) == pytest.approx(numeric, rel=2e-3, abs=1e-2)


def test_steps_of_the_odometry_add_up() -> None:
    T = loop(15)
    prior = OdometryPrior(T)
    generator = torch.Generator().manual_seed(0)
    steps = torch.randn(14, 6, generator=generator).double()
    gradient = torch.randn(15, 6, generator=generator).double()
    positions = T[:, :3, 3]
    corrections = prior.corrections(steps, positions)
    assert float(corrections[0].abs().max()) == 0.0
    torch.testing.assert_close(
        (corrections * gradient).sum(), (steps * prior.adjoint(gradient, positions)).sum()
    )
    small = prior.corrections(1e-5 * steps, positions)
    R = so3_exp(small[:, 3:]) @ T[:, :3, :3]
    found = prior.deviations(R, positions + small[:, :3])
    torch.testing.assert_close(found, 1e-5 * steps, atol=1e-8, rtol=1e-3)
    nothing = prior.deviations(T[:, :3, :3], positions)
    torch.testing.assert_close(nothing, torch.zeros(14, 6).double(), atol=1e-7, rtol=0)


def test_neighbours_are_near_look_the_same_way_and_half_of_them_are_of_another_visit() -> None:
    T = loop(60)
    T[20, :3, :3] = T[20, :3, :3] @ so3_exp(torch.tensor([0.0, math.pi, 0.0]).double())
    rows = choose_neighbours(T, torch.arange(len(T)))
    assert (rows[20] == -1).all() and not (rows == 20).any()
    others = rows[10]
    assert len(set(others.tolist())) == 8 and 10 not in others
    assert ((others - 10).abs() > 20).sum() >= 4  # of the second round
    assert float((T[others, :3, 3] - T[10, :3, 3]).norm(dim=1).max()) < 1.0


def drifting_frames(folder: Path) -> tuple[tuple[Frame, ...], Tensor, Tensor]:
    """Return the frames of a scene with drifting poses, these, and the true ones."""
    frames = load_scene(folder).frames
    true = torch.stack([f.T_map_camera for f in frames])
    recorded = drifted(true, seed=1)
    moved = tuple(replace(f, T_map_camera=T) for f, T in zip(frames, recorded, strict=True))
    return moved, recorded, true


def test_images_of_a_wall_tell_where_they_were_taken(simulated_scene: Path) -> None:
    frames, recorded, true = drifting_frames(simulated_scene)
    seen: list[tuple[int, int]] = []
    refined = refine_poses(
        EncodedImages(frames, load_encoder("lite"), torch.device("cpu")),
        on_image=lambda *done: seen.append(done),
    )
    before, after = misfit(recorded, true), misfit(refined.T_map_camera, true)
    assert after < 0.5 * before, (before, after)
    assert seen == sorted(seen) and seen[-1] == (48, 48)


@pytest.mark.slow
def test_a_map_of_refined_poses_shows_its_drive(
    simulated_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames, recorded, _ = drifting_frames(simulated_scene)
    scene = tmp_path / "scene"
    for part in ("rgb", "poses", "calibration"):
        (scene / "train" / part).mkdir(parents=True)
    for frame, T in zip(frames[:8], recorded, strict=False):
        stem = frame.image_path.stem
        (scene / "train" / "rgb" / frame.image_path.name).symlink_to(frame.image_path)
        np.savetxt(scene / "train" / "poses" / f"{stem}.txt", T.numpy())
        np.savetxt(scene / "train" / "calibration" / f"{stem}.txt", frame.camera.matrix.numpy())
    path = tmp_path / "map.safetensors"
    arguments = ["map", scene, "-o", path, "--preset", "fast", "--time-budget", 1, "--threads", 1]
    assert cli.main([*map(str, arguments), "--refine-poses", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)["refinement"]
    assert figures["explained"] > figures["explained_before"] and figures["focal_factor"] == 1.0
    drive = SceneMap.load(path).drive
    assert drive is not None and drive.shape == (2, 8, 3, 4)
    torch.testing.assert_close(drive[0], recorded[:8, :3], atol=1e-6, rtol=0)
    assert float((drive[1] - drive[0]).abs().max()) > 1e-3
