# SPDX-License-Identifier: Apache-2.0
"""The simulated room against plain geometry: what it draws is where it says it is."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from ace_ros.data.scene import load_scene
from ace_ros.geometry.camera import Camera
from ace_ros.simulation.drive import (
    DriftingOdometry,
    T_base_camera,
    T_of,
    Tour,
    camera_at,
    camera_of_robot,
    mapping_tour,
    second_tour,
)
from ace_ros.simulation.room import SimulatedRoom, photograph
from ace_ros.simulation.scene_writer import write_simulated_scene

COARSE = 48.0  # texels per metre: quick to build, and geometry does not depend on it


@pytest.fixture(scope="module")
def room() -> SimulatedRoom:
    """Return a room that is quick to build."""
    return SimulatedRoom(3, COARSE)


@pytest.fixture(scope="module")
def fine_room() -> SimulatedRoom:
    """Return a room in the detail of the demo."""
    return SimulatedRoom(0)


def rays_of(camera: Camera) -> np.ndarray:
    """Return the rays (H, W, 3) with z = 1 of all pixels."""
    width, height = camera.size
    pixels = torch.stack(torch.meshgrid(torch.arange(width), torch.arange(height), indexing="xy"), -1)
    rays = camera.unproject(pixels.reshape(-1, 2).double()).reshape(height, width, 2).numpy()
    return np.concatenate([rays, np.ones((height, width, 1))], -1)


def points_of(depth: np.ndarray, T_map_camera: np.ndarray, camera: Camera) -> np.ndarray:
    """Return the map points (H, W, 3) that a depth image shows."""
    return (rays_of(camera) * depth[..., None]) @ T_map_camera[:3, :3].T + T_map_camera[:3, 3]


def nearest_surface(room: SimulatedRoom, origin: np.ndarray, ray: np.ndarray) -> float:
    """Return the depth at which a ray meets the first face, by testing every face's plane."""
    best = math.inf
    for face in room.faces:
        slope = ray @ face.normal
        if slope >= 0.0:
            continue
        depth = (face.origin - origin) @ face.normal / slope
        offset = origin + depth * ray - face.origin
        u, v = offset @ face.right, offset @ face.down
        if 0.05 < depth < best and 0 <= u <= face.width and 0 <= v <= face.height:
            best = depth
    return best


def test_depth_is_where_each_pixels_ray_meets_the_first_surface(room: SimulatedRoom) -> None:
    camera = camera_of_robot((160, 120))
    rays = rays_of(camera)
    rng = np.random.default_rng(0)
    for pose in ((2.1, 0.0, 1.0), (-2.0, 1.2, -2.5), (0.3, -1.6, 3.0)):
        T_map_camera = camera_at(pose)
        _, depth = room.render(T_map_camera, camera)
        assert np.isfinite(depth).all()
        rows, columns = rng.integers(0, 120, 150), rng.integers(0, 160, 150)
        expected = [
            nearest_surface(room, T_map_camera[:3, 3], T_map_camera[:3, :3] @ rays[r, c])
            for r, c in zip(rows, columns, strict=True)
        ]
        np.testing.assert_allclose(depth[rows, columns], expected, rtol=2e-4)


def test_the_corner_of_the_room_appears_where_it_projects(room: SimulatedRoom) -> None:
    """All three planes of the corner meet at its pixel, so the depth there is largest around it."""
    corner = np.array([4.0, 3.0, 2.8])
    position = np.array([0.0, -1.0, 1.2])
    forward = (corner - position) / np.linalg.norm(corner - position)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    T_map_camera = np.eye(4)
    T_map_camera[:3, :3] = np.stack([right, np.cross(forward, right), forward], -1)
    T_map_camera[:3, 3] = position
    camera = Camera(torch.tensor([[300.0, 0, 150.0], [0, 310.0, 90.0], [0, 0, 1]]), (320, 240))
    _, depth = room.render(T_map_camera, camera)
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    assert abs(column - 150) <= 1 and abs(row - 90) <= 1
    assert depth.max() == pytest.approx(np.linalg.norm(corner - position), abs=0.02)


