# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from small_scenes import HEIGHT, MATRIX, WIDTH, picture, pose

from ace_ros.data.scene import load_scene, read_grey, require_trainable
from ace_ros.errors import SceneError


def refusal(folder: Path, split: str = "train") -> str:
    """Return the message of the SceneError that loading raises; it is one sentence."""
    with pytest.raises(SceneError) as caught:
        load_scene(folder, split)
    message = str(caught.value)
    assert "\n" not in message and not message.endswith(".")
    return message


def test_a_good_scene_gives_its_frames_in_order(scene_folder: Path) -> None:
    scene = load_scene(scene_folder)
    assert [frame.image_path.name for frame in scene.frames] == [f"{i:05d}.png" for i in range(4)]
    for i, frame in enumerate(scene.frames):
        assert frame.T_map_camera.dtype == torch.float64 and frame.stamp_ns is None
        np.testing.assert_allclose(frame.T_map_camera, pose(i), atol=1e-12)
        np.testing.assert_allclose(frame.camera.matrix, MATRIX)
        assert frame.camera.size == (WIDTH, HEIGHT) and frame.camera.model == "pinhole"
    require_trainable(scene)


def test_a_single_focal_length_puts_the_principal_point_at_the_centre(scene_folder: Path) -> None:
    (scene_folder / "train/calibration/00002.txt").write_text("70.5\n")
    matrix = load_scene(scene_folder).frames[2].camera.matrix
    expected = [[70.5, 0, (WIDTH - 1) / 2], [0, 70.5, (HEIGHT - 1) / 2], [0, 0, 1]]
    np.testing.assert_allclose(matrix, expected)


def test_seven_scenes_names_are_paired(scene_folder: Path) -> None:
    kinds = {"rgb": "color.png", "poses": "pose.txt", "calibration": "calibration.txt"}
    for part, ending in kinds.items():
        for path in sorted((scene_folder / "train" / part).iterdir()):
            path.rename(path.with_name(f"frame-{path.stem}.{ending}"))
    frames = load_scene(scene_folder).frames
    assert frames[3].image_path.name == "frame-00003.color.png"
    np.testing.assert_allclose(frames[3].T_map_camera, pose(3), atol=1e-12)


def test_names_with_a_time_before_and_after_the_dot_are_paired(scene_folder: Path) -> None:
    for part in ("rgb", "poses", "calibration"):
        for path in sorted((scene_folder / "train" / part).iterdir()):
            path.rename(path.with_name(f"1305031102.{path.stem}{path.suffix}"))
    np.testing.assert_allclose(load_scene(scene_folder).frames[3].T_map_camera, pose(3), atol=1e-12)


def test_names_that_do_not_agree_are_paired_in_order(
    scene_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for path in (scene_folder / "train/rgb").iterdir():
        path.rename(path.with_name(f"img_{path.name}"))
    np.testing.assert_allclose(load_scene(scene_folder).frames[3].T_map_camera, pose(3), atol=1e-12)
    assert "paired in their order" in caplog.text


def test_images_may_differ_in_size(scene_folder: Path) -> None:
    cv2.imwrite(str(scene_folder / "train/rgb/00001.png"), picture(1, 80, 60))
    sizes = [frame.camera.size for frame in load_scene(scene_folder).frames]
    assert sizes == [(WIDTH, HEIGHT), (80, 60), (WIDTH, HEIGHT), (WIDTH, HEIGHT)]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPG"])
def test_grey_values_are_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    cv2.imwrite(str(path), picture(0))
    grey = read_grey(path)
    expected = cv2.cvtColor(picture(0), cv2.COLOR_BGR2GRAY)
    assert grey.dtype == np.uint8 and grey.shape == (HEIGHT, WIDTH)
    assert np.abs(grey.astype(int) - expected).mean() < 3


def test_a_size_that_stands_late_in_a_jpeg_is_found(scene_folder: Path) -> None:
    data = cv2.imencode(".jpg", picture(0))[1].tobytes()
    comment = b"\xff\xfe\xff\xff" + bytes(0xFFFD)
    for path in sorted((scene_folder / "train/rgb").iterdir()):
        path.unlink()
        path.with_suffix(".jpg").write_bytes(data[:2] + 2 * comment + data[2:] + b"camera's own")
    assert load_scene(scene_folder).frames[0].camera.size == (WIDTH, HEIGHT)


def test_slightly_rounded_rotations_are_made_rigid(
    scene_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    np.savetxt(scene_folder / "train/poses/00003.txt", pose(3).round(4))
    R = load_scene(scene_folder).frames[3].T_map_camera[:3, :3]
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-14)
    np.testing.assert_allclose(R, pose(3)[:3, :3], atol=1e-4)
    assert "made orthonormal" in caplog.text and "00003.txt" in caplog.text


def matrix_with(index: tuple[int, int], value: float) -> np.ndarray:
    T = pose(2)
    T[index] = value
    return T


@pytest.mark.parametrize(
    "T, words",
    [
        (matrix_with((0, 3), np.nan), "not finite"),
        (matrix_with((0, 0), np.inf), "not finite"),
        (matrix_with((3, 3), 0.5), "not a rigid transform"),
        (pose(2) * np.array([2, 2, 2, 1]), "not a rigid transform"),
        (pose(2) @ np.diag([1, 1, -1, 1]), "determinant -1"),
        (pose(2)[:3], "12 numbers"),
        (np.zeros((4, 4)), "not a rigid transform"),
    ],
)
def test_a_bad_pose_is_refused(scene_folder: Path, T: np.ndarray, words: str) -> None:
    np.savetxt(scene_folder / "train/poses/00002.txt", T)
    message = refusal(scene_folder)
    assert "poses/00002.txt" in message and words in message


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "0 numbers"),
        ("60 61", "2 numbers"),
        ("focal 60", "'focal' is no number"),
        ("nan", "not finite"),
        ("-60", "not above zero"),
        ("0", "not above zero"),
        ("0.9", "does not fit a 64x48 image"),
        ("60 0 31 0 60 23 0 0 0", "must be [[fx, s, cx]"),
        ("600 0 319.5 0 600 239.5 0 0 1", "outside its 64x48 image"),
    ],
)
def test_a_bad_calibration_is_refused(scene_folder: Path, text: str, words: str) -> None:
    (scene_folder / "train/calibration/00001.txt").write_text(text)
    message = refusal(scene_folder)
    assert "calibration/00001.txt" in message and words in message


