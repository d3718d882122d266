# SPDX-License-Identifier: Apache-2.0
"""Recorded depth in the place of swept depth: pooled, merged, used by a training."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from test_plane_sweep import SIZE, STRIDE, at, image_of_wall
from torch import Tensor

from ace_ros import cli
from ace_ros.config import TrainingConfig
from ace_ros.data.depth_image import read_depth
from ace_ros.data.scene import load_scene
from ace_ros.errors import SceneError
from ace_ros.mapping.depth.depth_map import DepthMap
from ace_ros.mapping.depth.recorded import pool_depth, recorded_depths
from ace_ros.mapping.depth.scene_depths import SceneSweep, sweep_depths, swept_images
from ace_ros.mapping.encoded_images import EncodedImages
from ace_ros.mapping.features.prepared import fingerprint
from ace_ros.mapping.jobs.place import MapRequest, Workers, map_place
from ace_ros.mapping.map_scene import map_scene, prepare_features
from ace_ros.network.encoder_file import load_encoder
from ace_ros.simulation.drive import camera_at, camera_of_robot
from ace_ros.simulation.room import SimulatedRoom
from ace_ros.simulation.scene_writer import write_split
from support import ON_CPU

CPU = torch.device("cpu")
H, W = SIZE[1] // STRIDE, SIZE[0] // STRIDE
CONFIG = TrainingConfig(
    use_depth=True, steps=20, batch=64, buffer_features=4000, views_per_image=2, head_width=32, map_points=50
)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene of six images with exact depth, of half the images' size."""
    folder = tmp_path_factory.mktemp("room") / "scene"
    poses = [camera_at((0.25 * i - 0.6, -1.5, 1.4 + 0.1 * i)) for i in range(6)]
    simulated, rng = SimulatedRoom(0, 60.0), np.random.default_rng(0)
    write_split(folder / "train", simulated, poses, camera_of_robot((320, 240)), rng, with_depth=True)
    for path in (folder / "train/depth").iterdir():
        cv2.imwrite(str(path), read_depth(path)[::2, ::2])
    return folder


