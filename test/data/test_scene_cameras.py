# SPDX-License-Identifier: Apache-2.0
"""One image has one camera, whether its scene is read or it is named alone."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from small_scenes import HEIGHT, MATRIX, WIDTH, picture

from ace_ros.data.scene import load_scene
from ace_ros.data.scene_cameras import camera_of_image
from ace_ros.errors import AceError, SceneError
from ace_ros.geometry.camera import Camera

NAMES = {
    "ours": ("{}.png", "{}.txt", "{}.txt"),
    "of the reference": ("seq-01-{}.color.png", "seq-01-{}.pose.txt", "seq-01-{}.calibration.txt"),
    "mixed": ("{}.color.png", "{}.txt", "{}.calibration.txt"),
    "strangers": ("image{}.png", "pose{}.txt", "camera{}.txt"),
}


def scene(folder: Path, names: tuple[str, str, str], distortion: list[float] | None = None) -> Path:
    """Write four frames, each with a focal length of its own; with a distortion, in frames.jsonl."""
    train = folder / "train"
    for part in ("rgb", "poses", "calibration"):
        (train / part).mkdir(parents=True)
    for i in range(4):
        image, pose, calibration = (name.format(f"{i:05d}") for name in names)
        cv2.imwrite(str(train / "rgb" / image), picture(i))
        np.savetxt(train / "poses" / pose, np.eye(4))
        np.savetxt(train / "calibration" / calibration, MATRIX + np.diag([i, i, 0]))
        if distortion is not None:
            note = {"image": image, "model": "plumb_bob", "distortion": distortion, "size": [WIDTH, HEIGHT]}
            with (train / "frames.jsonl").open("a") as file:
                file.write(json.dumps(note) + "\n")
    return folder


def same(one: Camera, other: Camera) -> bool:
    lens = [None if c.distortion is None else c.distortion.tolist() for c in (one, other)]
    return torch.equal(one.matrix, other.matrix) and one.model == other.model and lens[0] == lens[1]


@pytest.mark.parametrize("distortion", [None, [0.1, -0.2, 0.001, 0.002]])
@pytest.mark.parametrize("names", NAMES)
def test_an_image_alone_has_the_camera_that_its_scene_gives_it(
    tmp_path: Path, names: str, distortion: list[float] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = load_scene(scene(tmp_path, NAMES[names], distortion)).frames
    assert len({float(frame.camera.matrix[0, 0]) for frame in frames}) == 4
    monkeypatch.chdir(frames[0].image_path.parent)
    for frame in frames:
        assert same(camera_of_image(frame.image_path), frame.camera)
        assert same(camera_of_image(Path(frame.image_path.name)), frame.camera)
        assert (frame.camera.distortion is not None) == (distortion is not None)


def test_a_camera_file_replaces_that_of_the_scene(tmp_path: Path) -> None:
    image = load_scene(scene(tmp_path / "scene", NAMES["ours"])).frames[2].image_path
    (tmp_path / "camera.txt").write_text("70\n")
    assert camera_of_image(image, tmp_path / "camera.txt").matrix[0, 0] == 70


def test_an_image_without_a_pose_has_a_camera(tmp_path: Path) -> None:
    image = load_scene(scene(tmp_path, NAMES["of the reference"])).frames[2].image_path
    for pose in (tmp_path / "train/poses").iterdir():
        pose.unlink()
    assert camera_of_image(image).matrix[0, 0] == MATRIX[0, 0] + 2


def test_an_image_without_a_calibration_is_named(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "alone.png"), picture(1))
    with pytest.raises(SceneError, match=r"alone\.png: .* its calibration; name a file with --camera"):
        camera_of_image(tmp_path / "alone.png")


@pytest.mark.parametrize(
    ("size", "words"), [((32, 24), "corner of its 32x24 image"), ((16, 12), "outside its 16x12 image")]
)
def test_a_calibration_of_a_larger_image_is_refused(
    tmp_path: Path, size: tuple[int, int], words: str
) -> None:
    folder = scene(tmp_path, NAMES["of the reference"])
    for path in (folder / "train/rgb").iterdir():
        cv2.imwrite(str(path), picture(1, *size))
    for attempt in (lambda: load_scene(folder), lambda: camera_of_image(path)):
        with pytest.raises(AceError, match=words):
            attempt()


def test_a_damaged_note_is_an_error_for_a_single_image_too(tmp_path: Path) -> None:
    folder = scene(tmp_path, NAMES["ours"], [0.1, 0.0, 0.0, 0.0])
    (folder / "train/frames.jsonl").write_text('{"image": "00000.png", "lens": 1}\n')
    with pytest.raises(SceneError, match="unknown key 'lens'"):
        camera_of_image(folder / "train/rgb/00000.png")