def test_a_calibration_of_a_smaller_image_is_worth_a_warning(
    scene_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for path in (scene_folder / "train/rgb").iterdir():
        cv2.imwrite(str(path), picture(1, 2 * WIDTH, 2 * HEIGHT))
    load_scene(scene_folder)
    assert caplog.text.count("far from the centre of its 128x96 image") == 1


@pytest.mark.parametrize("part", ["rgb", "poses", "calibration"])
def test_a_missing_folder_is_named(scene_folder: Path, part: str) -> None:
    (scene_folder / "train" / part).rename(scene_folder / "train" / "elsewhere")
    assert f"train/{part}: no such folder" in refusal(scene_folder)


def test_a_missing_scene_or_split_is_named(scene_folder: Path) -> None:
    assert "nowhere/train/rgb" in refusal(scene_folder / "nowhere")
    assert "scene/test/rgb" in refusal(scene_folder, "test")


def test_a_scene_without_images_is_refused(scene_folder: Path) -> None:
    for path in (scene_folder / "train/rgb").iterdir():
        path.rename(path.with_suffix(".tiff"))
    assert "train/rgb: holds no images" in refusal(scene_folder)


@pytest.mark.parametrize(
    "missing, words",
    [
        (["rgb/00001.png"], "no image for 00001"),
        (["poses/00001.txt"], "no pose for 00001"),
        (["calibration/00003.txt"], "no calibration for 00003"),
        (["poses/00001.txt", "rgb/00002.png"], "no image for 00002; no pose for 00001"),
        ([f"poses/0000{i}.txt" for i in range(4)], "no pose for 00000, 00001, 00002 and 1 more"),
    ],
)
def test_unequal_counts_name_what_is_missing(scene_folder: Path, missing: list[str], words: str) -> None:
    for name in missing:
        (scene_folder / "train" / name).unlink()
    message = refusal(scene_folder)
    assert str(scene_folder / "train") in message and words in message


def test_two_images_of_one_name_are_refused(scene_folder: Path) -> None:
    cv2.imwrite(str(scene_folder / "train/rgb/00001.jpg"), picture(1))
    assert "00001.jpg, 00001.png" in refusal(scene_folder)


def whole_png() -> bytes:
    return cv2.imencode(".png", picture(2))[1].tobytes()


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "the file is empty"),
        (b"GIF89a and more", "is a GIF image, expected PNG or JPEG"),
        (whole_png()[:20], "not a readable PNG or JPEG"),
        (whole_png()[:-100], "cut off"),
        (cv2.imencode(".jpg", picture(2))[1].tobytes()[:-100], "cut off"),
        (whole_png()[:16] + b"\xff" * 8 + whole_png()[24:], "no usable size"),
    ],
)
def test_an_unreadable_image_is_named(scene_folder: Path, data: bytes, words: str) -> None:
    path = scene_folder / "train/rgb/00002.png"
    path.write_bytes(data)
    message = refusal(scene_folder)
    assert "rgb/00002.png" in message and words in message
    with pytest.raises(SceneError, match=r"00002\.png"):
        read_grey(path)


def test_an_image_that_is_a_folder_or_damaged_inside_is_named(scene_folder: Path) -> None:
    path = scene_folder / "train/rgb/00002.png"
    data = whole_png()
    path.write_bytes(data[:40] + bytes(len(data) - 80) + data[-40:])
    with pytest.raises(SceneError, match=r"00002\.png: cannot be decoded"):
        read_grey(path)
    path.unlink()
    path.mkdir()
    assert "00002.png: cannot be read" in refusal(scene_folder)


