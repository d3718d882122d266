# SPDX-License-Identifier: Apache-2.0
"""The feature buffer: features of all mapping images in one table, from which batches are drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ace_ros.config import TrainingConfig
from ace_ros.data.scene import Frame, read_grey
from ace_ros.network.encoder import Encoder, cell_centres
from ace_ros.network.input import network_size, resize_image
from ace_ros.network.precision import autocast
from ace_ros.training.views import View, plain_view, random_view


@dataclass(frozen=True)
class FeatureBuffer:
    """F features on one device.

    features (F, C) float16; pixels (F, 2) float32, undistorted, in the image as the encoder sees
    it (short side resized, see `network.input`); image (F,) int32, index of the mapping
    image; grey (F,) uint8, the image's brightness there.
    """

    features: Tensor
    pixels: Tensor
    image: Tensor
    grey: Tensor

    def __len__(self) -> int:
        return len(self.features)

    def batches(self, size: int, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield index batches (size,) for ever: every feature once per pass, in a new order each time."""
        size = min(size, len(self))
        while True:
            order = torch.randperm(len(self), generator=generator).to(self.features.device)
            for start in range(0, len(self) - size + 1, size):
                yield order[start : start + size]


def view_count(images: int, config: TrainingConfig) -> int:
    """Return how many views are made of all images together: at least one of each."""
    return max(images, min(config.views_per_image * images, config.max_views))


def fill_buffer(
    frames: tuple[Frame, ...],
    encoder: Encoder,
    config: TrainingConfig,
    device: torch.device,
    on_view: Callable[[int, int], None] = lambda done, total: None,
) -> FeatureBuffer:
    """Encode augmented views of all frames and keep an equal number of features of each view.

    The first view of every image is the image itself, as localization will see it. `on_view` is
    called with (views done, views in all). Raises SceneError when an image cannot be read.
    """
    views = view_count(len(frames), config)
    per_view = max(1, config.buffer_features // views)
    parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    with ThreadPoolExecutor(1) as reader:  # decoding and warping overlap with encoding
        coming = reader.submit(_make_view, frames, 0, encoder.stride, config)
        for index in range(views):
            view = coming.result()
            if index + 1 < views:
                coming = reader.submit(_make_view, frames, index + 1, encoder.stride, config)
            rng = torch.Generator().manual_seed(config.seed + index)
            parts.append(_encode_view(view, frames, index, encoder, per_view, device, rng))
            on_view(index + 1, views)
    features, pixels, image, grey = (torch.cat(column) for column in zip(*parts, strict=True))
    return FeatureBuffer(features, pixels, image, grey)


def _make_view(frames: tuple[Frame, ...], index: int, stride: int, config: TrainingConfig) -> View:
    image = read_grey(frames[index % len(frames)].image_path)
    image = resize_image(image, network_size(image.shape[1], image.shape[0]))
    if index < len(frames):
        return plain_view(image, stride)
    return random_view(image, stride, config, np.random.default_rng([config.seed, index]))


def _encode_view(
    view: View,
    frames: tuple[Frame, ...],
    index: int,
    encoder: Encoder,
    count: int,
    device: torch.device,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return (features, pixels, image index, grey) of up to `count` random cells of one view."""
    camera = frames[index % len(frames)].camera
    camera = camera.resize(*network_size(*camera.size))
    height, width = view.grey.shape
    centres = cell_centres(height, width, encoder.stride)  # (hw, 2) in the view
    to_image = torch.from_numpy(view.to_image).float()
    in_image = centres @ to_image[:, :2].T + to_image[:, 2]
    limit = torch.tensor([camera.size[0] - 1.0, camera.size[1] - 1.0])
    undistorted = camera.undistort(in_image)
    usable = ((in_image >= 0) & (in_image <= limit)).all(-1) & torch.isfinite(undistorted).all(-1)
    cells = usable.nonzero()[:, 0]
    cells = cells[torch.randperm(len(cells), generator=generator)[:count]]

    grey = torch.from_numpy(view.grey)
    with torch.no_grad(), autocast(device):
        batch = grey[None, None].to(device).contiguous(memory_format=torch.channels_last)
        features = encoder(batch)[0].flatten(1).T  # (hw, C)
    rounded = centres[cells].round().long()
    return (
        features[cells.to(device)].half(),
        undistorted[cells].to(device),
        torch.full((len(cells),), index % len(frames), dtype=torch.int32, device=device),
        (grey[rounded[:, 1], rounded[:, 0]] * 255).byte(),
    )
