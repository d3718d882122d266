# SPDX-License-Identifier: Apache-2.0
"""Data sets whose images were resized, or whose numbers cannot be: the right camera, or a refusal."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from data_sets import WRITERS, nerf_frame, write_image, write_tum
from small_scenes import HEIGHT, MATRIX, WIDTH

from ace_ros.data.importers.data_sets import import_dataset
from ace_ros.data.scene import load_scene
from ace_ros.errors import ConfigError, SceneError


@pytest.mark.parametrize("size", [(320, 240), (480, 360), (1280, 960)])
def test_intrinsics_of_a_data_set_follow_images_that_were_resized(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    source = tmp_path / "freiburg3"
    source.mkdir()
    write_tum(source)
    for path in (source / "rgb").iterdir():
        cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), size))
    import_dataset("tum", source, tmp_path / "scene")
    K = load_scene(tmp_path / "scene").frames[0].camera.matrix
    scale = size[0] / 640
    assert float(K[0, 0]) == pytest.approx(535.4 * scale)
    assert float(K[0, 2]) == pytest.approx(320.6 * scale - 0.5)


def test_images_that_were_cropped_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "freiburg1"
    source.mkdir()
    write_tum(source)
    for path in (source / "rgb").iterdir():
        cv2.imwrite(str(path), np.zeros((480, 480, 3), np.uint8))
    with pytest.raises(SceneError, match="is 480x480, expected 640x480"):
        import_dataset("tum", source, tmp_path / "scene")


def test_12scenes_says_which_size_its_intrinsics_are_for(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    WRITERS["12scenes"](source)
    with (source / "info.txt").open("a") as file:
        file.write(f"m_colorWidth = {2 * WIDTH}\nm_colorHeight = {2 * HEIGHT}\n")
    text = (source / "info.txt").read_text().replace(f"m_colorWidth = {WIDTH}\n", "")
    (source / "info.txt").write_text(text)
    import_dataset("12scenes", source, tmp_path / "scene")
    K = load_scene(tmp_path / "scene").frames[0].camera.matrix
    assert float(K[0, 0]) == pytest.approx(MATRIX[0, 0] / 2)


def test_resized_images_of_7scenes_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = tmp_path / "source"
    source.mkdir()
    WRITERS["7scenes"](source)
    import_dataset("7scenes", source, tmp_path / "scene")
    assert f"an image is {WIDTH}x{HEIGHT}, expected 640x480" in caplog.text


def test_a_second_image_that_differs_in_its_suffix_alone_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    frames = []
    for i, name in enumerate(("a.png", "a.jpg")):
        write_image(source / name, i)
        frames.append(nerf_frame(i, name))
    (source / "transforms.json").write_text(json.dumps({"fl_x": 60, "frames": frames}))
    with pytest.raises(SceneError, match="a second image of the name a"):
        import_dataset("nerf", source, tmp_path / "scene", test_share=0.0)
    assert not (tmp_path / "scene").exists()


def test_intrinsics_that_no_map_can_be_made_with_are_refused_at_once(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    write_image(source / "a.png", 0)
    contents = {"fl_x": 600, "cx": 320, "cy": 240, "frames": [nerf_frame(0, "a.png")]}
    (source / "transforms.json").write_text(json.dumps(contents))
    with pytest.raises(SceneError, match="a.png: principal point .* lies outside its 64x48 image"):
        import_dataset("nerf", source, tmp_path / "scene")


def test_poses_that_are_none_say_why(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    write_image(source / "a.png", 0)
    frame = {**nerf_frame(0, "a.png"), "transform_matrix": np.diag([-1.0, 1.0, 1.0, 1.0]).tolist()}
    (source / "transforms.json").write_text(json.dumps({"fl_x": 60, "frames": [frame]}))
    with pytest.raises(SceneError, match=r"that of a is no rotation and translation \(determinant -1\)"):
        import_dataset("nerf", source, tmp_path / "scene")


@pytest.mark.parametrize(
    "options", [{"focal_px": -5.0}, {"focal_px": math.nan}, {"test_share": math.nan}, {"test_share": 2.0}]
)
def test_numbers_that_cannot_be_are_refused(tmp_path: Path, options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        import_dataset("nerf", tmp_path, tmp_path / "scene", **options)
