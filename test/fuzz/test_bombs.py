# SPDX-License-Identifier: Apache-2.0
"""Small files that ask for a lot of memory, or name what is not theirs, are refused before they get it."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import sqlite3
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from attack import peak_bytes
from mutations import YAML

from ace_ros.data.recorder import SceneRecorder
from ace_ros.errors import AceError, ConfigError, MapError, SceneError
from ace_ros.files.json_text import parse_json
from ace_ros.files.limits import MAX_UNPACKED_BYTES
from ace_ros.files.names import path_inside
from ace_ros.files.numbers import real, whole
from ace_ros.files.outside import read_bytes, read_lines
from ace_ros.files.yaml_text import parse_yaml
from ace_ros.maps.scene_map import SceneMap
from ace_ros.network.encoder_file import load_encoder


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def refuse(kind: type[AceError], use: Callable[[], object], words: str, taken: int = 200_000_000) -> None:
    """Check that something is refused in a sentence, and without taking memory."""
    before = peak_bytes() if sys.platform != "linux" else (forget_peak(), peak_bytes())[1]
    with pytest.raises(kind, match=words) as refused:
        use()
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 1000
    assert peak_bytes() - before < taken


@pytest.mark.parametrize("text", YAML[:2])
def test_aliases_do_not_grow(text: str) -> None:
    refuse(ConfigError, lambda: parse_yaml(text, "a.yaml", ConfigError), "is not valid YAML: more than")


def test_yaml_that_contains_itself_or_a_key_twice_is_refused() -> None:
    refuse(ConfigError, lambda: parse_yaml("&a [*a]", "a.yaml", ConfigError), "nested more than")
    refuse(ConfigError, lambda: parse_yaml("a: 1\na: 2", "a.yaml", ConfigError), "the key 'a' occurs twice")
    assert parse_yaml("a: &x [1, 2]\nb: *x", "a.yaml", ConfigError) == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("[" * 40 + "]" * 40, "nested more than 32 deep"),
        ('{"a": 1, "a": 2}', "the key 'a' occurs twice"),
        ("1e400", "not a finite number"),
        ("[NaN]", "not a finite number"),
        ("1" + "0" * 400, "more than 64 bits"),
        ("9" * 5000, "more than 64 bits"),
    ],
)
def test_json_that_is_more_than_plain_values_is_refused(text: str, words: str) -> None:
    refuse(MapError, lambda: parse_json(text, "a.json", MapError), f"a.json: is not valid JSON: .*{words}")


@pytest.mark.parametrize("text", ["1_000", "１２", "0x10", "", "1,5", "9" * 100])
def test_numbers_are_plain_decimals(text: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        real(text)
    with pytest.raises(ValueError, match="is no"):
        whole(text, 10_000)
    assert (real("-1.5e3"), whole("12", 12)) == (-1500.0, 12)


@pytest.mark.parametrize(
    "name", ["../a.png", "/a.png", "a/../../b", "a\0b", "a\nb", "", ".", "\ud800", "x" * 300, 7, None]
)
def test_a_name_in_a_file_does_not_lead_out_of_its_folder(name: object, tmp_path: Path) -> None:
    refuse(SceneError, lambda: path_inside(tmp_path, name, "a.txt", SceneError), "a.txt: .* is no path")
    assert path_inside(tmp_path, "./rgb/a b.png", "", SceneError) == tmp_path / "rgb/a b.png"


def test_a_pipe_a_folder_and_a_line_without_end_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    refuse(SceneError, lambda: read_bytes(tmp_path / "pipe", 100, SceneError), "pipe: is a pipe or device")
    refuse(SceneError, lambda: read_bytes(tmp_path, 100, SceneError), "cannot be read: Is a directory")
    zeros = tmp_path / "zeros.txt"
    with zeros.open("wb") as file:
        file.truncate(4 << 30)
    refuse(SceneError, lambda: list(read_lines(zeros, 100, SceneError)), "line 1: longer than 100")
    refuse(SceneError, lambda: read_bytes(zeros, 100, SceneError), "at most 100 are read")


def test_a_sparse_map_is_refused(tmp_path: Path) -> None:
    header = b'{"x": {"dtype": "U8", "shape": [1900000000], "data_offsets": [0, 1900000000]}}'
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    os.truncate(path, 8 + len(header) + 1_900_000_000)
    refuse(MapError, lambda: SceneMap.load(path), "are missing")


def checkpoint(path: Path, contents: object, compression: int = zipfile.ZIP_STORED) -> Path:
    """Write a file like PyTorch's with the pickle of an object as the description of its tensors."""
    data = contents if isinstance(contents, bytes) else pickle.dumps(contents, 2)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("ace/data.pkl", data)
        archive.writestr("ace/version", "3")
    return path


