# SPDX-License-Identifier: Apache-2.0
"""What the shipped encoders are compared with: nothing learned, nothing at all, and the first one."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ace_ros.encoder_training.training import SHAPES
from ace_ros.files.tensor_file import read_tensor_file
from ace_ros.network.encoder import Encoder, cell_centres
from ace_ros.network.encoder_file import EncoderCard, LoadedEncoder, content_hash, load_encoder


class DenseSift(nn.Module):
    """SIFT descriptors (Lowe, 2004) on the grid of feature cells, upright, of one size."""

    stride, channels = 8, 128
    diameter_px = 16.0

    def __init__(self) -> None:
        super().__init__()
        self._sift = cv2.SIFT_create()

    def forward(self, grey: Tensor) -> Tensor:
        """Return features (B, 128, H // 8, W // 8), square roots as in RootSIFT."""
        height, width = grey.shape[2:]
        keypoints = [
            cv2.KeyPoint(float(x), float(y), self.diameter_px, 0.0)
            for x, y in cell_centres(height, width, self.stride).tolist()
        ]
        batch = []
        for image in (255.0 * grey[:, 0].float()).round().byte().cpu().numpy():
            _, found = self._sift.compute(image, keypoints)
            batch.append(np.sqrt(found / (found.sum(1, keepdims=True) + 1e-7)))
        features = torch.from_numpy(np.stack(batch)).to(grey.device)  # (B, hw, 128)
        h, w = height // self.stride, width // self.stride
        return F.normalize(features, dim=2).mT.reshape(len(batch), 128, h, w) * 128**0.5


class FirstEncoder(nn.Module):
    """The architecture of the first encoder that shipped, for its weight file of November 2026."""

    stride, channels = 8, 128

    def __init__(self) -> None:
        super().__init__()
        c = self.channels
        stem = (nn.Conv2d(1, c // 8, 3, 1, 1), nn.Conv2d(c // 8, c // 4, 4, 2, 1))
        self.stem = nn.ModuleList([*stem, nn.Conv2d(c // 4, c // 2, 4, 2, 1), nn.Conv2d(c // 2, c, 4, 2, 1)])
        self.blocks = nn.ModuleList([self._block(c) for _ in range(2)])

    @staticmethod
    def _block(c: int) -> nn.Sequential:
        convs = (nn.Conv2d(c, c, 3, 1, 1), nn.Conv2d(c, c, 1), nn.Conv2d(c, c, 3, 1, 1))
        return nn.Sequential(convs[0], nn.ReLU(), convs[1], nn.ReLU(), convs[2])

    def forward(self, grey: Tensor) -> Tensor:
        """Return features (B, 128, H // 8, W // 8)."""
        x = (grey - 0.4) / 0.25
        for conv in self.stem:
            x = F.relu(conv(x))
        for block in self.blocks:
            x = x + block(x)
        return F.normalize(x.float(), dim=1) * self.channels**0.5


def encoder_of(name: str) -> LoadedEncoder:
    """Return `random`, `sift`, `first:FILE`, a shipped encoder or the one in a file."""
    if name == "sift":
        return _loaded(DenseSift(), "sift", 16)
    if name == "random":
        torch.manual_seed(2089)
        return _loaded(Encoder(SHAPES["lite"]), "random", 0)
    if name.startswith("first:"):
        state, header = read_tensor_file(Path(name.removeprefix("first:")), "ace_ros encoder", 1)
        encoder = FirstEncoder()
        encoder.load_state_dict({k: v.float() for k, v in state.items()})
        return _loaded(encoder, "first", json.loads(header["card"])["receptive_field_px"])
    return load_encoder(name)


def _loaded(module: nn.Module, name: str, receptive_field_px: int) -> LoadedEncoder:
    card = EncoderCard(name, 128, 8, receptive_field_px, "a baseline", {})
    return LoadedEncoder(module.eval().requires_grad_(False), card, content_hash(module.state_dict()))
