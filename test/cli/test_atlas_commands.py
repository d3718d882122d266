# SPDX-License-Identifier: Apache-2.0
"""`ace_ros atlas` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ace_ros.cli.parser import main
from ace_ros.data.scene import load_scene
from support import Trained


@pytest.fixture
def atlas(trained: Trained, tmp_path: Path) -> Path:
    folder = tmp_path / "house"
    arguments = ["--name", "wall", "--map-frame", "map_wall", "--position=-33.86,151.21"]
    assert main(["atlas", "add", str(folder), str(trained.map_path), *arguments]) == 0
    return folder


def objects(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_add_list_and_find_by_position(atlas: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["atlas", "list", str(atlas)]) == 0
    assert "in frame map_wall, at -33.860000,151.210000" in capsys.readouterr().out
    assert main(["atlas", "list", str(atlas), "--json"]) == 0
    (place,) = objects(capsys.readouterr().out)
    assert (place["place"], place["map_frame"], place["position"]) == ("wall", "map_wall", [-33.86, 151.21])
    assert main(["atlas", "find", str(atlas), "--near=-33.8601,151.21"]) == 0
    assert capsys.readouterr().out.startswith("wall: ")
    assert main(["atlas", "find", str(atlas), "--near=-33.9,151.21"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["atlas", "find", str(atlas)]) == 2
    assert "name images, or a position" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["atlas", "find", str(atlas), "--near=here"])
    assert "invalid position value: 'here'" in capsys.readouterr().err


def test_find_says_which_place_images_show(
    atlas: Path, trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [str(f.image_path) for f in load_scene(trained.scene, "test").frames[:3]]
    capsys.readouterr()
    assert main(["atlas", "find", str(atlas), *images, "--json", "--device", "cpu"]) == 0
    found = objects(capsys.readouterr().out)
    assert [f["image"] for f in found] == images
    for f in found:
        assert f["ok"] == (f["place"] == "wall") == (f["T_map_camera"] is not None) == (f["reason"] == "none")
        assert [t["place"] for t in f["tried"]] == ["wall"]
    assert any(f["ok"] and f["map_frame"] == "map_wall" for f in found)
    assert main(["atlas", "find", str(atlas), images[0], "--device", "cpu", "--near=0,0"]) == 0
    assert "no place (unknown place)" in capsys.readouterr().out


def test_check_prints_all_problems_and_fails(
    atlas: Path, trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["atlas", "check", str(atlas)]) == 0
    (atlas / "wall.safetensors").unlink()
    (atlas / "other.safetensors").write_bytes(trained.map_path.read_bytes())
    capsys.readouterr()
    assert main(["atlas", "check", str(atlas), "--json"]) == 2
    out, err = capsys.readouterr()
    assert {p["name"]: p["kind"] for p in objects(out)} == {"wall": "missing", "other": "unlisted"}
    assert err.strip().endswith("house: found 2 problems")


def test_remove(atlas: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["atlas", "remove", str(atlas), "wall", "floor"]) == 2
    assert "no place 'floor'" in capsys.readouterr().err
    assert main(["atlas", "remove", str(atlas), "wall"]) == 0
    assert main(["atlas", "list", str(atlas)]) == 0
    assert capsys.readouterr().out == "" and not (atlas / "wall.safetensors").exists()


def test_a_folder_that_is_no_atlas(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command, *names in (["list"], ["check"], ["remove", "wall"]):
        assert main(["atlas", command, str(tmp_path), *names]) == 2
        assert "atlas.index: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["--near=nan,nan", "--near=91,0", "--radius=nan", "--radius=-1"])
def test_a_place_or_distance_that_cannot_be_is_refused(
    tmp_path: Path, wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["atlas", "find", str(tmp_path), "--near=1,2", wrong])
    assert wrong.partition("=")[2] in capsys.readouterr().err


def test_a_place_to_try_first_must_be_in_the_atlas(
    atlas: Path, trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    image = str(load_scene(trained.scene, "test").frames[0].image_path)
    assert main(["atlas", "find", str(atlas), image, "--device", "cpu", "--place", "wal"]) == 2
    assert "this atlas has no place 'wal'" in capsys.readouterr().err
