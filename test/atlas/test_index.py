# SPDX-License-Identifier: Apache-2.0
"""The index of an atlas: what is searched, and files that cannot be trusted."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from ace_ros.atlas.index import (
    FORMAT,
    FORMAT_VERSION,
    INDEX_NAME,
    AtlasIndex,
    Place,
    make_index,
    read_index,
    write_index,
)
from ace_ros.errors import MapError
from ace_ros.files.tensor_file import read_header
from ace_ros.maps.global_descriptor import SIZE
from ace_ros.maps.scene_map import DESCRIPTORS

BOUNDS = torch.tensor([[-5.0, -5.0, 0.0], [5.0, 5.0, 3.0]], dtype=torch.float64)


def views(seed: int, count: int = 4) -> torch.Tensor:
    return F.normalize(torch.randn(count, SIZE, generator=torch.Generator().manual_seed(seed)), dim=1).half()


def place(name: str, map_frame: str = "", **about: Any) -> Place:
    return Place(name, map_frame or name, about.pop("bounds", BOUNDS), "0" * 64, 1_200_000, **about)


@pytest.fixture
def index(tmp_path: Path) -> AtlasIndex:
    """Four places, given in another order than that of their names."""
    entries = [
        (place("cellar", position=(48.2000, 16.3700)), views(0)),
        (
            place("attic", "house", created="2026-01-01T00:00:00+00:00", validation={"recall": 0.9}),
            views(1, 2),
        ),
        (place("old", "house", bounds=BOUNDS + 100.0), torch.zeros(0, SIZE)),
        (place("lobby", position=(48.2005, 16.3705)), views(3, 16)),
    ]
    write_index(tmp_path, make_index("lite", "abc", entries))
    return read_index(tmp_path)


def test_what_was_written_is_read(index: AtlasIndex) -> None:
    assert [p.name for p in index] == ["attic", "cellar", "lobby", "old"]
    attic = index[0]
    assert (attic.map_frame, attic.validation, attic.position) == ("house", {"recall": 0.9}, None)
    assert torch.equal(attic.bounds, BOUNDS) and attic.created.startswith("2026")
    assert index[1].position == (48.2, 16.37)
    assert (index.encoder, index.encoder_hash) == ("lite", "abc")
    for number, seed, count in ((0, 1, 2), (1, 0, 4), (2, 3, 16)):
        assert torch.equal(index.descriptors(number), views(seed, count))
    assert len(index.descriptors(3)) == 0


def test_places_are_found_by_name(index: AtlasIndex) -> None:
    assert [index.find(p.name) for p in index] == [0, 1, 2, 3]
    assert index.find("aaa") is index.find("kitchen") is index.find("zzz") is None


def test_the_most_similar_places_come_first(index: AtlasIndex) -> None:
    query = views(3, 16)[7].float()
    ranked = index.rank(query, 10)
    assert ranked[0][0] == 2 and ranked[0][1] == pytest.approx(1.0, abs=1e-2)
    expected = {n: float((index.descriptors(n).float() @ query).max()) for n in (0, 1, 2)}
    assert dict(ranked) == pytest.approx(expected, abs=1e-3)  # the place without descriptors is not there
    assert [n for n, _ in ranked] == sorted(expected, key=lambda n: -expected[n])
    assert len(index.rank(query, 1)) == 1


def test_only_some_places_are_looked_at(index: AtlasIndex) -> None:
    query = views(3, 16)[7].float()
    among = index.near((48.2, 16.37), 10.0)
    assert among.tolist() == [1]
    assert [n for n, _ in index.rank(query, 10, among)] == [1]
    assert index.rank(query, 10, index.near((0.0, 0.0), 1000.0)) == []


def test_many_rows_are_ranked_as_few(tmp_path: Path) -> None:
    entries = [(place(f"p{n:04d}"), views(n, 1 + n % 5)) for n in range(3000)]
    index = make_index("lite", "abc", entries)
    for number in (0, 1499, 2999):
        assert index.rank(index.descriptors(number)[0].float(), 1)[0][0] == number


def test_distances_on_earth(index: AtlasIndex) -> None:
    # 0.0005 deg of latitude are 55.6 m, of longitude there 37.1 m: 66.8 m apart.
    assert index.near((48.2, 16.37), 66.0).tolist() == [1]
    assert index.near((48.2, 16.37), 67.5).tolist() == [1, 2]
    across = make_index("lite", "abc", [(place("date-line", position=(0.0, 180.0)), views(0))])
    assert across.near((0.0, -179.9999), 12.0).tolist() == [0]


def test_places_around_a_point_of_a_frame(index: AtlasIndex) -> None:
    inside, outside = (torch.tensor([x, 0.0, 1.0], dtype=torch.float64) for x in (4.0, 6.0))
    assert index.around("house", inside, 0.0).tolist() == [0]
    assert index.around("house", outside, 0.0).tolist() == []
    assert index.around("house", outside, 1.5).tolist() == [0]
    assert index.around("cellar", inside, 0.0).tolist() == [1]
    assert index.around("elsewhere", inside, 0.0).tolist() == []


def test_an_empty_index(tmp_path: Path) -> None:
    write_index(tmp_path, make_index("lite", "abc", []))
    index = read_index(tmp_path)
    assert len(index) == 0 and index.find("x") is None and index.rank(torch.zeros(SIZE), 3) == []
    assert index.near((0.0, 0.0), 1e9).tolist() == []


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_a_truncated_index_is_refused(index: AtlasIndex, tmp_path: Path, share: float) -> None:
    path = tmp_path / INDEX_NAME
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(MapError, match="truncated"):
        read_index(tmp_path)


def change(folder: Path, name: str, value: torch.Tensor | None) -> None:
    path = folder / INDEX_NAME
    columns, header = load_file(path), read_header(path, FORMAT, FORMAT_VERSION)
    columns.pop(name)
    path.unlink()
    save_file(columns if value is None else {**columns, name: value}, path, header)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bounds", None),
        ("bounds", torch.zeros(4, 6, dtype=torch.float64)),
        ("bounds", torch.zeros(3, 2, 3, dtype=torch.float64)),
        ("frames", torch.zeros(4)),
        ("line_ends", torch.tensor([10, 5, 20, 30])),
        ("line_ends", torch.tensor([10, 20, 30, 1 << 40])),
        ("line_ends", torch.tensor([-1, 20, 30, 40])),
        ("signature_ends", torch.tensor([2, 6, 22, 23])),
        (DESCRIPTORS, torch.zeros(22, 7).half()),
        (DESCRIPTORS, torch.tensor(1.0).half()),
    ],
)
def test_columns_that_do_not_belong_together_are_refused(
    index: AtlasIndex, tmp_path: Path, name: str, value: torch.Tensor | None
) -> None:
    change(tmp_path, name, value)
    with pytest.raises(MapError, match=INDEX_NAME):
        read_index(tmp_path)


@pytest.mark.parametrize("line", ["not json", "[]", "{}", '{"name": "../etc"}', '{"name": 5}'])
def test_a_damaged_line_leaves_the_other_places(index: AtlasIndex, tmp_path: Path, line: str) -> None:
    lines = load_file(tmp_path / INDEX_NAME)["places"].numpy().tobytes().splitlines(keepends=True)
    lines[1] = line.encode().ljust(len(lines[1]) - 1) + b"\n"
    change(tmp_path, "places", torch.frombuffer(bytearray(b"".join(lines)), dtype=torch.uint8))
    damaged = read_index(tmp_path)
    with pytest.raises(MapError, match="place 1"):
        damaged[1]
    assert (damaged[0].name, damaged[2].name) == ("attic", "lobby")


def test_a_name_that_is_a_path_is_never_returned(tmp_path: Path) -> None:
    write_index(tmp_path, make_index("lite", "abc", [(place("../../etc/passwd"), views(0))]))
    with pytest.raises(MapError, match="plain name"):
        read_index(tmp_path)[0]


def test_an_index_of_another_kind_is_refused(index: AtlasIndex, tmp_path: Path) -> None:
    path = tmp_path / INDEX_NAME
    columns = load_file(path)
    path.unlink()
    save_file(columns, path, {"format": "ace_ros map", "format_version": "1"})
    with pytest.raises(MapError, match="expected an ace_ros atlas file, found ace_ros map"):
        read_index(tmp_path)
    save_file(columns, path, {"format": FORMAT, "format_version": "9"})
    with pytest.raises(MapError, match="format version '9'"):
        read_index(tmp_path)
    with pytest.raises(MapError, match="cannot be read"):
        read_index(tmp_path / "elsewhere")


def test_an_index_that_is_replaced_stays_as_it_was_opened(index: AtlasIndex, tmp_path: Path) -> None:
    write_index(tmp_path, make_index("lite", "abc", [(place("new"), views(8, 100))]))
    assert torch.equal(index.descriptors(2), views(3, 16)) and index[2].name == "lobby"
    assert math.isclose(index.rank(views(3, 16)[0].float(), 1)[0][1], 1.0, abs_tol=1e-2)
