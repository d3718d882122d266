# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ace_ros.maps.global_descriptor import MIN_VIEWS, SIZE, global_descriptor, place_descriptors


def image_features(place: int, view: int, count: int = 600, channels: int = 32) -> Tensor:
    """Return features (count, C) of an image: the channels of a place go together in its own way."""
    mix = torch.randn(8, channels, generator=torch.Generator().manual_seed(place))
    noise = torch.Generator().manual_seed(1000 * place + view)
    mixed = torch.randn(count, 8, generator=noise) @ mix
    return F.normalize(mixed + 0.5 * torch.randn(count, channels, generator=noise), dim=1)


def table(images: list[Tensor]) -> tuple[Tensor, Tensor]:
    numbers = torch.cat([torch.full((len(f),), i, dtype=torch.int32) for i, f in enumerate(images)])
    return torch.cat(images), numbers


def test_images_of_a_place_are_nearer_to_it_than_those_of_others() -> None:
    places = [place_descriptors(*table([image_features(p, v, 1024) for v in range(6)])) for p in range(8)]
    for number in range(8):
        query = global_descriptor(image_features(number, 99))
        similarity = torch.stack([(p.float() @ query).max() for p in places])
        assert int(similarity.argmax()) == number
        assert similarity[number] > similarity.topk(2).values[1] + 0.1


def test_a_descriptor_does_not_depend_on_order_scale_or_number_of_features() -> None:
    features = image_features(1, 1, count=4000)
    expected = global_descriptor(features)
    assert expected.shape == (SIZE,)
    torch.testing.assert_close(expected.norm(), torch.tensor(1.0))
    shuffled = features[torch.randperm(4000)]
    torch.testing.assert_close(global_descriptor(3.0 * shuffled), expected, atol=1e-5, rtol=0)
    assert global_descriptor(shuffled[:1000]) @ expected > 0.98


def test_the_sketch_never_changes() -> None:
    """Descriptors lie in map files: another sketch would need another name in the file."""
    found = global_descriptor(torch.eye(4))
    expected = torch.zeros(SIZE)
    expected[[12, 19, 53, 61]] = torch.tensor([0.5, -0.5, 0.5, 0.5])
    torch.testing.assert_close(found, expected)
    bins = global_descriptor(torch.arange(12.0).reshape(3, 4)).nonzero()[:, 0].tolist()
    assert bins == [1, 10, 12, 19, 31, 34, 41, 53, 57, 61]


def test_a_place_has_few_descriptors_that_cover_what_was_seen() -> None:
    images = [image_features(p, v, count=1024) for p in range(3) for v in range(20)]
    found = place_descriptors(*table(images))
    assert found.shape == (MIN_VIEWS, SIZE) and found.dtype == torch.float16
    covered = torch.stack([global_descriptor(f) for f in images]) @ found.float().T
    assert covered.amax(1).min() > 0.8
    assert len(place_descriptors(*table(images[:5]))) == 5


def test_only_the_first_features_of_an_image_count() -> None:
    """The first ones are of the image itself, later ones of augmented views."""
    own = image_features(1, 1, count=1024)
    features, numbers = table([own, image_features(2, 1, count=1024)])
    later = image_features(3, 1, count=5000)
    expected = place_descriptors(features, numbers)
    with_later = place_descriptors(
        torch.cat([features, later]), torch.cat([numbers, torch.zeros(5000, dtype=torch.int32)])
    )
    assert torch.equal(with_later, expected)


def test_images_with_few_features_are_joined_with_their_neighbours() -> None:
    images = [image_features(p, v, count=4000) for p in range(4) for v in range(16)]
    found = place_descriptors(*table([f[:64] for f in images])).float()
    assert len(found) == 4  # 16 images of 64 features each
    similarity = torch.stack([global_descriptor(images[16 * place]) for place in range(4)]) @ found.T
    assert similarity.amax(1).min() > 0.97
    assert sorted(similarity.argmax(1).tolist()) == [0, 1, 2, 3]


def test_features_that_are_all_zero_give_no_nan() -> None:
    assert torch.isfinite(global_descriptor(torch.zeros(10, 8))).all()
