# SPDX-License-Identifier: Apache-2.0
"""What the commands say of names and values from outside: one line, before the work, with nothing to obey."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ace_ros.cli.parser import main
from ace_ros.maps.scene_map import SceneMap
from support import Trained


def test_a_name_that_is_too_long_is_told_as_other_files_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "x" * 300]) == 2
    said = capsys.readouterr().err
    assert said == f"ace_ros: {'x' * 300}: File name too long\n"


def test_what_a_map_says_of_itself_is_printed_without_what_a_terminal_obeys(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene_map = SceneMap.load(trained.map_path)
    training = {**scene_map.training, "note\x1b[2J": "one\ntwo\x07"}
    dataclasses.replace(scene_map, training=training).save(tmp_path / "map.safetensors")
    assert main(["info", str(tmp_path / "map.safetensors")]) == 0
    said = capsys.readouterr().out
    assert r"  note\x1b[2J: one\ntwo\x07" in said.splitlines() and "\x1b" not in said


@pytest.mark.parametrize("frame", ["", "//", "a\nb", "f" * 300])
def test_a_frame_that_no_map_can_be_in_is_refused_before_the_training(
    simulated_scene: Path, tmp_path: Path, frame: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "map.safetensors"
    assert main(["map", str(simulated_scene), "-o", str(output), "--map-frame", frame]) == 2
    assert "map frame" in capsys.readouterr().err and not output.exists()


def test_a_map_in_a_frame_without_a_name_is_refused(trained: Trained, tmp_path: Path) -> None:
    path = tmp_path / "map.safetensors"
    dataclasses.replace(SceneMap.load(trained.map_path), map_frame="/").save(path)
    assert main(["info", str(path)]) == 2
