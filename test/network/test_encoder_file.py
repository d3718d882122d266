# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.torch_version import TorchVersion

from ace_ros.errors import MapError
from ace_ros.files.tensor_file import read_header
from ace_ros.network.ace_checkpoint import SAFE_TORCH, AceEncoder
from ace_ros.network.encoder import Encoder, EncoderShape
from ace_ros.network.encoder_file import (
    FORMAT,
    FORMAT_VERSION,
    WEIGHTS_DIR,
    content_hash,
    load_encoder,
    save_encoder,
    shipped_encoders,
)

reads_pickles = pytest.mark.skipif(torch.__version__ < SAFE_TORCH, reason="this torch reads no pickles")

SMALL = EncoderShape(stem=(4, 8, 16), inner=8, context=(16,), blocks=1)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "small.safetensors"
    save_encoder(path, Encoder(SMALL), "not at all", {"matched": 0.5})
    return path


def test_a_saved_encoder_loads_with_its_card_and_hash(saved: Path) -> None:
    loaded = load_encoder(saved)
    card = loaded.card
    assert (card.name, card.channels, card.stride, card.figures) == ("small", 16, 8, {"matched": 0.5})
    assert loaded.content_hash == content_hash(load_file(saved))
    torch.manual_seed(0)
    image = torch.rand(1, 1, 64, 64)
    torch.manual_seed(0)
    torch.testing.assert_close(loaded.module(image), Encoder(SMALL).eval()(image), atol=0.02, rtol=0.02)
    assert not any(p.requires_grad for p in loaded.module.parameters())


def test_an_encoder_that_was_trained_with_normalisation_is_saved_without(tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = Encoder(SMALL, norm=True)
    encoder(torch.rand(2, 1, 96, 96))
    save_encoder(tmp_path / "own.safetensors", encoder, "", {})
    assert not [name for name in load_file(tmp_path / "own.safetensors") if "norm" in name]
    image = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        mine, theirs = load_encoder(tmp_path / "own.safetensors").module(image), encoder.eval()(image)
    torch.testing.assert_close(mine, theirs, atol=0.02, rtol=0.02)


def rewrite(path: Path, changes: dict[str, str], bias: float = 0.0) -> None:
    header = read_header(path, FORMAT, FORMAT_VERSION)
    tensors = load_file(path)
    tensors["output.bias"][0] += bias
    save_file(tensors, path, {**header, **changes})


def test_altered_weights_are_refused(saved: Path) -> None:
    rewrite(saved, {}, bias=0.1)
    with pytest.raises(MapError, match="the weights have been altered"):
        load_encoder(saved)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("shape", {"stem": [4, 8, 1 << 30], "inner": 8, "context": [16], "blocks": 1}, "1 to 2048 channels"),
        ("shape", {"stem": [4, 8, 16], "inner": 8, "context": [16], "blocks": 1000}, "up to 16 blocks"),
        ("shape", {"stem": [4, 8, 16], "inner": 8, "context": [16, 16], "blocks": 1}, "not an encoder"),
        ("shape", {"stem": [4, 8, 16]}, "none that this version can run"),
        ("shape", [], "none that this version can run"),
        ("card", {"name": "x"}, "its card is not that of an encoder"),
        (
            "card",
            {
                "name": "x", "channels": 32, "stride": 8, "receptive_field_px": 1, "training": "",
                "figures": {},
            },
            "says 32 channels",
        ),
    ],
)  # fmt: skip
def test_a_header_that_does_not_fit_is_refused(saved: Path, key: str, value: object, message: str) -> None:
    rewrite(saved, {key: json.dumps(value)})
    with pytest.raises(MapError, match=message):
        load_encoder(saved)


def test_a_pickle_is_never_executed(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "executed",))

    path = tmp_path / "bomb.safetensors"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(MapError, match="not an ace_ros encoder"):
        load_encoder(path)
    torch.save({"conv1.weight": Bomb()}, tmp_path / "bomb.pt")
    with pytest.raises(MapError, match="not a checkpoint of tensors alone|is a pickle"):
        load_encoder(tmp_path / "bomb.pt")
    assert not (tmp_path / "executed").exists()


def test_a_name_that_does_not_ship_is_refused_with_those_that_do() -> None:
    with pytest.raises(MapError, match=r"no encoder 'heavy' ships with ace_ros; there are .*lite"):
        load_encoder("heavy")


@pytest.mark.parametrize("name", shipped_encoders())
def test_every_shipped_encoder_is_what_its_name_says(name: str) -> None:
    loaded = load_encoder(name)
    assert loaded.card.name == name
    assert loaded.card.training
    with torch.no_grad():
        features = loaded.module(torch.rand(1, 1, 64, 80))
    assert features.shape == (1, loaded.card.channels, 8, 10)


def test_every_shipped_encoder_has_the_hash_that_is_published() -> None:
    lines = (WEIGHTS_DIR / "SHA256SUMS").read_text().splitlines()
    found = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in WEIGHTS_DIR.glob("*.safetensors")}
    assert found and found == {name: digest for digest, name in map(str.split, lines)}


def test_a_torch_that_can_be_tricked_reads_no_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(AceEncoder().state_dict(), tmp_path / "ace.pt")
    monkeypatch.setattr(torch, "__version__", TorchVersion("2.9.1+cu130"))
    with pytest.raises(MapError, match=r"ace\.pt: .* expected torch 2\.10 or newer"):
        load_encoder(tmp_path / "ace.pt")


@reads_pickles
def test_a_checkpoint_of_ace_is_an_encoder(tmp_path: Path) -> None:
    torch.manual_seed(0)
    published = AceEncoder().eval()
    torch.save({k: v.half() for k, v in published.state_dict().items()}, tmp_path / "ace.pt")
    loaded = load_encoder(tmp_path / "ace.pt")
    assert (loaded.card.channels, loaded.card.stride) == (512, 8)
    image = torch.rand(1, 1, 100, 131)
    with torch.no_grad():
        features = loaded.module(image)
        torch.testing.assert_close(features, published(image), atol=1e-3, rtol=1e-2)
    assert features.shape == (1, 512, 12, 16)
    assert load_encoder(tmp_path / "ace.pt").content_hash == loaded.content_hash


@reads_pickles
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv1.weight": torch.zeros(3, 1, 3, 3)}, "conv1.weight must be"),
        ({"conv1.weight": 5}, "conv1.weight must be"),
        ({"extra": torch.zeros(1)}, "not the encoder of ACE"),
    ],
)
def test_another_checkpoint_is_not_taken_for_ace(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    torch.save({**AceEncoder().state_dict(), **change}, tmp_path / "other.pt")
    with pytest.raises(MapError, match=message):
        load_encoder(tmp_path / "other.pt")


@reads_pickles
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a checkpoint", b"\x80\x02garbage"])
def test_a_broken_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.pt").write_bytes(content)
    with pytest.raises(MapError, match=r"broken\.pt"):
        load_encoder(tmp_path / "broken.pt")
    with pytest.raises(MapError, match="cannot be read"):
        load_encoder(tmp_path / "missing.pt")


def test_an_encoder_that_is_wanted_elsewhere_stays_where_it_is() -> None:
    encoder = load_encoder("lite")
    elsewhere = encoder.to(torch.device("meta"))
    assert {p.device.type for p in elsewhere.module.parameters()} == {"meta"}
    assert {p.device.type for p in encoder.module.parameters()} == {"cpu"}
    assert encoder.to(torch.device("cpu")) is encoder
