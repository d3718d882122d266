# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from small_scenes import HEIGHT, WIDTH

from ace_ros.data.depth_image import (
    MAX_DEPTH_MM,
    depth_of_message,
    encode_depth,
    read_depth,
    require_depth,
    seen_by,
)
from ace_ros.data.scene import load_scene
from ace_ros.errors import CameraError, SceneError
from ace_ros.geometry.camera import Camera
from ace_ros.simulation.drive import camera_at, camera_of_robot
from ace_ros.simulation.room import SimulatedRoom
from ace_ros.simulation.scene_writer import write_split

DEPTH = np.arange(1, HEIGHT * WIDTH // 4 + 1, dtype=np.uint16).reshape(HEIGHT // 2, WIDTH // 2)


def add_depth(scene: Path, name: str = "00001.png", depth: Any = DEPTH) -> Path:
    folder = scene / "train/depth"
    folder.mkdir(exist_ok=True)
    assert cv2.imwrite(str(folder / name), depth)
    return folder / name


def test_frames_have_the_depth_of_their_name(scene_folder: Path) -> None:
    assert [f.depth_path for f in load_scene(scene_folder).frames] == [None] * 4
    path = add_depth(scene_folder)
    scene = load_scene(scene_folder)
    require_depth(scene)
    assert [f.depth_path for f in scene.frames] == [None, path, None, None]
    np.testing.assert_array_equal(read_depth(path), DEPTH)


def test_names_may_agree_up_to_the_first_dot(scene_folder: Path) -> None:
    for path in sorted((scene_folder / "train/rgb").iterdir()):
        path.rename(path.with_name(f"frame-{path.stem}.color.png"))
        for part in ("poses", "calibration"):
            other = scene_folder / "train" / part / f"{path.stem}.txt"
            other.rename(other.with_name(f"frame-{path.stem}.txt"))
    path = add_depth(scene_folder, "frame-00002.depth.png")
    assert [f.depth_path for f in load_scene(scene_folder).frames] == [None, None, path, None]


def test_a_scene_without_depth_is_said_to_have_none(scene_folder: Path) -> None:
    with pytest.raises(SceneError, match=r"train/depth: has no depth image of any of 4 images; expected"):
        require_depth(load_scene(scene_folder))
    add_depth(scene_folder, "other.png")
    with pytest.raises(SceneError, match="has no depth image of any"):
        require_depth(load_scene(scene_folder))


@pytest.mark.parametrize(
    "name, depth, sentence",
    [
        ("00001.png", DEPTH.astype(np.uint8), "00001.png: is a 8-bit grey PNG, expected 16-bit grey"),
        ("00001.png", np.dstack([DEPTH] * 3), "00001.png: is a 16-bit RGB PNG, expected 16-bit grey"),
        ("00001.jpg", DEPTH.astype(np.uint8), "00001.jpg: is a JPEG image, expected depth as a 16-bit grey"),
        ("00001.png", DEPTH[:, 4:], "00001.png: depth of 28x24 is not registered to its image of 64x48"),
    ],
)
def test_depth_that_cannot_belong_to_its_image_is_refused_where_it_is_used(
    scene_folder: Path, name: str, depth: np.ndarray, sentence: str
) -> None:
    add_depth(scene_folder, name, depth)
    scene = load_scene(scene_folder)  # of no concern where depth is not used
    with pytest.raises(SceneError, match=sentence):
        require_depth(scene)


def test_damaged_depth_is_named(scene_folder: Path) -> None:
    path = add_depth(scene_folder)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(SceneError, match=r"00001\.png: the image is cut off"):
        require_depth(load_scene(scene_folder))
    path.write_bytes(data[:60] + bytes(len(data) - 80) + data[-20:])
    with pytest.raises(SceneError, match=r"00001\.png: cannot be decoded|00001\.png: has pixels"):
        read_depth(path)
    path.write_bytes(b"")
    with pytest.raises(SceneError, match=r"00001\.png: not a readable PNG or JPEG image \(the file is empty"):
        require_depth(load_scene(scene_folder))


def message(depth: np.ndarray, encoding: str, padding: int = 0, **changes: Any) -> Any:
    """Return a sensor_msgs/Image by its attributes, its rows padded by some bytes."""
    rows = np.ascontiguousarray(depth).view(np.uint8).reshape(len(depth), -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=7)
    big = sys.byteorder == "big"
    about = {"height": len(depth), "width": depth.shape[1], "step": padded.shape[1], "is_bigendian": big}
    return SimpleNamespace(**{**about, "encoding": encoding, "data": padded.tobytes(), **changes})


@pytest.mark.parametrize("padding", [0, 6])
def test_messages_in_millimetres_and_metres_are_read(padding: int) -> None:
    np.testing.assert_array_equal(depth_of_message(message(DEPTH, "16UC1", padding)), DEPTH)
    swapped = message(DEPTH.byteswap(), "mono16", padding, is_bigendian=sys.byteorder == "little")
    np.testing.assert_array_equal(depth_of_message(swapped), DEPTH)
    metres = np.array([[1.2344, 0.0, np.nan, np.inf], [-1.0, -np.inf, 65.535, 65.54]], np.float32)
    found = depth_of_message(message(metres, "32FC1", padding))
    assert found.tolist() == [[1234, 0, 0, 0], [0, 0, MAX_DEPTH_MM, 0]]


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"encoding": "rgb8"}, "depth image has the encoding 'rgb8', expected 16UC1"),
        ({"step": 10}, "step 10, expected at least 64"),
        ({"data": b"abc"}, "has 3 bytes, expected"),
        ({"width": 1 << 20, "height": 1 << 20}, "no usable size"),
    ],
)
def test_messages_that_cannot_be_depth_are_refused(changes: dict, sentence: str) -> None:
    with pytest.raises(CameraError, match=sentence):
        depth_of_message(message(DEPTH, **{"encoding": "16UC1", **changes}))


