# SPDX-License-Identifier: Apache-2.0
"""Recorded depth of mapping images, pooled to the cells of the encoder's features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ace_ros.config import TrainingConfig
from ace_ros.data.depth_image import read_depth
from ace_ros.data.scene import Frame
from ace_ros.network.input import network_size

READERS = 2  # decoding leaves Python's lock alone, and a map takes the machine for itself


def recorded_depths(
    frames: Sequence[Frame],
    stride: int,
    config: TrainingConfig,
    on_image: Callable[[int], None] = lambda done: None,
) -> list[Tensor | None]:
    """Return the recorded depth (h, w) of each frame's cells in metres, 0 where none was recorded.

    None for a frame without a depth image. `on_image` is called with the frames done. Raises
    SceneError when a depth image cannot be read.
    """

    def read(path: Path | None, size: tuple[int, int]) -> Tensor | None:
        if path is None:
            return None
        depth_m = torch.from_numpy(pool_depth(read_depth(path), size, stride)).float() / 1000.0
        usable = (depth_m >= config.min_depth_m) & (depth_m <= config.max_depth_m)
        return torch.where(usable, depth_m, 0.0)

    depths = []
    with ThreadPoolExecutor(READERS) as readers:
        sizes = [network_size(*f.camera.size) for f in frames]
        for depth in readers.map(read, [f.depth_path for f in frames], sizes):
            depths.append(depth)
            on_image(len(depths))
    return depths


def pool_depth(depth_mm: np.ndarray, size: tuple[int, int], stride: int) -> np.ndarray:
    """Return the median depth (h, w) uint16 of every cell of `stride` pixels of an image of (width, height).

    Pixels of the depth image (any size, the same view) belong to the cell that their centre lies in;
    those of unknown depth do not count, and a cell without others has 0. The median is the depth of a
    pixel, the nearer one of two: where a cell shows an edge, a mean would lie in the air behind it.
    """
    (width, height), (rows, columns) = size, depth_mm.shape
    w, h = width // stride, height // stride
    row = ((np.arange(rows) + 0.5) * height / rows / stride).astype(np.int64)
    column = ((np.arange(columns) + 0.5) * width / columns / stride).astype(np.int64)
    known = (depth_mm > 0) & (row < h)[:, None] & (column < w)
    cell = (row[:, None] * w + column)[known]
    # Sorted by cell, then by depth, the median of each cell stands in the middle of its run.
    order = np.sort((cell << 16) | depth_mm[known])
    cells, first, count = np.unique(order >> 16, return_index=True, return_counts=True)
    pooled = np.zeros(h * w, np.uint16)
    pooled[cells] = order[first + (count - 1) // 2] & 0xFFFF
    return pooled.reshape(h, w)