def test_one_image_is_enough_to_test_and_not_to_train(scene_folder: Path) -> None:
    for i in (1, 2, 3):
        for name in (f"rgb/0000{i}.png", f"poses/0000{i}.txt", f"calibration/0000{i}.txt"):
            (scene_folder / "train" / name).unlink()
    scene = load_scene(scene_folder)
    assert len(scene.frames) == 1
    with pytest.raises(SceneError, match="train/rgb: holds 1 image, training needs at least 2"):
        require_trainable(scene)


def test_a_camera_that_never_moved_cannot_be_trained_on(scene_folder: Path) -> None:
    for i in range(4):
        T = pose(i)
        T[:3, 3] = 1.0
        np.savetxt(scene_folder / "train/poses" / f"{i:05d}.txt", T)
    with pytest.raises(SceneError, match="train/poses: all 4 cameras are at one position"):
        require_trainable(load_scene(scene_folder))


def write_notes(scene_folder: Path, change: Callable[[dict], None], cut: int = 0) -> None:
    """Write frames.jsonl for the four frames, with frame 2 changed and the end cut off."""
    lines = []
    for i in range(4):
        note = {
            "image": f"{i:05d}.png", "stamp_ns": 10**18 + i, "frame_id": "camera",
            "model": "plumb_bob", "distortion": [0.1, 0, 0, 0, 0], "size": [WIDTH, HEIGHT],
        }  # fmt: skip
        if i == 2:
            change(note)
        lines.append(json.dumps(note) + "\n")
    text = "".join(lines)
    (scene_folder / "train/frames.jsonl").write_text(text[: len(text) - cut])


def test_notes_give_stamps_and_distortion(scene_folder: Path) -> None:
    write_notes(scene_folder, lambda note: note.update(model="equidistant", distortion=[0.1, 0, 0, 0]))
    frames = load_scene(scene_folder).frames
    assert [frame.stamp_ns for frame in frames] == [10**18 + i for i in range(4)]
    assert [frame.camera.model for frame in frames][1:3] == ["plumb_bob", "equidistant"]
    np.testing.assert_allclose(frames[2].camera.distortion, [0.1, 0, 0, 0])


def test_a_cut_off_last_line_of_notes_is_left_out(scene_folder: Path) -> None:
    write_notes(scene_folder, lambda note: None, cut=30)
    frames = load_scene(scene_folder).frames
    assert frames[2].stamp_ns == 10**18 + 2 and frames[3].stamp_ns is None


def test_frames_without_a_pose_at_the_end_of_a_recording_are_left_out(scene_folder: Path) -> None:
    write_notes(scene_folder, lambda note: None)
    (scene_folder / "train/poses/00003.txt").unlink()
    (scene_folder / "train/rgb/.00004.png.x7").write_bytes(b"half")
    assert len(load_scene(scene_folder).frames) == 3
    (scene_folder / "train/poses/00001.txt").unlink()
    assert "no pose for 00001" in refusal(scene_folder)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda note: note.update(distance=1), "unknown key 'distance'"),
        (lambda note: note.pop("image"), 'the key "image"'),
        (lambda note: note.update(image="../a.png"), "'../a.png'"),
        (lambda note: note.update(stamp_ns=1.5), "whole nanoseconds"),
        (lambda note: note.update(distortion=[float("nan")]), "NaN is not a finite number"),
        (lambda note: note.update(size=[0, 48]), "[width, height]"),
        (lambda note: note.update(frame_id="x" * 5000), "longer than 4096 bytes"),
    ],
)
def test_wrong_notes_name_their_line(scene_folder: Path, change: Callable[[dict], None], words: str) -> None:
    write_notes(scene_folder, change)
    message = refusal(scene_folder)
    assert "frames.jsonl, line 3" in message and words in message


def test_damage_inside_the_notes_is_an_error(scene_folder: Path) -> None:
    write_notes(scene_folder, lambda note: None)
    path = scene_folder / "train/frames.jsonl"
    path.write_bytes(b"{" + path.read_bytes())
    assert "frames.jsonl, line 1: is not valid JSON" in refusal(scene_folder)
    path.write_bytes(b"[" * 3000 + b"\n")
    assert "frames.jsonl, line 1" in refusal(scene_folder)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"model": "omni"}, "model 'omni', expected one of plumb_bob"),
        ({"distortion": [0.1] * 6}, "6 coefficients of plumb_bob, expected the first 5"),
        ({"size": [640, 480]}, "00002.png: is 64x48, frames.jsonl says 640x480"),
    ],
)
def test_notes_that_do_not_fit_the_camera_are_refused(scene_folder: Path, change: dict, words: str) -> None:
    write_notes(scene_folder, lambda note: note.update(change))
    message = refusal(scene_folder)
    assert "00002" in message and words in message
