# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from data_sets import (
    COUNT,
    MIDDLE,
    WRITERS,
    depth,
    nerf_frame,
    write_7scenes,
    write_colmap_binary,
    write_colmap_text,
    write_image,
    write_tum,
)
from small_scenes import MATRIX, WIDTH, picture, pose

from ace_ros.data.depth_image import read_depth
from ace_ros.data.importers.data_sets import KINDS, import_dataset
from ace_ros.data.scene import Scene, load_scene
from ace_ros.errors import OutputError, SceneError


def imported(tmp_path: Path, kind: str, name: str = "source") -> tuple[Scene, Scene, dict]:
    source = tmp_path / name
    source.mkdir()
    WRITERS[kind](source)
    counts = import_dataset(kind, source, tmp_path / "scene")
    return load_scene(tmp_path / "scene"), load_scene(tmp_path / "scene", "test"), counts


def check_poses(scene: Scene, numbers: list[int]) -> None:
    assert len(scene.frames) == len(numbers)
    for frame, i in zip(scene.frames, numbers, strict=True):
        np.testing.assert_allclose(frame.T_map_camera, pose(i), atol=1e-6)
        found = cv2.imread(str(frame.image_path)).astype(int)
        assert np.abs(found - picture(i)).mean() < 6


def test_every_kind_is_tested() -> None:
    assert set(WRITERS) == set(KINDS)


def test_7scenes_keeps_its_split_and_has_the_usual_focal_length(tmp_path: Path) -> None:
    train, test, counts = imported(tmp_path, "7scenes")
    check_poses(train, [0, 1, 2, 3, 4, 5])
    check_poses(test, [6, 7, 8, 9, 10, 11])
    assert counts == {"train": 6, "test": 6, "without_pose": 0}
    K = train.frames[0].camera.matrix
    np.testing.assert_allclose(K, [[525, 0, MIDDLE[0]], [0, 525, MIDDLE[1]], [0, 0, 1]])
    assert train.frames[1].image_path.name == "seq-01-frame-000001.png"


def test_12scenes_tests_on_its_first_sequence_and_skips_lost_frames(tmp_path: Path) -> None:
    train, test, counts = imported(tmp_path, "12scenes")
    check_poses(test, [0, 1, 2, 3])
    check_poses(train, [4, 5, 6, 9, 10, 11])
    assert counts["without_pose"] == 2
    np.testing.assert_allclose(train.frames[0].camera.matrix, MATRIX)


def test_cambridge_takes_focal_lengths_from_the_reconstruction(tmp_path: Path) -> None:
    train, test, _ = imported(tmp_path, "cambridge")
    check_poses(train, [0, 1, 2, 3, 4, 5])
    check_poses(test, [6, 7, 8, 9, 10, 11])
    assert [float(frame.camera.matrix[0, 0]) for frame in test.frames] == [66, 67, 68, 69, 70, 71]
    assert train.frames[0].camera.matrix[:2, 2].tolist() == MIDDLE


BLOCKS = ([0, 1, 2, 3, 5, 6, 7, 8, 10, 11], [4, 9])


@pytest.mark.parametrize("writer", [write_colmap_text, write_colmap_binary])
def test_colmap_is_turned_and_shifted_by_half_a_pixel(
    tmp_path: Path, writer: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(WRITERS, "colmap", writer)
    train, test, _ = imported(tmp_path, "colmap")
    check_poses(train, BLOCKS[0])
    check_poses(test, BLOCKS[1])
    camera = train.frames[0].camera
    np.testing.assert_allclose(camera.matrix, [[60, 0, 31.5], [0, 61, 23.5], [0, 0, 1]])
    np.testing.assert_allclose(camera.distortion, [0.1, 0.01, 0.001, 0.002])


def test_nerf_cameras_are_turned_and_fitted_to_the_images(tmp_path: Path) -> None:
    train, test, _ = imported(tmp_path, "nerf")
    check_poses(train, BLOCKS[0])
    check_poses(test, BLOCKS[1])
    camera = train.frames[0].camera
    np.testing.assert_allclose(camera.matrix, [[60, 0, 31.5], [0, 61, 23.5], [0, 0, 1]])
    np.testing.assert_allclose(camera.distortion, [0.1, 0.01, 0.001, 0.002, 0])


def test_synthetic_nerf_scenes_keep_their_split(tmp_path: Path) -> None:
    source = tmp_path / "lego"
    for split, numbers in (("train", range(3)), ("test", range(3, 5))):
        frames = []
        for i in numbers:
            write_image(source / split / f"r_{i}.png", i)
            frames.append(nerf_frame(i, f"./{split}/r_{i}"))
        contents = {"camera_angle_x": 2 * math.atan(0.5 * WIDTH / 60), "frames": frames}
        (source / f"transforms_{split}.json").write_text(json.dumps(contents))
    import_dataset("nerf", source, tmp_path / "scene")
    train = load_scene(tmp_path / "scene")
    check_poses(train, [0, 1, 2])
    check_poses(load_scene(tmp_path / "scene", "test"), [3, 4])
    np.testing.assert_allclose(
        train.frames[0].camera.matrix, [[60, 0, MIDDLE[0]], [0, 60, MIDDLE[1]], [0, 0, 1]]
    )


def test_tum_poses_are_interpolated_and_gaps_left_out(tmp_path: Path) -> None:
    source = tmp_path / "rgbd_dataset_freiburg3_x"
    source.mkdir()
    write_tum(source)
    patch_size(source)
    counts = import_dataset("tum", source, tmp_path / "scene", test_share=0.0)
    assert counts == {"train": 11, "test": 0, "without_pose": 1}
    frames = load_scene(tmp_path / "scene").frames
    numbers = [i for i in range(COUNT) if i != 4]
    for frame, i in zip(frames, numbers, strict=True):
        np.testing.assert_allclose(frame.T_map_camera, pose(i), atol=1e-6)
        assert frame.stamp_ns == (1305031100 + i) * 10**9 + 123456000
        np.testing.assert_allclose(frame.camera.matrix[:2, 2], [320.1, 247.6])


def patch_size(source: Path) -> None:
    """Make the images as large as the benchmark's, whose intrinsics are fixed."""
    for path in (source / "rgb").iterdir():
        cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), (640, 480)))


