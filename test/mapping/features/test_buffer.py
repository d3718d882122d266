# SPDX-License-Identifier: Apache-2.0
"""The feature buffer, and the batches drawn from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from ace_ros.config import TrainingConfig
from ace_ros.data.scene import Frame
from ace_ros.geometry.camera import Camera
from ace_ros.mapping.encoded_images import EncodedImages
from ace_ros.mapping.features.buffer import view_count
from ace_ros.mapping.head.trainer import batches
from ace_ros.mapping.map_scene import prepare_features
from ace_ros.network.encoder_file import load_encoder

CONFIG = TrainingConfig()


def test_the_number_of_views_is_limited_but_every_image_has_one() -> None:
    config = replace(CONFIG, views_per_image=8, max_views=100)
    assert [view_count(n, config) for n in (5, 50, 1000)] == [40, 100, 1000]


def write_frames(folder: Path, camera: Camera, count: int = 3) -> tuple[Frame, ...]:
    rng = np.random.default_rng(0)
    frames = []
    for i in range(count):
        path = folder / f"{i}.png"
        cv2.imwrite(str(path), cv2.resize(rng.integers(0, 255, (60, 80), dtype=np.uint8), camera.size))
        T = torch.eye(4, dtype=torch.float64)
        T[0, 3] = 0.2 * i
        frames.append(Frame(path, T, camera, None))
    return tuple(frames)


def test_every_image_and_every_place_in_it_has_its_share_of_the_buffer(tmp_path: Path) -> None:
    matrix = torch.tensor([[300.0, 0.0, 159.5], [0.0, 300.0, 119.5], [0.0, 0.0, 1.0]])
    camera = Camera(matrix, (320, 240), "plumb_bob", torch.tensor([-0.2, 0.05, 0.0, 0.0]))
    frames = write_frames(tmp_path, camera)
    encoder = load_encoder("lite")
    config = replace(CONFIG, buffer_features=9000, views_per_image=4)
    buffer = prepare_features(EncodedImages(frames, encoder, torch.device("cpu")), config)
    counts = torch.bincount(buffer.image.long())
    assert len(buffer) <= 9000 and counts.min() > 0.9 * counts.max()
    assert buffer.features.dtype == torch.float16 and buffer.features.shape[1] == 128
    # Pixels are those of the undistorted camera at the encoder's size: corners reach beyond the image.
    resized = camera.resize(640, 480)
    corner = resized.undistort(torch.tensor([[3.5, 3.5]]))
    assert float(corner[0, 0]) < 3.0
    assert (buffer.pixels.amin(0) >= corner[0] - 8).all()
    quadrants = (buffer.pixels > torch.tensor([319.5, 239.5])).long() @ torch.tensor([1, 2])
    assert torch.bincount(quadrants, minlength=4).min() > 0.2 * len(buffer)


def test_batches_visit_every_feature_once_a_pass(tmp_path: Path) -> None:
    camera = Camera(torch.tensor([[300.0, 0, 159.5], [0, 300.0, 119.5], [0, 0, 1.0]]), (320, 240))
    encoder = load_encoder("lite")
    config = replace(CONFIG, buffer_features=1000, views_per_image=1)
    buffer = prepare_features(
        EncodedImages(write_frames(tmp_path, camera), encoder, torch.device("cpu")), config
    )
    size = (len(buffer) - 3) // 4
    rows = torch.arange(len(buffer))[3:]  # all but some that are held out
    drawn = batches(rows, size, seed=0)
    first, second = ([next(drawn) for _ in range(4)] for _ in range(2))
    assert len(torch.unique(torch.cat(first))) == 4 * size
    assert torch.cat(first).min() >= 3
    assert not torch.equal(torch.cat(first), torch.cat(second))
