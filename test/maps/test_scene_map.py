# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import pickle
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ace_ros.errors import MapError
from ace_ros.files.tensor_file import read_header
from ace_ros.files.whole import write_atomically
from ace_ros.landmarks.landmarks import EXPECTED_INLIER_RATIO, Landmarks
from ace_ros.maps.global_descriptor import SIZE as DESCRIPTOR_SIZE
from ace_ros.maps.scene_map import DESCRIPTORS, FORMAT, FORMAT_VERSION, Chunk, SceneMap, read_map_header
from ace_ros.network.head import Head


def a_chunk(at: float = 0.0) -> Chunk:
    """Return an untrained chunk at a place in a map projection, shifted by `at` metres."""
    centre = torch.tensor([500_000.123456789 + at, 5_400_000.987654321, 231.5], dtype=torch.float64)
    return Chunk(
        head=Head(16, 32, 1).eval().requires_grad_(False),
        centre=centre,
        bounds=torch.stack([centre - 10.0, centre + 10.0]),
        cloud_points=torch.randn(50, 3),
        cloud_grey=torch.arange(50, dtype=torch.uint8),
        landmarks=Landmarks(
            torch.randn(7, 3), torch.randn(7, 3), torch.arange(7 * 16).view(7, 16).to(torch.int8), 0.375
        ),
    )


@pytest.fixture
def scene_map() -> SceneMap:
    torch.manual_seed(0)
    return SceneMap(
        chunks=(a_chunk(),),
        encoder="lite",
        encoder_hash="0123456789abcdef",
        map_frame="floor_2",
        created="2026-01-01T00:00:00+00:00",
        training={"steps": 12, "median_error_px": 1.5},
    )


@pytest.fixture
def ensemble(scene_map: SceneMap, tmp_path: Path) -> Path:
    """Return the file of a place of four chunks."""
    chunks = tuple(a_chunk(20.0 * number) for number in range(4))
    replace(scene_map, chunks=chunks).save(tmp_path / "place.safetensors")
    return tmp_path / "place.safetensors"


@pytest.fixture
def path(scene_map: SceneMap, tmp_path: Path) -> Path:
    scene_map.save(tmp_path / "place.safetensors")
    return tmp_path / "place.safetensors"


def test_a_saved_map_gives_the_same_points_to_half_precision(scene_map: SceneMap, path: Path) -> None:
    loaded = SceneMap.load(path)
    features = torch.randn(100, 16)
    heads = loaded.chunks[0].head, scene_map.chunks[0].head
    torch.testing.assert_close(heads[0](features), heads[1](features), atol=2e-3, rtol=2e-3)
    for name in ("encoder", "encoder_hash", "map_frame", "created", "training"):
        assert getattr(loaded, name) == getattr(scene_map, name)


def test_coordinates_of_a_map_projection_keep_their_precision(scene_map: SceneMap, path: Path) -> None:
    loaded = SceneMap.load(path)
    assert torch.equal(loaded.chunks[0].centre, scene_map.chunks[0].centre)
    assert torch.equal(loaded.bounds, scene_map.bounds)
    np.testing.assert_allclose(loaded.cloud()[0], scene_map.cloud()[0], atol=1e-6)


def test_the_descriptors_are_kept(scene_map: SceneMap, tmp_path: Path) -> None:
    descriptors = torch.randn(5, DESCRIPTOR_SIZE).half()
    path = tmp_path / "seen.safetensors"
    replace(scene_map, descriptors=descriptors).save(path)
    assert torch.equal(SceneMap.load(path).descriptors, descriptors)


def test_a_map_from_before_there_were_descriptors_has_none(path: Path) -> None:
    tensors, header = load_file(path), read_header(path, FORMAT, FORMAT_VERSION)
    del tensors[DESCRIPTORS]
    save_file(tensors, path, header)
    assert SceneMap.load(path).descriptors.shape == (0, DESCRIPTOR_SIZE)


@pytest.mark.parametrize(
    "descriptors", [torch.zeros(3, 7), torch.zeros(3), torch.full((1, DESCRIPTOR_SIZE), torch.nan)]
)
def test_a_damaged_descriptors_are_refused(path: Path, descriptors: torch.Tensor) -> None:
    tensors, header = load_file(path), read_header(path, FORMAT, FORMAT_VERSION)
    save_file({**tensors, DESCRIPTORS: descriptors.half()}, path, header)
    with pytest.raises(MapError, match="descriptors"):
        SceneMap.load(path)