class Calls:
    """Pickles as a call of something with some arguments."""

    def __init__(self, *call: object) -> None:
        self.call = call

    def __reduce__(self) -> tuple:
        return self.call[0], self.call[1:]


def test_a_checkpoint_that_asks_for_memory_is_refused(tmp_path: Path) -> None:
    def load(path: Path) -> Callable[[], object]:
        return lambda: load_encoder(path)

    bytes_of = checkpoint(tmp_path / "a.pt", {"x": Calls(bytearray, 10**10)})
    refuse(MapError, load(bytes_of), "it calls __builtin__ bytearray")
    packed = checkpoint(tmp_path / "b.pt", bytes(100_000_000), zipfile.ZIP_DEFLATED)
    refuse(MapError, load(packed), "compressed parts")
    buffer = io.BytesIO()
    torch.save({"x": torch.zeros(1)}, buffer, _use_new_zipfile_serialization=False)
    (tmp_path / "c.pt").write_bytes(buffer.getvalue())
    refuse(MapError, load(tmp_path / "c.pt"), "not a checkpoint as PyTorch 1.6 or later writes it")


def test_a_recording_goes_on_in_no_linked_folder(tmp_path: Path) -> None:
    recorder_folder, mine = tmp_path / "scene", tmp_path / "mine"
    SceneRecorder(recorder_folder)
    mine.mkdir()
    (mine / "zzz").write_text("kept")
    shutil.rmtree(recorder_folder / "train/rgb")
    (recorder_folder / "train/rgb").symlink_to(mine)
    refuse(SceneError, lambda: SceneRecorder(recorder_folder), "rgb: is a link")
    assert (mine / "zzz").read_text() == "kept"


def test_a_bag_does_not_unpack_to_more_than_a_limit() -> None:
    pytest.importorskip("rosbags")
    import bz2

    import lz4.frame

    from ace_ros.data.importers.bag_limits import Budget

    budget = Budget(Path("a.bag"), 1000)
    zeros = bytes(MAX_UNPACKED_BYTES + 1)
    frame = lz4.frame
    for make, packed in ((bz2.BZ2Decompressor, bz2.compress), (frame.LZ4FrameDecompressor, frame.compress)):
        data = packed(zeros)
        refuse(SceneError, lambda m=make, d=data: budget.unpacked(m, d), "a.bag: .* unpacks", 500_000_000)
        assert budget.unpacked(make, packed(b"abc") + packed(b"d")) == b"abcd"
        with pytest.raises(SceneError, match="cut off"):
            budget.unpacked(make, packed(b"abc" * 100)[:-10])
    small = bz2.compress(bytes(MAX_UNPACKED_BYTES // 2))
    with pytest.raises(SceneError, match="times its size"):
        for _ in range(10):
            budget.unpacked(bz2.BZ2Decompressor, small)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("CREATE VIEW messages AS SELECT 2 AS timestamp, zeroblob(900000000) AS data", "no plain table"),
        ("CREATE TABLE messages(id INTEGER, data BLOB AS (zeroblob(900000000)))", "computed"),
        ("CREATE TABLE messages(data); INSERT INTO messages VALUES ('text')", "a message of more"),
    ],
)
def test_a_database_with_more_than_tables_is_refused(tmp_path: Path, statement: str, words: str) -> None:
    pytest.importorskip("rosbags")
    from ace_ros.data.importers.bag_limits import check_database

    path = tmp_path / "a.db3"
    database = sqlite3.connect(path)
    database.executescript(statement)
    database.close()
    refuse(SceneError, lambda: check_database(path), words)
