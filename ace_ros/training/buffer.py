# SPDX-License-Identifier: Apache-2.0
"""The feature buffer: features of all mapping images in one table, from which batches are drawn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ace_ros.config import TrainingConfig
from ace_ros.data.scene import Frame, read_grey
from ace_ros.network.encoder import cell_centres
from ace_ros.network.encoder_file import LoadedEncoder
from ace_ros.network.input import network_size, resize_image
from ace_ros.network.precision import autocast
from ace_ros.process import usable_cores
from ace_ros.training.memory import buffer_room
from ace_ros.training.plane_sweep import DepthMap, SweptImage, sweep_depths, swept_images
from ace_ros.training.recorded_depth import recorded_depths
from ace_ros.training.views import View, plain_view, random_view

Item = TypeVar("Item")

MAX_READERS = 8  # threads that decode and warp images for a GPU
CACHED_IMAGES = 16  # as large as the encoder sees them


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
        return (
            self.features[rows].to(device),
            self.pixels[rows].to(device),
            self.image[rows].to(device),
            self.depth_m[rows].to(device),
        )

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
    frames: tuple[Frame, ...],
    encoder: LoadedEncoder,
    config: TrainingConfig,
    device: torch.device,
    on_view: Callable[[int, int], None] = lambda done, total: None,
) -> FeatureBuffer:
    """Encode augmented views of all frames and keep an equal number of features of each view.

    The first view of every image is the image itself, as localization will see it. `on_view` is
    called with (work done, work in all). Raises SceneError when an image cannot be read.
    """
    extractor = _Extractor(frames, encoder, config, device)
    views, recorded = view_count(len(frames), config), [None] * len(frames)
    reads = len(frames) if config.use_depth else 0
    total = reads + len(swept_images(recorded)) + views
    if config.use_depth:
        recorded = recorded_depths(frames, extractor.stride, config, lambda done: on_view(done, total))
    unswept = total - views - len(swept_images(recorded))
    channels = encoder.card.channels
    place, capacity = buffer_room(config.buffer_features, bytes_per_feature(channels), device)
    per_view = max(1, capacity // views)
    depths = sweep_depths(
        torch.stack([f.T_map_camera for f in frames]),
        extractor.swept_image,
        extractor.stride,
        config.ray_depth_m,
        lambda done: on_view(unswept + done, total),
        recorded,
    )
    buffer, used = FeatureBuffer.empty(per_view * views, channels, place), 0

    def draw(index: int) -> _Sample:
        return extractor.sample(index, per_view, depths[index % len(frames)])

    # All views of a frame one after the other, so that it is decoded once.
    order = sorted(range(views), key=lambda index: index % len(frames))
    for done, sample in enumerate(_read_ahead(draw, order, _readers(device)), 1):
        columns = (extractor.features(sample.view).flatten(1).T[sample.cells.to(device)], *sample.columns)
        rows = slice(used, used + len(sample.cells))
        for column, values in zip(buffer.columns(), columns, strict=True):
            column[rows] = values
        used = rows.stop
        on_view(total - views + done, total)
    return FeatureBuffer(*(column[:used] for column in buffer.columns()))


def _readers(device: torch.device) -> int:
    """Return how many threads keep a device busy with views; a CPU that encodes has few to spare."""
    return 1 if device.type == "cpu" else max(1, min(MAX_READERS, usable_cores() - 1))


def _read_ahead(read: Callable[[int], Item], indices: Sequence[int], readers: int) -> Iterator[Item]:
    """Yield what `read` returns for indices, in their order; threads read while the caller works."""
    with ThreadPoolExecutor(readers) as pool:
        coming: deque[Future[Item]] = deque()
        for index in indices:
            coming.append(pool.submit(read, index))
            if len(coming) > 2 * readers:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


class _Sample(NamedTuple):
    """A view (H, W) float32, some of its cells (n,), and all columns of the buffer but their features."""

    view: Tensor
    cells: Tensor
    columns: tuple[Tensor, Tensor, Tensor, Tensor]


class _Extractor:
    """Makes views of frames, and features of views."""

    def __init__(
        self,
        frames: tuple[Frame, ...],
        encoder: LoadedEncoder,
        config: TrainingConfig,
        device: torch.device,
    ) -> None:
        self.stride = encoder.card.stride
        self._frames, self._config, self._device = frames, config, device
        self._encoder = encoder.module.to(device, memory_format=torch.channels_last)
        self._cameras = [f.camera.resize(*network_size(*f.camera.size)) for f in frames]
        self._image = lru_cache(CACHED_IMAGES)(self._read_image)

    def _read_image(self, frame: int) -> np.ndarray:
        image = read_grey(self._frames[frame].image_path)
        return resize_image(image, network_size(image.shape[1], image.shape[0]))

    def view(self, index: int) -> View:
        """Return the plain view of each frame, then augmented ones, frame after frame."""
        image = self._image(index % len(self._frames))
        if index < len(self._frames):
            return plain_view(image, self.stride)
        rng = np.random.default_rng([self._config.seed, index])
        return random_view(image, self.stride, self._config, rng)

    def features(self, grey: Tensor) -> Tensor:
        """Return the features (C, h, w) of a grey view (H, W)."""
        batch = grey[None, None].to(self._device).contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), autocast(self._device):
            features: Tensor = self._encoder(batch)[0]
        return features

    def swept_image(self, index: int) -> SweptImage:
        """Return what the plane sweep needs of a frame."""
        features = self.features(torch.from_numpy(self.view(index).grey))
        unit = F.normalize(features.float(), dim=0).half()
        camera = self._cameras[index].to(self._device)
        return SweptImage(unit, camera, self._frames[index].T_map_camera)

    def sample(self, index: int, count: int, depths: DepthMap) -> _Sample:
        """Return up to `count` random cells of a view."""
        view = self.view(index)
        frame = index % len(self._frames)
        camera = self._cameras[frame]
        grey = torch.from_numpy(view.grey)
        centres = cell_centres(*grey.shape, self.stride)  # (hw, 2) in the view
        to_image = torch.from_numpy(view.to_image).float()
        in_image = centres @ to_image[:, :2].T + to_image[:, 2]
        limit = torch.tensor([camera.size[0] - 1.0, camera.size[1] - 1.0])
        undistorted = camera.undistort(in_image)
        usable = ((in_image >= 0) & (in_image <= limit)).all(-1) & torch.isfinite(undistorted).all(-1)
        cells = usable.nonzero()[:, 0]
        generator = torch.Generator().manual_seed(self._config.seed + index)
        cells = cells[torch.randperm(len(cells), generator=generator)[:count]]
        rounded = centres[cells].round().long()
        columns = (
            undistorted[cells],
            torch.full((len(cells),), frame, dtype=torch.int32),
            (grey[rounded[:, 1], rounded[:, 0]] * 255).byte(),
            depths.at(in_image[cells]),
        )
        return _Sample(grey, cells, columns)