def test_what_is_encoded_is_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "depth.png").write_bytes(encode_depth(DEPTH))
    np.testing.assert_array_equal(read_depth(tmp_path / "depth.png"), DEPTH)
    with pytest.raises(CameraError, match="depth must be uint16"):
        encode_depth(DEPTH.astype(np.float32))


def test_depth_of_another_focal_length_is_moved_to_where_the_camera_sees_it() -> None:
    """A room seen by two cameras at one place, whose depth is known exactly."""
    room, T = SimulatedRoom(0, 50.0), camera_at((0.0, -1.5, 1.5))
    camera = camera_of_robot((320, 240))
    K = np.array([[260.0, 0, 150.0], [0, 255.0, 118.0], [0, 0, 1]])
    other = room.render(T, Camera(torch.from_numpy(K), (320, 240)))[1]
    expected = 1000 * room.render(T, camera)[1]
    found = seen_by(camera, np.round(1000 * other).astype(np.uint16), K).astype(float)
    known = found > 0
    assert known.mean() > 0.78  # as much as both see
    assert np.median(np.abs(found / expected - 1)[known]) < 0.005
    assert np.mean(np.abs(found / expected - 1)[known] < 0.03) > 0.97


def test_a_simulated_scene_has_exact_depth(tmp_path: Path) -> None:
    room, camera = SimulatedRoom(1, 50.0), camera_of_robot((160, 120))
    poses = [camera_at((0.1 * i, -1.0, 1.5)) for i in range(2)]
    write_split(tmp_path / "train", room, poses, camera, np.random.default_rng(0), with_depth=True)
    scene = load_scene(tmp_path)
    require_depth(scene)
    expected = room.render(poses[1], camera)[1]
    np.testing.assert_allclose(read_depth(scene.frames[1].depth_path) / 1000, expected, atol=6e-4)
