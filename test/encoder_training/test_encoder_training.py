# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from textures import textured_photo

from ace_ros.encoder_training import training as recipe
from ace_ros.encoder_training.photos import load_photos
from ace_ros.encoder_training.training import EncoderTrainingConfig, make_batch, run_batch, train_encoder
from ace_ros.errors import SceneError
from ace_ros.network.encoder import Encoder, EncoderShape
from ace_ros.network.encoder_file import load_encoder

CPU = torch.device("cpu")
TINY = {
    "size": "tiny", "pairs_per_step": 2, "view_px": 128, "anchors_per_step": 200, "warmup_steps": 2,
    "validation_photos": 4, "validation_batches": 4,
}  # fmt: skip


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(24):
        cv2.imwrite(str(folder / f"{i}.png"), textured_photo(rng, 192))
    return folder


@pytest.fixture(autouse=True)
def tiny_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = EncoderShape(stem=(4, 8, 16), inner=8, context=(16,), blocks=1)
    monkeypatch.setitem(recipe.SHAPES, "tiny", shape)


def test_training_lowers_the_loss_and_resumes_to_the_same_weights(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = EncoderTrainingConfig(steps=30, checkpoint_every=10, **TINY)
    whole = train_encoder(photos, tmp_path / "whole.safetensors", config, CPU)
    first = train_encoder(photos, tmp_path / "first.safetensors", EncoderTrainingConfig(steps=1, **TINY), CPU)
    assert whole["validation_loss"] < first["validation_loss"] - 0.1

    original = recipe.validate

    def killed_at_20(*args: object) -> dict[str, float]:
        checkpoint = torch.load(tmp_path / "killed.checkpoint.pt", weights_only=True)
        if checkpoint["step"] == 20:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(recipe, "validate", killed_at_20)
    with pytest.raises(KeyboardInterrupt):
        train_encoder(photos, tmp_path / "killed.safetensors", config, CPU)
    assert not (tmp_path / "killed.safetensors").exists()
    monkeypatch.setattr(recipe, "validate", original)
    train_encoder(photos, tmp_path / "killed.safetensors", config, CPU)
    hashes = {load_encoder(tmp_path / f"{name}.safetensors").content_hash for name in ("killed", "whole")}
    assert len(hashes) == 1
    assert not (tmp_path / "killed.checkpoint.pt").exists()


def test_every_recipe_takes_a_step(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = load_photos(photos)
    for config in recipe.RECIPES.values():
        small = recipe.replace(config, pairs_per_step=1, view_px=128, anchors_per_step=64)
        encoder = Encoder(recipe.SHAPES[config.size], norm=True)
        result = run_batch(encoder, make_batch(images, small, [0]), CPU, small, 0)
        result.loss.backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in encoder.parameters())


def test_the_shipped_encoder_tells_points_apart_that_it_has_never_seen() -> None:
    rng = np.random.default_rng(1)
    images = [textured_photo(rng) for _ in range(8)]
    config = EncoderTrainingConfig(pairs_per_step=8)
    batch = make_batch(images, config, [3])
    torch.manual_seed(0)
    untrained = Encoder(recipe.SHAPES["lite"]).eval()
    with torch.no_grad():
        trained = run_batch(load_encoder("lite").module, batch, CPU, config, 0)  # type: ignore[arg-type]
        random = run_batch(untrained, batch, CPU, config, 0)
    assert float(trained.matched) > 0.3
    assert float(trained.matched) > 5.0 * float(random.matched)


def test_too_few_photographs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="at least 20"):
        load_photos(tmp_path)
