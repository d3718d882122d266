# SPDX-License-Identifier: Apache-2.0
"""An atlas on disk: maps are added, and whatever happens to its files afterwards is told."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_maps import small_map

from ace_ros.atlas.folder import add_maps, check, is_atlas, map_path, remove_places
from ace_ros.atlas.index import INDEX_NAME, read_index
from ace_ros.errors import ConfigError, MapError
from ace_ros.maps.global_descriptor import SIZE
from ace_ros.maps.scene_map import SceneMap


@pytest.fixture
def maps(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.safetensors" for name in ("lobby", "attic", "cellar")]
    for seed, path in enumerate(paths):
        small_map(seed, f"map_{path.stem}").save(path)
    return paths


@pytest.fixture
def atlas(maps: list[Path], tmp_path: Path) -> Path:
    add_maps(tmp_path / "house", maps[:2])
    add_maps(tmp_path / "house", maps[2:], position=(48.2, 16.37))
    return tmp_path / "house"


def test_maps_are_copied_and_listed(atlas: Path, maps: list[Path]) -> None:
    index = read_index(atlas)
    assert [(p.name, p.map_frame) for p in index] == [
        ("attic", "map_attic"), ("cellar", "map_cellar"), ("lobby", "map_lobby"),
    ]  # fmt: skip
    for number, place in enumerate(index):
        path = next(m for m in maps if m.stem == place.name)
        assert map_path(atlas, place).read_bytes() == path.read_bytes()
        assert place.map_bytes == path.stat().st_size and place.created == "2026-01-01T00:00:00+00:00"
        loaded = SceneMap.load(path)
        assert torch.equal(place.bounds, loaded.bounds)
        assert torch.equal(index.descriptors(number), loaded.descriptors)
    assert [p.position for p in index] == [None, (48.2, 16.37), None]
    assert list(check(atlas)) == []


def test_a_place_has_the_name_and_the_frame_that_it_is_given(maps: list[Path], tmp_path: Path) -> None:
    add_maps(tmp_path / "a", maps[:1], name="hall", map_frame="ground_floor")
    add_maps(tmp_path / "a", maps[1:], map_frame="map_of_{name}")
    found = {p.name: p.map_frame for p in read_index(tmp_path / "a")}
    assert found == {"hall": "ground_floor", "attic": "map_of_attic", "cellar": "map_of_cellar"}


def test_two_places_share_a_frame_only_if_somebody_says_so(tmp_path: Path) -> None:
    paths = [tmp_path / "one.safetensors", tmp_path / "two.safetensors"]
    for seed, path in enumerate(paths):
        small_map(seed, "map").save(path)
    with pytest.raises(MapError, match="'two' would be in frame 'map', the frame of 'one'"):
        add_maps(tmp_path / "a", paths)
    assert [p.name for p in read_index(tmp_path / "a")] == ["one"]  # what came before is kept
    add_maps(tmp_path / "a", paths[1:], map_frame="map")
    assert [p.map_frame for p in read_index(tmp_path / "a")] == ["map", "map"]


def test_a_place_is_replaced_only_on_request(atlas: Path, maps: list[Path]) -> None:
    small_map(9, "map_attic").save(maps[1])
    with pytest.raises(MapError, match="'attic' is in the atlas already"):
        add_maps(atlas, maps[1:2])
    add_maps(atlas, maps[1:2], replaces=True)
    index = read_index(atlas)
    assert len(index) == 3 and torch.equal(index.descriptors(0), SceneMap.load(maps[1]).descriptors)
    assert list(check(atlas)) == []


def test_a_map_that_lies_in_the_folder_is_added_where_it_is(tmp_path: Path, maps: list[Path]) -> None:
    add_maps(tmp_path, maps)
    assert is_atlas(tmp_path) and len(read_index(tmp_path)) == 3 and list(check(tmp_path)) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([INDEX_NAME, *(m.name for m in maps)])


def test_maps_that_cannot_be_added(atlas: Path, maps: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    small_map(5, "map_other", encoder_hash="fedcba9876543210").save(other)
    with pytest.raises(MapError, match=r"belongs to encoder lite \(fedcba9876543210\), the atlas to lite"):
        add_maps(atlas, [other])
    other.write_bytes(maps[0].read_bytes()[:-100])
    with pytest.raises(MapError, match="truncated"):
        add_maps(atlas, [other])
    with pytest.raises(ConfigError, match="no plain name"):
        add_maps(atlas, maps[:1], name="../lobby")
    with pytest.raises(ConfigError, match="cannot all be named"):
        add_maps(atlas, maps, name="lobby")
    with pytest.raises(MapError, match="no latitude and longitude"):
        add_maps(atlas, maps[:1], replaces=True, position=(91.0, 0.0))
    with pytest.raises(MapError, match="no name of a frame"):
        add_maps(atlas, maps[:1], replaces=True, map_frame="a\nb")
    assert len(read_index(atlas)) == 3 and list(check(atlas)) == []


def test_a_map_without_a_descriptor_is_taken_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "old.safetensors"
    replace(small_map(0, "map"), descriptors=torch.zeros(0, SIZE).half()).save(path)
    add_maps(tmp_path / "a", [path])
    assert "has no descriptor" in caplog.text
    assert len(read_index(tmp_path / "a").descriptors(0)) == 0


def test_check_names_every_problem_and_goes_on(atlas: Path, maps: list[Path]) -> None:
    shutil.copy(maps[0], atlas / "stray.safetensors")
    (atlas / "attic.safetensors").unlink()
    small_map(7, "map_cellar").save(atlas / "cellar.safetensors")
    lobby = atlas / "lobby.safetensors"
    lobby.write_bytes(lobby.read_bytes()[:-100])
    found = {p.name: p.kind for p in check(atlas)}
    assert found == {"attic": "missing", "cellar": "changed", "lobby": "damaged", "stray": "unlisted"}
    assert all(p.name in p.message for p in check(atlas))
    small_map(7, "map_cellar", encoder_hash="fedcba9876543210").save(atlas / "cellar.safetensors")
    assert {p.name: p.kind for p in check(atlas)}["cellar"] == "foreign"


def two_chunks(maps: list[Path]) -> SceneMap:
    """Return a place in two chunks."""
    one, other = SceneMap.load(maps[0]), SceneMap.load(maps[1])
    return replace(one, chunks=(*one.chunks, *other.chunks), map_frame="map_hall")


def test_check_names_the_chunks_that_cannot_be_used(atlas: Path, maps: list[Path], tmp_path: Path) -> None:
    for name in ("hall", "yard"):
        two_chunks(maps).save(tmp_path / f"{name}.safetensors")
        add_maps(atlas, [tmp_path / f"{name}.safetensors"], map_frame="{name}")
    untrained = replace(SceneMap.load(maps[0]), missing={0: "its process died"}, map_frame="den")
    untrained.save(tmp_path / "den.safetensors")
    add_maps(atlas, [tmp_path / "den.safetensors"])
    assert [(p.name, p.kind) for p in check(atlas)] == [("den", "incomplete")]
    path = atlas / "hall.safetensors"
    data = bytearray(path.read_bytes())
    data[data.find(load_file(path)["head.1.output.weight"].numpy().tobytes()) + 7] ^= 0x10
    path.write_bytes(data)
    found = {(p.name, p.kind): p.message for p in check(atlas)}
    assert set(found) == {("den", "incomplete"), ("hall", "incomplete"), ("hall", "changed")}
    assert "1 of 2 chunks of the map cannot be used: chunk 0: its process died" in found["den", "incomplete"]
    assert "chunk 1: its contents have changed" in found["hall", "incomplete"]


def test_a_place_that_is_removed_is_gone(atlas: Path) -> None:
    remove_places(atlas, ["lobby", "cellar"])
    assert [place.name for place in read_index(atlas)] == ["attic"]
    assert sorted(p.name for p in atlas.iterdir()) == sorted([INDEX_NAME, "attic.safetensors"])
    (atlas / "attic.safetensors").unlink()  # a place without its map can be removed as well
    remove_places(atlas, ["attic"])
    assert len(read_index(atlas)) == 0 and list(check(atlas)) == []


def test_nothing_is_removed_where_one_of_the_places_is_not_there(atlas: Path) -> None:
    with pytest.raises(MapError, match="this atlas has no place 'loft'"):
        remove_places(atlas, ["lobby", "loft"])
    assert len(read_index(atlas)) == 3 and list(check(atlas)) == []


def test_a_removal_that_is_killed_leaves_no_place_without_its_map(atlas: Path) -> None:
    code = f"""
