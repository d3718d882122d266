# SPDX-License-Identifier: Apache-2.0
"""The mapping images as localization would see them: decoded and encoded once for all that needs them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from copy import copy
from functools import lru_cache
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ace_ros.compute.precision import autocast
from ace_ros.data.scene import Frame, read_grey
from ace_ros.network.encoder import cell_centres
from ace_ros.network.encoder_file import LoadedEncoder
from ace_ros.network.input import network_size, resize_image

Item = TypeVar("Item")

MAX_ENCODED = 200  # images whose features are kept, a good megabyte each
MAX_DECODED = 16


class CellFeatures(NamedTuple):
    """Features of an image's cells: `unit` (C, h, w) of unit length, half precision, and `length` (h, w)."""

    unit: Tensor
    length: Tensor


class EncodedImages:
    """Mapping frames, and the features of their images.

    `cameras` are those of the images as the encoder sees them. The drive is gone through several times
    (poses, landmarks, depths, training); features of up to MAX_ENCODED images are kept. May be used
    by several threads.
    """

    def __init__(self, frames: tuple[Frame, ...], encoder: LoadedEncoder, device: torch.device) -> None:
        self.device, self.encoder, self.card = device, encoder.to(device), encoder.card
        self._paths = [f.image_path for f in frames]
        self._image = lru_cache(MAX_DECODED)(self._read_image)
        self._features = _OnceEach(self._encoded_image, MAX_ENCODED)
        self._take(frames)

    def _take(self, frames: tuple[Frame, ...]) -> None:
        self.frames = frames
        self.cameras = [f.camera.resize(*network_size(*f.camera.size)) for f in frames]
        self._rays = lru_cache(MAX_ENCODED)(self._unprojected)

    def with_frames(self, frames: tuple[Frame, ...]) -> EncodedImages:
        """Return the same images with other poses or focal lengths."""
        changed = copy(self)
        changed._take(frames)
        return changed

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def T_map_camera(self) -> Tensor:
        """The poses (I, 4, 4) float64."""
        return torch.stack([f.T_map_camera for f in self.frames])

    @property
    def focal_px(self) -> Tensor:
        """The focal lengths (I,) of the cameras, the mean of both axes."""
        return torch.stack([c.matrix.diagonal()[:2].mean() for c in self.cameras])

    def image(self, index: int) -> np.ndarray:
        """Return an image, uint8 (H, W), at the encoder's size. Raises SceneError when it cannot be read."""
        return self._image(index)

    def features(self, index: int) -> CellFeatures:
        """Return the features of an image. Raises SceneError when it cannot be read."""
        return self._features(index)

    def rays(self, index: int) -> Tensor:
        """Return the rays (h * w, 2) of an image's cells: x and y on the plane z = 1, float32.

        NaN where the camera has none.
        """
        return self._rays(index)

    def encode(self, grey: Tensor) -> Tensor:
        """Return the features (C, h, w) of a grey view (H, W) in [0, 1]."""
        batch = grey[None, None].to(self.device).contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), autocast(self.device):
            features: Tensor = self.encoder.module(batch)[0]
        return features

    def _read_image(self, index: int) -> np.ndarray:
        image = read_grey(self._paths[index])
        return resize_image(image, network_size(image.shape[1], image.shape[0]))

    def _unprojected(self, index: int) -> Tensor:
        width, height = self.cameras[index].size
        return self.cameras[index].unproject(cell_centres(height, width, self.card.stride)).to(self.device)

    def _encoded_image(self, index: int) -> CellFeatures:
        image, stride = self.image(index), self.card.stride
        height, width = (n // stride * stride for n in image.shape)
        features = self.encode(torch.from_numpy(image[:height, :width]).float() / 255.0).float()
        length = features.norm(dim=0)
        return CellFeatures(F.normalize(features, dim=0).half(), length)


class _OnceEach(Generic[Item]):
    """Keeps the last results of a function. Threads that want the same one at once wait for the first.

    An error is raised to all that wait, and is not kept: the next one tries again.
    """

    def __init__(self, function: Callable[[int], Item], most: int) -> None:
        self._function, self._most, self._lock = function, most, Lock()
        self._kept: OrderedDict[int, Future[Item]] = OrderedDict()

    def __call__(self, index: int) -> Item:
        with self._lock:
            wanted = self._kept.get(index)
            mine = wanted is None
            if wanted is None:
                wanted = self._kept[index] = Future()
                if len(self._kept) > self._most:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(index)
        if mine:
            try:
                wanted.set_result(self._function(index))
            except BaseException as error:
                with self._lock:
                    if self._kept.get(index) is wanted:
                        del self._kept[index]
                wanted.set_exception(error)
        return wanted.result()
