# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ace_ros.data.scene import load_scene, read_grey
from ace_ros.errors import SceneError
from ace_ros.mapping import encoded_images
from ace_ros.mapping.encoded_images import EncodedImages
from ace_ros.network.encoder_file import load_encoder
from ace_ros.network.input import network_batch

CPU = torch.device("cpu")


class Counted(nn.Module):
    """An encoder that counts how often it is asked."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.asked, self.lock = encoder, 0, threading.Lock()

    def forward(self, grey: Tensor) -> Tensor:
        with self.lock:
            self.asked += 1
        features: Tensor = self.encoder(grey)
        return features


def counted_images(scene: Path, count: int) -> tuple[EncodedImages, Counted]:
    encoder = load_encoder("lite")
    module = Counted(encoder.module)
    return EncodedImages(load_scene(scene).frames[:count], replace(encoder, module=module), CPU), module


def test_features_are_those_of_the_image_as_localization_sees_it(simulated_scene: Path) -> None:
    images, _ = counted_images(simulated_scene, 1)
    known, frame = images.features(0), images.frames[0]
    batch = torch.from_numpy(network_batch(read_grey(frame.image_path)[None], 8))[:, None].float() / 255.0
    expected = images.encode(batch[0, 0]).float()
    torch.testing.assert_close(known.unit.float() * known.length, expected, atol=0.01, rtol=0.01)
    torch.testing.assert_close(
        known.unit.float().norm(dim=0), torch.ones(expected.shape[1:]), atol=1e-3, rtol=0
    )


def test_an_image_is_encoded_once_whoever_asks_and_however_many_at_once(simulated_scene: Path) -> None:
    images, module = counted_images(simulated_scene, 3)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: images.features(i % 3), range(48)))
    assert module.asked == 3
    assert all(found[i] is found[i % 3] for i in range(48))


def test_other_poses_and_focal_lengths_need_no_other_features(simulated_scene: Path) -> None:
    images, module = counted_images(simulated_scene, 2)
    before, rays = images.features(1), images.rays(1)
    camera = images.frames[1].camera
    longer = replace(camera, matrix=camera.matrix * torch.tensor([[2.0], [2.0], [1.0]]).double())
    # The principal point moves with the focal length here; the rays about it become half as long.
    moved = tuple(replace(f, camera=longer, T_map_camera=2.0 * f.T_map_camera) for f in images.frames)
    changed = images.with_frames(moved)
    assert changed.features(1) is before and module.asked == 1
    assert torch.equal(changed.T_map_camera, 2.0 * images.T_map_camera)
    assert torch.allclose(changed.focal_px, 2.0 * images.focal_px)
    assert not torch.allclose(changed.rays(1), rays) and torch.equal(images.rays(1), rays)


def test_only_so_many_are_kept(simulated_scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded_images, "MAX_ENCODED", 2)
    images, module = counted_images(simulated_scene, 3)
    asked = Counter()
    for index in (0, 1, 0, 2, 0, 1):  # 1 was used longest ago when 2 came
        before = module.asked
        images.features(index)
        asked[index] += module.asked - before
    assert asked == {0: 1, 1: 2, 2: 1}


def test_an_image_that_cannot_be_read_is_named_every_time(simulated_scene: Path, tmp_path: Path) -> None:
    frame = replace(load_scene(simulated_scene).frames[0], image_path=tmp_path / "gone.png")
    images = EncodedImages((frame,), load_encoder("lite"), CPU)
    for _ in range(2):
        with pytest.raises(SceneError, match=r"gone\.png"):
            images.features(0)


def test_an_image_that_can_be_read_again_is(simulated_scene: Path, tmp_path: Path) -> None:
    frame = load_scene(simulated_scene).frames[0]
    late = tmp_path / frame.image_path.name
    images = EncodedImages((replace(frame, image_path=late),), load_encoder("lite"), CPU)
    with pytest.raises(SceneError):
        images.features(0)
    late.write_bytes(frame.image_path.read_bytes())
    assert images.features(0).unit.isfinite().all()