import os
from pathlib import Path
from ace_ros.atlas import folder
Path.unlink = lambda *args, **more: os._exit(9)  # killed when the first file is about to go
folder.remove_places(Path({str(atlas)!r}), ["lobby", "attic"])
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9
    assert [place.name for place in read_index(atlas)] == ["cellar"]
    assert {p.kind for p in check(atlas)} == {"unlisted"}


def test_a_removal_on_a_full_disk_removes_nothing(atlas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ace_ros.atlas.folder.write_index", full)
    with pytest.raises(OSError, match="No space left"):
        remove_places(atlas, ["lobby"])
    assert len(read_index(atlas)) == 3 and list(check(atlas)) == []


def test_a_full_disk_leaves_the_atlas_as_it_was(
    atlas: Path, maps: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (atlas / INDEX_NAME).read_bytes()
    new = maps[0].with_name("new.safetensors")
    small_map(11, "map_new").save(new)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        add_maps(atlas, [new])
    monkeypatch.undo()
    assert (atlas / INDEX_NAME).read_bytes() == before
    assert list(check(atlas)) == [] and not list(atlas.glob(".*"))


def test_programs_that_add_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    paths = [tmp_path / f"p{n}.safetensors" for n in range(4)]
    for seed, path in enumerate(paths):
        small_map(seed, f"map_{seed}").save(path)
    code = (
        "import sys; from pathlib import Path; from ace_ros.atlas.folder import add_maps\n"
        "add_maps(Path(sys.argv[1]), [Path(sys.argv[2])])"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, tmp_path / "a", p]) for p in paths]
    assert [process.wait(120) for process in started] == [0] * 4
    assert len(read_index(tmp_path / "a")) == 4
