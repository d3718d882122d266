# SPDX-License-Identifier: Apache-2.0
"""The feature buffer: features of all mapping images in one table, from which batches are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ace_ros.compute.memory import buffer_room
from ace_ros.compute.threads import in_threads
from ace_ros.config import TrainingConfig
from ace_ros.mapping.depth.depth_map import DepthMap
from ace_ros.mapping.encoded_images import EncodedImages
from ace_ros.mapping.features.views import View, plain_view, random_view
from ace_ros.network.encoder import cell_centres


@dataclass(frozen=True)
class FeatureBuffer:
    """F features on one device, that which trains or the CPU.

    features (F, C) float16; pixels (F, 2) float32, undistorted, in the image as the encoder sees
    it (short side resized, see `network.input`); image (F,) int32, index of the mapping
    image; grey (F,) uint8, the image's brightness there; depth_m (F,) float32, roughly how far away.
    """

    features: Tensor
    pixels: Tensor
    image: Tensor
    grey: Tensor
    depth_m: Tensor

    @property
    def device(self) -> torch.device:
        """The device that the features are on."""
        return self.features.device

    def batch(self, rows: Tensor, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return features, pixels, image and depth_m of rows (b,), on another device if need be."""
        columns = self.features, self.pixels, self.image, self.depth_m
        features, pixels, image, depth_m = (x.index_select(0, rows).to(device) for x in columns)
        return features, pixels, image, depth_m

    @staticmethod
    def empty(size: int, channels: int, device: torch.device) -> FeatureBuffer:
        """Return a buffer with room for so many features, whose contents are not defined yet."""
        return FeatureBuffer(
            features=torch.empty(size, channels, dtype=torch.float16, device=device),
            pixels=torch.empty(size, 2, device=device),
            image=torch.empty(size, dtype=torch.int32, device=device),
            grey=torch.empty(size, dtype=torch.uint8),
            depth_m=torch.empty(size, device=device),
        )

    def to(self, device: torch.device) -> FeatureBuffer:
        """Return the buffer on a device; brightness stays on the CPU."""
        moved = {k: v.to(device) for k, v in vars(self).items() if k != "grey"}
        return FeatureBuffer(**moved, grey=self.grey)

    def columns(self) -> tuple[Tensor, ...]:
        """Return the columns in their order."""
        return self.features, self.pixels, self.image, self.grey, self.depth_m

    def __len__(self) -> int:
        return len(self.features)


def bytes_per_feature(channels: int) -> int:
    """Return how much memory a feature of so many numbers takes, with pixel, image, brightness and depth."""
    return 2 * channels + 17


def view_count(images: int, config: TrainingConfig) -> int:
    """Return how many views are made of all images together: at least one of each."""
    return max(images, min(config.views_per_image * images, config.max_views))


def fill_buffer(
    images: EncodedImages,
    depths: Sequence[DepthMap],
    config: TrainingConfig,
    on_view: Callable[[int], None] = lambda done: None,
) -> FeatureBuffer:
    """Encode augmented views of all images and keep an equal number of features of each view.

    `depths` are those of the images. The first view of every image is the image itself, as localization
    will see it. `on_view` is called with the views done, `view_count` in all. Raises SceneError when an
    image cannot be read.
    """
    views, channels = view_count(len(images), config), images.card.channels
    place, capacity = buffer_room(config.buffer_features, bytes_per_feature(channels), images.device)
    sampler = _Sampler(images, depths, config, per_view=max(1, capacity // views))
    buffer, used = FeatureBuffer.empty(sampler.per_view * views, channels, place), 0
    # All views of a frame one after the other, so that it is decoded once.
    order = sorted(range(views), key=lambda index: index % len(images))
    for done, columns in enumerate(in_threads(sampler.columns, order, images.device), 1):
        rows = slice(used, used + len(columns[0]))
        for column, values in zip(buffer.columns(), columns, strict=True):
            column[rows] = values
        used = rows.stop
        on_view(done)
    return FeatureBuffer(*(column[:used] for column in buffer.columns()))


@dataclass(frozen=True)
class _Sampler:
    """Makes views of images and takes some of their features, `per_view` at most."""

    images: EncodedImages
    depths: Sequence[DepthMap]
    config: TrainingConfig
    per_view: int

    def columns(self, index: int) -> tuple[Tensor, ...]:
        """Return the buffer's columns for some random cells of a view.

        The first views are the images as they are, one after the other; then come augmented ones.
        """
        images, stride, count = self.images, self.images.card.stride, len(self.images)
        frame = index % count
        if index < count:
            view, known = plain_view(images.image(frame), stride), images.features(frame)
            features = known.unit.float() * known.length
        else:
            rng = np.random.default_rng([self.config.seed, index])
            view = random_view(images.image(frame), stride, self.config, rng)
            features = images.encode(torch.from_numpy(view.grey))
        cells, *columns = self._sampled(view, index)
        return features.flatten(1).T[cells.to(features.device)], *columns

    def _sampled(self, view: View, index: int) -> tuple[Tensor, ...]:
        """Return random cells (n,) of a view, and the buffer's columns for them but their features."""
        frame = index % len(self.images)
        camera, grey = self.images.cameras[frame], torch.from_numpy(view.grey)
        height, width = grey.shape
        centres = cell_centres(height, width, self.images.card.stride)  # (hw, 2) in the view
        to_image = torch.from_numpy(view.to_image).float()
        in_image = centres @ to_image[:, :2].T + to_image[:, 2]
        limit = torch.tensor([camera.size[0] - 1.0, camera.size[1] - 1.0])
        undistorted = camera.undistort(in_image)
        usable = ((in_image >= 0) & (in_image <= limit)).all(-1) & torch.isfinite(undistorted).all(-1)
        cells = usable.nonzero()[:, 0]
        generator = torch.Generator().manual_seed(self.config.seed + index)
        cells = cells[torch.randperm(len(cells), generator=generator)[: self.per_view]]
        rounded = centres[cells].round().long()
        return (
            cells,
            undistorted[cells],
            torch.full((len(cells),), frame, dtype=torch.int32),
            (grey[rounded[:, 1], rounded[:, 0]] * 255).byte(),
            self.depths[frame].at(in_image[cells]),
        )
