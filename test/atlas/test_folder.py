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
from torch.nn import functional as F

from ace_ros.atlas.folder import add_maps, check, is_atlas, map_path
from ace_ros.atlas.index import INDEX_NAME, read_index
from ace_ros.errors import ConfigError, MapError
from ace_ros.network.head import Head
from ace_ros.network.landmarks import no_landmarks
from ace_ros.network.signature import SIZE
from ace_ros.scene_map import Chunk, SceneMap


def scene_map(seed: int, map_frame: str, encoder_hash: str = "0123456789abcdef") -> SceneMap:
    torch.manual_seed(seed)
    chunk = Chunk(
        head=Head(16, 32, 1).eval().requires_grad_(False),
        centre=torch.zeros(3, dtype=torch.float64),
        bounds=torch.tensor([[-1.0, -2.0, 0.0], [1.0, 2.0, 3.0]], dtype=torch.float64),
        cloud_points=torch.zeros(5, 3),
        cloud_grey=torch.zeros(5, dtype=torch.uint8),
        landmarks=no_landmarks(16),
    )
    return SceneMap(
        chunks=(chunk,),
        encoder="lite",
        encoder_hash=encoder_hash,
        map_frame=map_frame,
        created="2026-01-01T00:00:00+00:00",
        signature=F.normalize(torch.randn(4, SIZE), dim=1).half(),
    )


@pytest.fixture
def maps(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.safetensors" for name in ("lobby", "attic", "cellar")]
    for seed, path in enumerate(paths):
        scene_map(seed, f"map_{path.stem}").save(path)
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
        assert torch.equal(index.signature(number), loaded.signature)
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
        scene_map(seed, "map").save(path)
    with pytest.raises(MapError, match="'two' would be in frame 'map', the frame of 'one'"):
        add_maps(tmp_path / "a", paths)
    assert [p.name for p in read_index(tmp_path / "a")] == ["one"]  # what came before is kept
    add_maps(tmp_path / "a", paths[1:], map_frame="map")
    assert [p.map_frame for p in read_index(tmp_path / "a")] == ["map", "map"]


def test_a_place_is_replaced_only_on_request(atlas: Path, maps: list[Path]) -> None:
    scene_map(9, "map_attic").save(maps[1])
    with pytest.raises(MapError, match="'attic' is in the atlas already"):
        add_maps(atlas, maps[1:2])
    add_maps(atlas, maps[1:2], replaces=True)
    index = read_index(atlas)
    assert len(index) == 3 and torch.equal(index.signature(0), SceneMap.load(maps[1]).signature)
    assert list(check(atlas)) == []


def test_a_map_that_lies_in_the_folder_is_added_where_it_is(tmp_path: Path, maps: list[Path]) -> None:
    add_maps(tmp_path, maps)
    assert is_atlas(tmp_path) and len(read_index(tmp_path)) == 3 and list(check(tmp_path)) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([INDEX_NAME, *(m.name for m in maps)])


def test_maps_that_cannot_be_added(atlas: Path, maps: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    scene_map(5, "map_other", encoder_hash="fedcba9876543210").save(other)
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


def test_a_map_without_a_signature_is_taken_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "old.safetensors"
    replace(scene_map(0, "map"), signature=torch.zeros(0, SIZE).half()).save(path)
    add_maps(tmp_path / "a", [path])
    assert "has no signature" in caplog.text
    assert len(read_index(tmp_path / "a").signature(0)) == 0


def test_check_names_every_problem_and_goes_on(atlas: Path, maps: list[Path]) -> None:
    shutil.copy(maps[0], atlas / "stray.safetensors")
    (atlas / "attic.safetensors").unlink()
    scene_map(7, "map_cellar").save(atlas / "cellar.safetensors")
    lobby = atlas / "lobby.safetensors"
    lobby.write_bytes(lobby.read_bytes()[:-100])
    found = {p.name: p.kind for p in check(atlas)}
    assert found == {"attic": "missing", "cellar": "changed", "lobby": "damaged", "stray": "unlisted"}
    assert all(p.name in p.message for p in check(atlas))
    scene_map(7, "map_cellar", encoder_hash="fedcba9876543210").save(atlas / "cellar.safetensors")
    assert {p.name: p.kind for p in check(atlas)}["cellar"] == "foreign"


def test_a_full_disk_leaves_the_atlas_as_it_was(
    atlas: Path, maps: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (atlas / INDEX_NAME).read_bytes()
    new = maps[0].with_name("new.safetensors")
    scene_map(11, "map_new").save(new)

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
        scene_map(seed, f"map_{seed}").save(path)
    code = (
        "import sys; from pathlib import Path; from ace_ros.atlas.folder import add_maps\n"
        "add_maps(Path(sys.argv[1]), [Path(sys.argv[2])])"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, tmp_path / "a", p]) for p in paths]
    assert [process.wait(120) for process in started] == [0] * 4
    assert len(read_index(tmp_path / "a")) == 4
