# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ace_ros.errors import MapError, SceneError
from ace_ros.network.encoder import Encoder, cell_centres, content_hash, load_encoder, save_encoder
from ace_ros.network.train_encoder import EncoderTrainingConfig, contrastive_loss, train_encoder
from ace_ros.network.warped_pairs import load_photos, random_pair


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder(16).eval()


def test_a_cell_sees_a_window_centred_where_cell_centres_says(encoder: Encoder) -> None:
    image = torch.rand(1, 1, 240, 320, requires_grad=True)
    row, column = 14, 19
    encoder(image)[0, :, row, column].square().sum().backward()
    assert image.grad is not None
    seen = image.grad[0, 0].abs() > 0
    ys, xs = seen.any(1).nonzero()[:, 0], seen.any(0).nonzero()[:, 0]
    centre = torch.tensor([(xs.min() + xs.max()) / 2, (ys.min() + ys.max()) / 2])
    cell = cell_centres(240, 320, encoder.stride)[row * 40 + column]
    torch.testing.assert_close(centre, cell)
    assert int(xs.max() - xs.min()) + 1 == encoder.receptive_field_px


def test_moving_the_image_by_a_cell_moves_the_features_by_a_cell(encoder: Encoder) -> None:
    image = torch.rand(1, 1, 240, 320)
    features = encoder(image)
    moved = encoder(torch.roll(image, (8, 8), (2, 3)))
    inside = slice(8, -8)
    torch.testing.assert_close(features[..., 7:-9, 7:-9], moved[..., inside, inside], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size", [(480, 640), (481, 643), (487, 647)])
def test_features_have_unit_variance_and_one_cell_per_full_stride(
    encoder: Encoder, size: tuple[int, int]
) -> None:
    features = encoder(torch.rand(2, 1, *size))
    assert features.shape == (2, 16, size[0] // 8, size[1] // 8)
    assert len(cell_centres(*size, 8)) == features[0, 0].numel()
    torch.testing.assert_close(features.square().mean(1), torch.ones(2, *features.shape[2:]))


def test_a_saved_encoder_loads_with_its_card_and_hash(encoder: Encoder, tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    save_encoder(path, encoder, "not at all", {"matched": 0.5})
    loaded, card, found = load_encoder(path)
    assert (card.name, card.channels, card.stride, card.figures) == ("small", 16, 8, {"matched": 0.5})
    assert found == content_hash(load_file(path))
    image = torch.rand(1, 1, 64, 64)
    torch.testing.assert_close(loaded(image), encoder(image), atol=0.02, rtol=0)


def test_an_altered_encoder_is_refused(encoder: Encoder, tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    save_encoder(path, encoder, "", {})
    tensors = load_file(path)
    from ace_ros.network.encoder import FORMAT, FORMAT_VERSION
    from ace_ros.tensor_file import read_header

    header = read_header(path, FORMAT, FORMAT_VERSION)
    tensors["stem.0.bias"][0] += 0.1
    save_file(tensors, path, header)
    with pytest.raises(MapError, match="altered"):
        load_encoder(path)


def test_a_pickle_is_never_executed(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "executed",))

    path = tmp_path / "bomb.safetensors"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(MapError, match="not an ace_ros encoder"):
        load_encoder(path)
    assert not (tmp_path / "executed").exists()


def test_the_shipped_encoder_loads_and_tells_corresponding_points_apart() -> None:
    encoder, card, _ = load_encoder("lite")
    assert card.name == "lite"
    rng = np.random.default_rng(1)
    config = EncoderTrainingConfig(pairs_per_step=8)
    pairs = [random_pair(textured_photo(rng), 160, rng) for _ in range(8)]
    views = torch.from_numpy(np.stack([p[0] for p in pairs] + [p[1] for p in pairs]))[:, None]
    H = torch.from_numpy(np.stack([p[2] for p in pairs])).float()
    torch.manual_seed(0)
    with torch.no_grad():
        _, matched = contrastive_loss(*encoder(views).chunk(2), H, 8, config)
        _, untrained = contrastive_loss(*Encoder().eval()(views).chunk(2), H, 8, config)
    assert float(matched) > 0.25
    assert float(matched) > 3.0 * float(untrained)


def textured_photo(rng: np.random.Generator, size: int = 320) -> np.ndarray:
    """Return an image with structure at every scale, as photographs have it (1/f spectrum)."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    spectrum = np.fft.fft2(rng.normal(size=(size, size))) / np.maximum(frequency, 1.0 / size) ** 1.2
    image = np.real(np.fft.ifft2(spectrum))
    return np.clip(128 + 50 * (image - image.mean()) / image.std(), 0, 255).astype(np.uint8)


def test_the_homography_of_a_pair_takes_points_of_the_first_view_to_the_second() -> None:
    # A photo that is brightness = position makes every pixel say where in the photo it is from.
    photo = np.tile(np.linspace(0, 255, 400, dtype=np.float32), (400, 1)).astype(np.uint8)
    from ace_ros.network import warped_pairs

    rng = np.random.default_rng(4)
    plain = warped_pairs._photometric
    warped_pairs._photometric = lambda view, rng: view
    try:
        first, second, H = random_pair(photo, 160, rng)
    finally:
        warped_pairs._photometric = plain
    y, x = np.mgrid[40:120:10, 40:120:10].reshape(2, -1)
    q = H @ np.stack([x, y, np.ones_like(x)])
    u, v = q[:2] / q[2]
    inside = (u > 5) & (u < 154) & (v > 5) & (v < 154)
    # Border reflections make brightness ambiguous outside the photo; most points are inside.
    difference = np.abs(
        first[y, x][inside] - second[v[inside].round().astype(int), u[inside].round().astype(int)]
    )
    assert inside.sum() >= 8
    assert np.median(difference) < 0.02


def test_training_an_encoder_lowers_its_loss_and_resumes_to_the_same_weights(tmp_path: Path) -> None:
    import cv2

    rng = np.random.default_rng(0)
    for i in range(24):
        cv2.imwrite(str(tmp_path / f"{i}.png"), textured_photo(rng, 192))
    small = {"pairs_per_step": 2, "view_px": 96, "channels": 16, "warmup_steps": 2, "validation_photos": 4}
    device = torch.device("cpu")
    torch.manual_seed(0)
    config = EncoderTrainingConfig(steps=30, checkpoint_every=10, **small)
    whole = train_encoder(tmp_path, tmp_path / "whole.safetensors", config, device)
    first = train_encoder(
        tmp_path, tmp_path / "first.safetensors", EncoderTrainingConfig(steps=1, **small), device
    )
    assert whole["validation_loss"] < first["validation_loss"]

    def stop_at(step: int) -> None:
        from ace_ros.network import train_encoder as module

        original = module.validate

        def validate(*args: object) -> dict[str, float]:
            checkpoint = torch.load(tmp_path / "killed.checkpoint.pt", weights_only=True)
            if checkpoint["step"] == step:
                raise KeyboardInterrupt
            return original(*args)

        module.validate = validate
        try:
            with pytest.raises(KeyboardInterrupt):
                train_encoder(tmp_path, tmp_path / "killed.safetensors", config, device)
        finally:
            module.validate = original

    stop_at(20)
    train_encoder(tmp_path, tmp_path / "killed.safetensors", config, device)
    assert load_encoder(tmp_path / "killed.safetensors")[2] == load_encoder(tmp_path / "whole.safetensors")[2]


def test_too_few_photographs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="at least 20"):
        load_photos(tmp_path)