def test_the_expected_inlier_ratio_is_kept(path: Path) -> None:
    assert SceneMap.load(path).chunks[0].landmarks.expected_inlier_ratio == 0.375
    (about,) = read_map_header(path)["chunks"]
    before = {k: v for k, v in about.items() if k != "usual_landmark_share"}
    change_map_header(path, chunks=[before])  # as maps were before it was measured
    assert SceneMap.load(path).chunks[0].landmarks.expected_inlier_ratio == EXPECTED_INLIER_RATIO


@pytest.mark.parametrize("damaged", [-0.1, 1.5, "half", float("nan")])
def test_a_share_of_landmarks_that_is_none_is_refused(path: Path, damaged: object) -> None:
    (about,) = read_map_header(path)["chunks"]
    change_map_header(path, chunks=[{**about, "usual_landmark_share": damaged}])
    with pytest.raises(MapError, match="damaged"):
        SceneMap.load(path)


def test_the_header_is_read_without_the_weights(path: Path) -> None:
    header = read_map_header(path)
    assert (header["heads"], header["map_frame"], header["training"]["steps"]) == (1, "floor_2", 12)


def change_header(path: Path, **changes: str) -> None:
    header = {**read_header(path, FORMAT, FORMAT_VERSION), **changes}
    save_file(load_file(path), path, header)


def change_map_header(path: Path, **changes: object) -> None:
    header = read_map_header(path)
    change_header(path, map=json.dumps({**header, **changes}))


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(MapError, match="truncated"):
        SceneMap.load(path)


def test_a_newer_format_is_refused_by_its_number(path: Path) -> None:
    change_header(path, format_version=str(FORMAT_VERSION + 1))
    with pytest.raises(MapError, match=f"version '{FORMAT_VERSION + 1}', this ace_ros reads up to"):
        SceneMap.load(path)


def test_an_older_format_is_refused_with_what_to_do(path: Path) -> None:
    change_header(path, format_version="2")
    with pytest.raises(MapError, match="version 2, this ace_ros reads 3; train the map again"):
        SceneMap.load(path)


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(MapError, match="safetensors file of another program"):
        SceneMap.load(tmp_path / "other.safetensors")


def test_an_encoder_file_is_no_map() -> None:
    from ace_ros.network.encoder_file import WEIGHTS_DIR

    with pytest.raises(MapError, match="expected an ace_ros map file, found ace_ros encoder"):
        SceneMap.load(WEIGHTS_DIR / "lite.safetensors")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MapError, match=r"nowhere\.safetensors: cannot be read: No such file"):
        SceneMap.load(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_a_pickle_is_refused_and_never_executed(tmp_path: Path, writer: str) -> None:
    class Bomb:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "executed",))

    path = tmp_path / "bomb.safetensors"
    if writer == "pickle":
        path.write_bytes(pickle.dumps(Bomb()))
    else:
        torch.save({"head": Bomb()}, path)
    with pytest.raises(MapError, match="not an ace_ros map file"):
        SceneMap.load(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"head": {"channels": 16, "width": 10**9, "blocks": 1}},
        {"head": {"channels": 16, "width": 64, "blocks": 1}},
        {"head": None},
        {"heads": 7},
        {"heads": 0, "chunks": []},
        {"chunks": [{"centre": [0.0, 0.0], "bounds": [[0.0] * 3] * 2, "crc32": 0}]},
        {"chunks": [{"centre": [0.0, float("nan"), 0.0], "bounds": [[0.0] * 3] * 2, "crc32": 0}]},
        {"chunks": [{"centre": [0.0] * 3, "bounds": [[0.0] * 3] * 3, "crc32": 0}]},
        {"chunks": [{"centre": [0.0] * 3, "bounds": [[0.0] * 3] * 2}]},
        {"chunks": [{"missing": "all there is"}]},
        {"chunks": ["none"]},
        {"training": "none"},
        {"encoder": 3},
    ],
)
def test_a_header_that_does_not_fit_is_refused(path: Path, changes: dict) -> None:
    change_map_header(path, **changes)
    with pytest.raises(MapError, match="damaged"):
        SceneMap.load(path)


def test_weights_that_are_no_numbers_are_refused(scene_map: SceneMap, path: Path) -> None:
    scene_map.chunks[0].head.output.bias[0] = float("nan")
    scene_map.save(path)
    with pytest.raises(MapError, match="not finite"):
        SceneMap.load(path)


