# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from ace_ros.encoder_training.training import SHAPES
from ace_ros.network.encoder import Encoder, EncoderShape, cell_centres, receptive_field_px

SMALL = EncoderShape(stem=(4, 8, 16), inner=8, context=(16, 16), blocks=1)


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder(SMALL).eval()


def window(encoder: Encoder, row: int, column: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the first and last pixel (x, y) that a cell's feature depends on."""
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.abs_()  # all rectifiers let through what is above zero
    image = torch.ones(1, 1, 512, 512, requires_grad=True)
    encoder(image)[0, 0, row, column].backward()  # features have a fixed length, one channel has not
    assert image.grad is not None
    seen = image.grad[0, 0].abs() > 0
    ys, xs = seen.any(1).nonzero()[:, 0], seen.any(0).nonzero()[:, 0]
    return torch.stack([xs.min(), ys.min()]), torch.stack([xs.max(), ys.max()])


def test_a_cell_without_context_sees_a_window_centred_where_cell_centres_says() -> None:
    torch.manual_seed(0)
    shape = EncoderShape(stem=(4, 8, 16), inner=8, context=(), blocks=1)
    first, last = window(Encoder(shape).eval(), 30, 33)
    cell = cell_centres(512, 512, 8)[30 * 64 + 33]
    torch.testing.assert_close((first + last) / 2, cell)
    assert (last - first + 1).tolist() == [receptive_field_px(shape)] * 2


def test_context_looks_equally_far_in_all_directions(encoder: Encoder) -> None:
    # A coarse cell has 4x4 fine ones; over these, what they see is centred where they are.
    cells = [(row, column) for row in range(28, 32) for column in range(32, 36)]
    offset = torch.zeros(2)
    largest = 0
    for row, column in cells:
        first, last = window(encoder, row, column)
        offset += (first + last) / 2 - cell_centres(512, 512, 8)[row * 64 + column]
        largest = max(largest, int((last - first).max()) + 1)
    torch.testing.assert_close(offset / len(cells), torch.zeros(2))
    assert largest == receptive_field_px(SMALL)


def test_moving_the_image_by_a_coarse_cell_moves_the_features(encoder: Encoder) -> None:
    image = torch.rand(1, 1, 512, 512)
    features = encoder(image)
    moved = encoder(torch.roll(image, (32, 32), (2, 3)))
    torch.testing.assert_close(features[..., 24:36, 24:36], moved[..., 28:40, 28:40], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size", [(480, 640), (481, 643), (487, 647), (480, 853), (64, 72)])
def test_features_have_unit_variance_and_one_cell_per_full_stride(
    encoder: Encoder, size: tuple[int, int]
) -> None:
    features = encoder(torch.rand(2, 1, *size))
    assert features.shape == (2, 16, size[0] // 8, size[1] // 8)
    assert len(cell_centres(*size, 8)) == features[0, 0].numel()
    torch.testing.assert_close(features.square().mean(1), torch.ones(2, *features.shape[2:]))


def test_folding_the_normalisation_changes_nothing() -> None:
    torch.manual_seed(0)
    encoder = Encoder(SMALL, norm=True)
    for _ in range(5):
        encoder(torch.rand(2, 1, 96, 96))  # gives the normalisation its statistics
    image = torch.rand(1, 1, 96, 128)
    with torch.no_grad():
        torch.testing.assert_close(encoder.folded()(image), encoder.eval()(image), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("size", "max_gflop", "max_megabytes"), [("lite", 5.0, 4.0), ("base", 60.0, 12.0)])
def test_an_encoder_keeps_within_its_size(size: str, max_gflop: float, max_megabytes: float) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    encoder = Encoder(SHAPES[size])
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        encoder(torch.zeros(1, 1, 480, 640))
    assert counter.get_total_flops() < max_gflop * 1e9  # two for each multiplication and addition
    assert 2e-6 * sum(p.numel() for p in encoder.parameters()) < max_megabytes
