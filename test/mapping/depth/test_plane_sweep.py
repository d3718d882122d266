# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ace_ros.geometry.camera import Camera
from ace_ros.mapping.depth.depth_map import DepthMap
from ace_ros.mapping.depth.plane_sweep import CELL_STEP, SweptImage
from ace_ros.mapping.depth.scene_depths import MAX_SWEPT, SceneSweep, sweep_depths, swept_images

STRIDE = 8
CPU = torch.device("cpu")
SIZE = (320, 240)
CAMERA = Camera(torch.tensor([[300.0, 0.0, 159.5], [0.0, 310.0, 119.5], [0.0, 0.0, 1.0]]), SIZE)


def at(x: float, y: float = 0.0, z: float = 0.0) -> Tensor:
    """Return T_map_camera of a camera that looks along z."""
    T = torch.eye(4, dtype=torch.float64)
    T[:3, 3] = torch.tensor([x, y, z])
    return T


def paint(points: Tensor) -> Tensor:
    """Return features (n, 32) of points (n, 2) on a wall: smooth, and different everywhere."""
    frequencies = torch.randn(2, 32, generator=torch.Generator().manual_seed(0)) * 3.0
    phases = torch.rand(32, generator=torch.Generator().manual_seed(1)) * 6.3
    return torch.cos(points @ frequencies + phases)


def image_of_wall(T_map_camera: Tensor, depth_m: float, camera: Camera = CAMERA) -> SweptImage:
    """Return what a camera sees of a wall at z = depth_m."""
    w, h = SIZE[0] // STRIDE, SIZE[1] // STRIDE
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    pixels = torch.stack([x, y], -1).reshape(-1, 2) * 8.0 + 3.5
    z = depth_m - float(T_map_camera[2, 3])
    points = camera.unproject(pixels) * z + T_map_camera[:2, 3].float()
    features = F.normalize(paint(points), dim=1).T.reshape(32, h, w)
    return SweptImage(features.half(), camera, T_map_camera)


def sweep(images: list[SweptImage], fallback_m: float = 7.0) -> list[Tensor]:
    T = torch.stack([i.T_map_camera for i in images])
    return [m.depth_m for m in sweep_depths(SceneSweep(T, images.__getitem__, STRIDE, CPU), fallback_m)]


@pytest.mark.parametrize("depth_m", [2.0, 6.0])
def test_the_depth_of_a_wall_is_found(depth_m: float) -> None:
    poses = [at(0.15 * i, 0.05 * (i % 3)) for i in range(10)]
    for depths in sweep([image_of_wall(T, depth_m) for T in poses]):
        assert depths.shape == (240 // 8 // CELL_STEP, 320 // 8 // CELL_STEP)
        assert float((depths / depth_m - 1).abs().median()) < 0.1


@pytest.mark.parametrize("depth_m", [2.0, 3.7, 6.0])
def test_depths_are_found_to_a_fraction_of_a_cell(depth_m: float) -> None:
    poses = [at(0.15 * i, 0.05 * (i % 3)) for i in range(10)]
    for i, depths in enumerate(sweep([image_of_wall(T, depth_m) for T in poses])):
        baseline = 0.15 * min(8, max(i, 9 - i))
        off_px = 300.0 * baseline * (1.0 / depths - 1.0 / depth_m).abs()
        assert float(off_px.median()) < 1.0  # a coarse depth is 4 px off in the mean


def test_distortion_is_taken_into_account() -> None:
    camera = Camera(CAMERA.matrix, SIZE, "plumb_bob", torch.tensor([-0.25, 0.06, 0.0, 0.0]))
    poses = [at(0.15 * i, 0.05 * (i % 3)) for i in range(10)]
    for depths in sweep([image_of_wall(T, 3.0, camera) for T in poses]):
        assert float((depths / 3.0 - 1).abs().median()) < 0.1


def test_depth_is_along_the_optical_axis_and_differs_between_images() -> None:
    poses = [at(0.2 * i, 0.0, -0.3 * i) for i in range(8)]
    maps = sweep([image_of_wall(T, 4.0) for T in poses])
    for i, depths in enumerate(maps):
        assert float(depths.median()) == pytest.approx(4.0 + 0.3 * i, rel=0.15)


def test_an_image_without_a_neighbour_has_the_median_of_the_scene() -> None:
    backwards = torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0], dtype=torch.float64))
    images = [image_of_wall(at(0.15 * i), 3.0) for i in range(6)]
    lonely = SweptImage(images[0].features, CAMERA, backwards)
    depths = sweep([*images, lonely])[-1]
    assert depths.shape == (1, 1)
    assert float(depths) == pytest.approx(3.0, rel=0.1)


def test_a_camera_that_only_turns_has_the_fallback() -> None:
    images = [image_of_wall(at(0.0), 3.0) for _ in range(4)]
    assert all(float(d) == 7.0 for d in sweep(images))


def test_cells_that_match_nothing_are_filled_in_from_around() -> None:
    poses = [at(0.15 * i, 0.05 * (i % 3)) for i in range(10)]
    images = [image_of_wall(T, 3.0) for T in poses]
    noise = torch.randn(32, 8, 10, generator=torch.Generator().manual_seed(5))
    images[4].features[:, 10:18, 10:20] = F.normalize(noise, dim=0).half()
    # Neighbouring candidates differ by a fifth here; a random one would be off by far more.
    assert float((sweep(images)[4] / 3.0 - 1).abs().max()) < 0.35


def test_long_drives_are_swept_in_part() -> None:
    assert swept_images([None] * 3) == [0, 1, 2]
    assert len(swept_images([None] * MAX_SWEPT)) == MAX_SWEPT
    assert len(swept_images([None] * 20_000)) <= MAX_SWEPT
    count = 2 * MAX_SWEPT
    images = [image_of_wall(at(0.02 * i), 3.0) for i in range(count)]
    T = torch.stack([i.T_map_camera for i in images])
    maps = sweep_depths(SceneSweep(T, images.__getitem__, STRIDE, CPU), 7.0)
    assert len(maps) == count
    # Images are 2 cm apart, so that depths can be told apart only with neighbours far away.
    assert all(float(m.depth_m.median()) == pytest.approx(3.0, rel=0.3) for m in maps)


def test_depths_are_looked_up_by_pixel() -> None:
    depths = torch.arange(6.0).reshape(2, 3)
    pixels = torch.tensor([[0.0, 0.0], [15.9, 15.9], [16.0, 0.0], [40.0, 20.0], [500.0, 500.0]])
    assert DepthMap(depths, 16).at(pixels).tolist() == [0.0, 0.0, 1.0, 5.0, 5.0]