def test_tum_sequences_of_unknown_cameras_are_assumed_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train, _, _ = imported(tmp_path, "tum")
    assert float(train.frames[0].camera.matrix[1, 1]) == 525 and "525 is assumed" in caplog.text


def test_a_focal_length_can_be_given(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    write_7scenes(source)
    import_dataset("7scenes", source, tmp_path / "scene", focal_px=585.0)
    assert float(load_scene(tmp_path / "scene").frames[0].camera.matrix[0, 0]) == 585


def test_images_are_linked_or_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, _, _ = imported(tmp_path, "colmap")
    original = tmp_path / "source/images" / train.frames[0].image_path.name
    assert train.frames[0].image_path.samefile(original)

    def refuse(*_: object) -> None:
        raise OSError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    import_dataset("colmap", tmp_path / "source", tmp_path / "copied")
    copy = load_scene(tmp_path / "copied").frames[0].image_path
    assert not copy.samefile(original) and copy.read_bytes() == original.read_bytes()


@pytest.mark.parametrize(
    "kind, damage, words",
    [
        ("7scenes", "TestSplit.txt", "TestSplit.txt: cannot be read"),
        ("7scenes", "seq-02/frame-000007.pose.txt", "frame-000007.pose.txt: cannot be read"),
        ("7scenes", "TrainSplit.txt=sequence9", "seq-09: no such folder"),
        ("12scenes", "split.txt=one two", "split.txt: no [start="),
        ("12scenes", "info.txt=m_colorWidth = 64", "info.txt: no calibrationColorIntrinsic"),
        ("12scenes", "data/frame-000001.pose.txt=1 2 3", "000001.pose.txt: holds 3 values"),
        ("cambridge", "dataset_test.txt", "dataset_test.txt: cannot be read"),
        ("cambridge", "reconstruction.nvm=NVM_V2", "reconstruction.nvm: expected NVM_V3"),
        ("cambridge", "reconstruction.nvm=NVM_V3\n\n0\n", "line 4: no focal length"),
        ("cambridge", "dataset_train.txt=\n\n\nseq1/a.png 1 2", "line 4: has 2 numbers"),
        ("cambridge", "seq1/frame00002.png", "frame00002.png: cannot be read"),
        ("colmap", "sparse/0/images.txt", "no images.bin or images.txt"),
        ("colmap", "sparse/0/cameras.txt", "cameras.txt: cannot be read"),
        ("colmap", "sparse/0/cameras.txt=1 FOV 64 48 1 2 3 4 5", "FOV is not supported"),
        (
            "colmap",
            "sparse/0/cameras.txt=2 PINHOLE 64 48 60 61 32 24",
            "camera 1, which is missing",
        ),
        ("colmap", "sparse/0/cameras.txt=1 PINHOLE 64 50 60 61 32 24", "its camera in"),
        (
            "colmap",
            "sparse/0/cameras.txt=1 PINHOLE 64 48 60 61 32 24\n1 PINHOLE 64 48 80 81 32 24",
            "describes the camera 1 twice",
        ),
        ("colmap", "images/0003.jpg", "0003.jpg: cannot be read"),
        ("nerf", "transforms.json", "transforms_train.json: cannot be read"),
        ("nerf", "transforms.json={}", "not a usable transforms.json: it has no list of frames"),
        ("nerf", "transforms.json=[1]", "not a usable transforms.json"),
        ("tum", "groundtruth.txt", "groundtruth.txt: cannot be read"),
        ("tum", "groundtruth.txt=1.0 2 3", "groundtruth.txt, line 1: has 3 columns, expected a stamp"),
        ("tum", "groundtruth.txt=# none", "none of 12 images has a usable pose"),
    ],
)
def test_damaged_data_sets_name_the_file(tmp_path: Path, kind: str, damage: str, words: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    WRITERS[kind](source)
    name, given, text = damage.partition("=")
    (source / name).unlink()
    if given:
        (source / name).write_text(text)
    with pytest.raises(SceneError) as caught:
        import_dataset(kind, source, tmp_path / "scene")
    message = str(caught.value)
    assert words in message and str(source) in message and "\n" not in message
    assert not (tmp_path / "scene").exists()


def test_unknown_kinds_and_missing_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match=r"7scenes, 12scenes, .*got 'kitti'"):
        import_dataset("kitti", tmp_path, tmp_path / "scene")
    with pytest.raises(SceneError, match="nowhere: no such folder"):
        import_dataset("tum", tmp_path / "nowhere", tmp_path / "scene")


def test_7scenes_depth_is_scaled_to_the_colour_image(tmp_path: Path) -> None:
    """Its depth camera has 585 px where the colour camera has 525: it sees less, and all of it smaller."""
    train, test, _ = imported(tmp_path, "7scenes")
    assert [f.depth_path is not None for f in train.frames] == [True] * 3 + [False] + [True] * 2
    for frame, i in ((train.frames[2], 2), (test.frames[1], 7)):
        assert frame.depth_path is not None
        found = read_depth(frame.depth_path)
        left, right = found[6:-6, 4 : WIDTH // 2], found[6:-6, WIDTH // 2 : -4]
        assert np.unique(left).tolist() == [1000 + i] and np.unique(right).tolist() == [3000 + i]
        assert not found[:, :3].any() and not found[:, -3:].any() and found.max() < 65535
    source = read_depth(tmp_path / "source/seq-01/frame-000002.depth.png")
    import_dataset("7scenes", tmp_path / "source", tmp_path / "registered", focal_px=585.0)
    kept = load_scene(tmp_path / "registered").frames[2].depth_path
    assert kept is not None
    np.testing.assert_array_equal(read_depth(kept), np.where(source == 65535, 0, source))


def test_12scenes_depth_is_that_of_its_own_camera(tmp_path: Path) -> None:
    train, _, _ = imported(tmp_path, "12scenes")
    np.testing.assert_array_equal(read_depth(train.frames[0].depth_path), depth(4, 0))


def test_tum_depth_is_the_nearest_in_time_and_in_millimetres(tmp_path: Path) -> None:
    train, test, _ = imported(tmp_path, "tum")
    for frame in (*train.frames, *test.frames):
        number = int(frame.image_path.name[8:10])
        if number == 6:
            assert frame.depth_path is None
        else:
            np.testing.assert_array_equal(read_depth(frame.depth_path), depth(number, 0))


def test_stamps_of_other_tools_are_read(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    write_tum(source)
    path = source / "groundtruth.txt"
    lines = [line.split() for line in path.read_text().splitlines() if line[0] != "#"]
    expected = import_dataset("tum", source, tmp_path / "plain")
    for separator in (" ", ",", "\t"):
        rows = [separator.join([f"{float(w):.18e}" for w in words]) for words in lines]
        path.write_text("\ufeff# by another tool\n" + "\n".join(rows))
        scene = tmp_path / f"scene{ord(separator)}"
        assert import_dataset("tum", source, scene) == expected
        for one, other in zip(load_scene(scene).frames, load_scene(tmp_path / "plain").frames, strict=True):
            np.testing.assert_allclose(one.T_map_camera, other.T_map_camera, atol=1e-4)
            assert one.stamp_ns == other.stamp_ns


@pytest.mark.parametrize("stamp", ["nan", "inf", "-1.0", "1e400", "1403636579763555584", "1_0", "x"])
def test_a_stamp_that_is_none_in_seconds_is_refused(tmp_path: Path, stamp: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    write_tum(source)
    (source / "groundtruth.txt").write_text(f"{stamp} 0 0 0 0 0 0 1\n")
    with pytest.raises(SceneError, match="groundtruth.txt, line 1: has the stamp .* expected seconds"):
        import_dataset("tum", source, tmp_path / "scene")


def test_a_scene_that_cannot_be_written_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file/scene: cannot be written"):
        import_dataset("colmap", tmp_path, tmp_path / "file/scene")