def test_up_is_up_and_left_is_left(room: SimulatedRoom) -> None:
    camera = camera_of_robot((160, 120))
    T_map_camera = camera_at((2.0, 0.0, math.pi / 2))  # looks along +y
    _, depth = room.render(T_map_camera, camera)
    points = points_of(depth, T_map_camera, camera)
    assert points[0, 80, 2] > points[119, 80, 2]  # the upper rows show higher points
    assert points[60, 0, 0] < points[60, 159, 0]  # looking along y, x grows to the right
    assert (T_base_camera()[:3, 2] @ [1.0, 0.0, 0.0]) > 0.9


@pytest.mark.parametrize("model", ["pinhole", "plumb_bob", "equidistant"])
def test_two_views_agree_through_the_rendered_depth(fine_room: SimulatedRoom, model: str) -> None:
    distortion = {
        "pinhole": None,
        "plumb_bob": [-0.2, 0.05, 1e-3, -1e-3],
        "equidistant": [0.02, -0.01, 0, 0],
    }
    values = distortion[model]
    matrix = torch.tensor([[330.0, 0.0, 161.0], [0.0, 335.0, 118.0], [0.0, 0.0, 1.0]])
    camera = Camera(matrix, (320, 240), model, None if values is None else torch.tensor(values))
    T_a, T_b = camera_at((1.9, -0.9, 1.5)), camera_at((1.7, -1.1, 1.6))
    image_a, depth_a = fine_room.render(T_a, camera)
    image_b, depth_b = fine_room.render(T_b, camera)
    seen = np.isfinite(depth_a)
    assert seen.mean() > 0.95
    T_b_map = np.linalg.inv(T_b)
    in_b = points_of(depth_a, T_a, camera) @ T_b_map[:3, :3].T + T_b_map[:3, 3]
    pixels = camera.project(torch.as_tensor(in_b)).numpy().astype(np.float32)
    warped, depth = (cv2.remap(view, pixels, None, cv2.INTER_LINEAR) for view in (image_b, depth_b))
    inside = seen & ((pixels > 2) & (pixels < [317, 237])).all(-1) & (np.abs(depth - in_b[..., 2]) < 0.02)
    assert inside.mean() > 0.6
    difference = np.abs(warped.astype(float) - image_a)[inside].mean(-1)
    shifted = np.abs(warped.astype(float) - np.roll(image_a, 2, 1))[inside].mean(-1)
    assert np.median(difference) < 3.0
    assert difference.mean() < 0.6 * shifted.mean()


def test_the_same_seed_gives_the_same_pixels_and_another_seed_does_not() -> None:
    camera = camera_of_robot((160, 120))
    T_map_camera = camera_at((2.0, 0.5, 0.3))
    first, again, other = (SimulatedRoom(seed, COARSE).render(T_map_camera, camera)[0] for seed in (1, 1, 2))
    assert (first == again).all()
    assert np.abs(first.astype(int) - other).mean() > 5


def test_pictures_have_light_shadow_and_structure(fine_room: SimulatedRoom) -> None:
    tour = mapping_tour()
    for time in np.linspace(0.0, tour.duration_s, 12):
        image, _ = fine_room.render(camera_at(tour.pose(time)), camera_of_robot())
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        assert 40 < grey.mean() < 200
        assert (grey >= 254).mean() < 0.06
        assert cv2.Laplacian(grey, cv2.CV_64F).var() > 60


def test_a_photograph_has_the_asked_exposure_and_noise() -> None:
    image = np.full((60, 80, 3), 100, np.uint8)
    rng = np.random.default_rng(0)
    assert (photograph(image, rng) == image).all()
    assert abs(float(photograph(image, rng, exposure=1.3).mean()) - 130) < 1
    assert abs(float(photograph(image, rng, noise=4.0).std()) - 4.0) < 0.3