def pooled_plainly(depth_mm: np.ndarray, size: tuple[int, int], stride: int) -> np.ndarray:
    """Return what `pool_depth` does, pixel by pixel."""
    w, h = size[0] // stride, size[1] // stride
    cells: list[list[int]] = [[] for _ in range(w * h)]
    for (y, x), mm in np.ndenumerate(depth_mm):
        row = int((y + 0.5) * size[1] / depth_mm.shape[0] / stride)
        column = int((x + 0.5) * size[0] / depth_mm.shape[1] / stride)
        if mm and row < h and column < w:
            cells[row * w + column].append(int(mm))
    return np.array([sorted(c)[(len(c) - 1) // 2] if c else 0 for c in cells]).reshape(h, w)


@pytest.mark.parametrize("shape", [(60, 80), (30, 40), (7, 9), (61, 83)])
def test_pooling_takes_the_median_of_what_is_known_in_each_cell(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    depth_mm = np.where(rng.random(shape) < 0.5, rng.integers(1, 65536, shape), 0).astype(np.uint16)
    found = pool_depth(depth_mm, (85, 61), 8)
    assert found.shape == (7, 10)
    np.testing.assert_array_equal(found, pooled_plainly(depth_mm, (85, 61), 8))


def test_a_cell_at_an_edge_has_the_depth_of_one_side_and_false_pixels_do_not_count() -> None:
    depth_mm = np.full((8, 16), 4000, np.uint16)
    depth_mm[:, :5] = 1000
    depth_mm[::3, 8:11] = 65535
    assert pool_depth(depth_mm, (16, 8), 8).tolist() == [[1000, 4000]]
    assert pool_depth(np.zeros((8, 16), np.uint16), (16, 8), 8).tolist() == [[0, 0]]


def test_recorded_depth_beyond_the_limits_is_unknown(room: Path) -> None:
    frames = load_scene(room).frames
    exact = recorded_depths(frames, STRIDE, CONFIG)
    assert exact[0] is not None and exact[0].shape == (480 // 8, 640 // 8) and float(exact[0].min()) > 0.3
    middle = float(exact[0].median())
    cut = recorded_depths(frames, STRIDE, replace(CONFIG, max_depth_m=middle))[0]
    torch.testing.assert_close(cut, torch.where(exact[0] <= middle, exact[0], 0.0))
    assert recorded_depths((replace(frames[0], depth_path=None),), STRIDE, CONFIG) == [None]


def test_pooled_depth_is_that_of_the_cell_centres(room: Path) -> None:
    """Against depths rendered for exactly the pixels that features sit at."""
    frame = load_scene(room).frames[2]
    rendered = SimulatedRoom(0, 60.0).render(frame.T_map_camera.numpy(), camera_of_robot((640, 480)))[1]
    expected = torch.from_numpy(rendered[3::8, 3::8])
    found = recorded_depths((frame,), STRIDE, CONFIG)[0]
    assert float(((found - expected).abs() / expected < 0.03).float().mean()) > 0.9


def wall(recorded: list[Tensor | None], depth_m: float = 3.0) -> tuple[list[DepthMap], list[int]]:
    """Return the depths of a wall with some of it recorded, and which images were encoded."""
    images = [image_of_wall(at(0.15 * i, 0.05 * (i % 3)), depth_m) for i in range(len(recorded))]
    encoded = []

    def image_of(index: int) -> object:
        encoded.append(index)
        return images[index]

    T = torch.stack([i.T_map_camera for i in images])
    return sweep_depths(SceneSweep(T, image_of, STRIDE, CPU), 7.0, recorded), encoded


def test_recorded_depth_stays_and_the_sweep_completes_it() -> None:
    left = torch.zeros(H, W)
    left[:, : W // 2] = 3.1
    maps, encoded = wall([left if i == 4 else None for i in range(10)])
    assert encoded and maps[4].cell_px == STRIDE
    assert (maps[4].depth_m[:, : W // 2] == left[:, : W // 2]).all()
    assert float((maps[4].depth_m[:, W // 2 :] / 3.0 - 1).abs().median()) < 0.1
    pixels = torch.tensor([[8.0 * (W // 2) - 1, 100.0], [8.0 * (W // 2), 100.0]])
    assert maps[4].at(pixels)[0] == 3.1 and maps[4].at(pixels)[1] == maps[4].depth_m[12, W // 2]


def test_dense_depth_leaves_nothing_to_sweep_and_small_holes_are_filled_in() -> None:
    dense = torch.full((H, W), 5.0)
    dense[10:14, 20:24] = 0.0
    maps, encoded = wall([dense] * 5)
    assert not encoded and swept_images([dense, None, dense]) == [1]
    assert all(torch.allclose(m.depth_m, torch.tensor(5.0)) for m in maps)


def test_a_sweep_that_contradicts_what_is_recorded_is_not_believed() -> None:
    """Points on a wall at 3 m; the sweep sees a wall at 6 m, as false matches would."""
    sparse = torch.zeros(H, W)
    sparse[::5, ::5] = 3.0
    maps, _ = wall([sparse] * 10, depth_m=6.0)
    assert all(torch.allclose(m.depth_m, torch.tensor(3.0), rtol=1e-4) for m in maps)
    agreeing, _ = wall([sparse] * 10)
    swept = torch.stack([m.depth_m[sparse == 0] for m in agreeing])
    assert float((swept / 3.0 - 1).abs().median()) < 0.1 and float(swept.std()) > 1e-4


def test_an_image_that_nothing_overlaps_is_filled_in_from_its_points() -> None:
    sparse = torch.zeros(H, W)
    sparse[3, 4], sparse[20, 30] = 2.0, 4.0
    T = torch.stack([at(0.0), at(0.0)])
    image = image_of_wall(at(0.0), 3.0)
    first, second = sweep_depths(SceneSweep(T, lambda i: image, STRIDE, CPU), 7.0, [sparse, None])
    assert first.depth_m[3, 4] == 2.0 and first.depth_m[20, 30] == 4.0
    assert float(first.depth_m.min()) > 1.99 and float(first.depth_m.max()) < 4.01
    assert torch.equal(second.depth_m, first.depth_m)  # of the nearest image that has any


def test_features_carry_the_recorded_depth(room: Path) -> None:
    frames = load_scene(room).frames
    encoder = load_encoder("lite")
    seen: list[tuple[int, int]] = []
    buffer = prepare_features(EncodedImages(frames, encoder, CPU), CONFIG, lambda *done: seen.append(done))
    assert [done for done, _ in seen] == [*range(1, 7), *range(13, 25)]  # six reads, no sweep, twelve views
    assert {total for _, total in seen} == {24}
    simulated, errors = SimulatedRoom(0, 60.0), []
    for i, frame in enumerate(frames):
        rendered = simulated.render(frame.T_map_camera.numpy(), camera_of_robot((640, 480)))[1]
        mine = buffer.image == i
        x, y = buffer.pixels[mine].round().long().unbind(-1)
        errors.append((buffer.depth_m[mine] / torch.from_numpy(rendered)[y, x] - 1).abs())
    assert float((torch.cat(errors) < 0.05).float().mean()) > 0.85
    swept = prepare_features(EncodedImages(frames, encoder, CPU), replace(CONFIG, use_depth=False))
    assert not torch.equal(swept.depth_m, buffer.depth_m)


def test_kept_features_are_of_their_depth(room: Path, tmp_path: Path) -> None:
    frames = load_scene(room).frames
    alone, with_depth = (fingerprint(frames, "hash", replace(CONFIG, use_depth=u)) for u in (False, True))
    assert alone != with_depth
    path, status = frames[3].depth_path, frames[3].depth_path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    try:
        assert fingerprint(frames, "hash", CONFIG) != with_depth
        assert fingerprint(frames, "hash", replace(CONFIG, use_depth=False)) == alone
    finally:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_asking_for_depth_that_is_not_there_is_an_error(room: Path, tmp_path: Path) -> None:
    scene = load_scene(room)
    scene = replace(scene, frames=tuple(replace(f, depth_path=None) for f in scene.frames))
    with pytest.raises(SceneError, match="has no depth image of any of 6 images"):
        map_scene(scene, CONFIG, ON_CPU)
    with pytest.raises(SceneError, match="has no depth image of any of 6 images"):
        map_place(scene, CONFIG, MapRequest(tmp_path / "map.safetensors"), Workers(CPU))


def test_the_command_trains_with_depth(
    room: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "map.safetensors"
    brief = ["--preset", "fast", "--time-budget", "1", "--threads", "1", "--device", "cpu"]
    assert cli.main(["map", str(room), "-o", str(output), "--use-depth", "--json", *brief]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] >= 1
    assert cli.main(["info", str(output), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["training"]["use_depth"] is True