def test_a_full_disk_leaves_the_older_map_whole(scene_map: SceneMap, path: Path) -> None:
    before = path.read_bytes()
    code = f"""
import resource, signal
from pathlib import Path
from ace_ros.files.whole import write_atomically
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_atomically(Path({str(path)!r}), bytes(100_000))
except OSError as error:
    print(error.strerror)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "File too large"
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000
    SceneMap.load(path)


def test_writing_into_a_folder_that_does_not_exist_makes_it(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a" / "b" / "file", b"x")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"x"


def test_a_map_belongs_to_its_encoder(scene_map: SceneMap) -> None:
    from ace_ros.localization.relocalizer import Relocalizer

    with pytest.raises(MapError, match="was trained with encoder lite of hash 0123456789abcdef"):
        Relocalizer(scene_map, device="cpu")
    with pytest.raises(MapError, match="no encoder .no_such_encoder. ships"):
        Relocalizer(replace(scene_map, encoder="no_such_encoder"), device="cpu")


def test_chunks_keep_their_places_and_weights(ensemble: Path) -> None:
    loaded = SceneMap.load(ensemble)
    assert len(loaded.chunks) == 4 and loaded.missing == {}
    offsets = [float(c.centre[0] - loaded.chunks[0].centre[0]) for c in loaded.chunks]
    assert offsets == pytest.approx([0.0, 20.0, 40.0, 60.0])
    assert float(loaded.bounds[1, 0] - loaded.bounds[0, 0]) == pytest.approx(80.0)
    assert len(loaded.cloud()[0]) == len(loaded.cloud()[1]) == 200
    header = read_map_header(ensemble)
    assert header["heads"] == 4 and header["bounds"] == loaded.bounds.tolist()


def test_only_the_wanted_chunks_are_read(ensemble: Path) -> None:
    everything = SceneMap.load(ensemble)
    some = SceneMap.load(ensemble, chunks=[3, 1])
    assert some.missing == {}
    for chunk, number in zip(some.chunks, (1, 3), strict=True):
        assert torch.equal(chunk.centre, everything.chunks[number].centre)
        assert torch.equal(chunk.head.output.weight, everything.chunks[number].head.output.weight)
    with pytest.raises(MapError, match="has 4 chunks, no number 4"):
        SceneMap.load(ensemble, chunks=[0, 4])


def damage(path: Path, kind: str, number: int) -> str:
    """Damage one chunk of a map file; return a word of what should be said about it."""
    tensors, header = load_file(path), read_header(path, FORMAT, FORMAT_VERSION)
    name = f"head.{number}.output.weight"
    if kind == "bits":  # not as safetensors would write them, but as a disk would change them
        data = bytearray(path.read_bytes())
        at = data.find(tensors[name].numpy().tobytes())
        data[at + 7] ^= 0x10
        path.write_bytes(data)
        return "changed since"
    if kind == "missing":
        del tensors[name]
    elif kind == "shape":
        tensors[name] = tensors[name][:, :-1].contiguous()
    else:
        tensors[name][0, 0] = float("nan")
    save_file(tensors, path, header)
    return {"missing": "Missing key", "shape": "size mismatch", "nan": "not finite"}[kind]


@pytest.mark.parametrize("kind", ["bits", "missing", "shape", "nan"])
def test_a_damaged_chunk_leaves_the_others_usable(ensemble: Path, kind: str) -> None:
    before = SceneMap.load(ensemble)
    said = damage(ensemble, kind, 2)
    loaded = SceneMap.load(ensemble)
    assert list(loaded.missing) == [2] and said in loaded.missing[2]
    assert loaded.missing_text.startswith("1 of 4 chunks of the map cannot be used: chunk 2: ")
    assert [float(c.centre[0]) for c in loaded.chunks] == [
        float(before.chunks[n].centre[0]) for n in (0, 1, 3)
    ]
    some = SceneMap.load(ensemble, chunks=[0, 3])
    assert some.missing == {} and some.missing_text == ""
    with pytest.raises(MapError, match="damaged ace_ros map: chunk 2"):
        SceneMap.load(ensemble, chunks=[2])


def test_a_chunk_that_could_not_be_trained_stays_missing_in_the_file(ensemble: Path) -> None:
    whole = SceneMap.load(ensemble)
    without = replace(whole, chunks=whole.chunks[:1] + whole.chunks[2:], missing={1: "training diverged"})
    without.save(ensemble)
    loaded = SceneMap.load(ensemble)
    assert loaded.missing == {1: "training diverged"}
    assert loaded.missing_text.endswith("cannot be used: chunk 1: training diverged")
    assert [float(c.centre[0]) for c in loaded.chunks] == [float(c.centre[0]) for c in without.chunks]
    assert read_map_header(ensemble)["heads"] == 4