@pytest.mark.parametrize("tour", [mapping_tour(), second_tour()], ids=["mapping", "second"])
def test_tours_are_smooth_and_keep_clear_of_everything(tour: Tour, room: SimulatedRoom) -> None:
    poses = np.array([tour.pose(time) for time in np.arange(0.0, tour.duration_s, 0.1)])
    steps = np.diff(poses, axis=0)
    assert np.linalg.norm(steps[:, :2], axis=1).max() < 0.8 * 0.1
    assert np.degrees(np.abs(steps[:, 2])).max() < 90 * 0.1
    # A differential robot moves along its own x axis: what it moves sideways is second order.
    sideways = -steps[:, 0] * np.sin(poses[:-1, 2]) + steps[:, 1] * np.cos(poses[:-1, 2])
    assert np.abs(sideways).max() < 0.01
    for box in room.boxes:
        if box.base > 1.0:
            continue
        T_box_map = np.linalg.inv(box.T_map_box)
        at = poses[:, :2] @ T_box_map[:2, :2].T + T_box_map[:2, 3]
        outside = np.maximum(np.abs(at) - np.array(box.size[:2]) / 2, 0.0)
        assert np.linalg.norm(outside, axis=1).min() > 0.25, box


def test_odometry_drifts_smoothly_and_by_the_stated_size() -> None:
    line = Tour([np.array([(0.0, 0.0), (5.0, 0.0), (10.0, 0.0)])])
    for seed in range(8):
        odometry = DriftingOdometry(seed)
        said = np.array([odometry.update(line.pose(t)) for t in np.arange(0.0, line.duration_s + 0.1, 0.02)])
        assert (said[0] == 0).all()
        assert np.linalg.norm(np.diff(said[:, :2], axis=0), axis=1).max() < 0.7 * 0.02
        assert 0.005 < abs(said[-1, 0] - 10.0) / 10.0 < 0.02
        assert 0.3 < abs(math.degrees(said[-1, 2])) < 1.0


def test_odometry_does_not_notice_that_the_robot_was_carried() -> None:
    odometry = DriftingOdometry(0)
    odometry.update((0.0, 0.0, 0.0))
    before = odometry.update((0.5, 0.0, 0.0))
    odometry.carried_to((-2.0, 1.0, 2.0))
    assert odometry.update((-2.0, 1.0, 2.0)) == before
    after = odometry.update((-2.0 + 0.1 * math.cos(2.0), 1.0 + 0.1 * math.sin(2.0), 2.0))
    assert math.dist(after[:2], before[:2]) == pytest.approx(0.1, rel=0.05)


def test_a_base_pose_is_a_right_handed_transform_to_the_room() -> None:
    T = T_of((1.0, 2.0, math.pi / 2))
    np.testing.assert_allclose(T @ [1.0, 0.0, 0.0, 1.0], [1.0, 3.0, 0.0, 1.0], atol=1e-12)
    assert np.linalg.det(T_base_camera()[:3, :3]) == pytest.approx(1.0)


def test_a_written_scene_loads_and_its_poses_are_exact(tmp_path: Path) -> None:
    write_simulated_scene(tmp_path, frames=5, test_frames=3, seed=4, size=(160, 120), texels_per_m=COARSE)
    train, test = load_scene(tmp_path, "train"), load_scene(tmp_path, "test")
    assert (len(train.frames), len(test.frames)) == (5, 3)
    expected = camera_at(second_tour().pose(0.0))
    np.testing.assert_allclose(test.frames[0].T_map_camera.numpy(), expected, atol=1e-9)
    rendered, _ = SimulatedRoom(4, COARSE).render(expected, camera_of_robot((160, 120)))
    written = cv2.imread(str(test.frames[0].image_path))
    assert np.abs(rendered.astype(int) - written).mean() < 3
    assert test.frames[0].camera.size == (160, 120)
