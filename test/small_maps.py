# SPDX-License-Identifier: Apache-2.0
"""A map that knows nothing, for tests of files: quickly made, and another one for each seed."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from ace_ros.landmarks.landmarks import no_landmarks
from ace_ros.maps.chunk import Chunk
from ace_ros.maps.global_descriptor import SIZE
from ace_ros.maps.scene_map import SceneMap
from ace_ros.network.head import Head


def small_map(seed: int, map_frame: str, encoder_hash: str = "0123456789abcdef") -> SceneMap:
    torch.manual_seed(seed)
    chunk = Chunk(
        head=Head(16, 32, 1).eval().requires_grad_(False),
        centre=torch.zeros(3, dtype=torch.float64),
        bounds=torch.tensor([[-1.0, -2.0, 0.0], [1.0, 2.0, 3.0]], dtype=torch.float64),
        cloud_points=torch.zeros(5, 3),
        cloud_grey=torch.zeros(5, dtype=torch.uint8),
        landmarks=no_landmarks(16),
    )
    return SceneMap(
        chunks=(chunk,),
        encoder="lite",
        encoder_hash=encoder_hash,
        map_frame=map_frame,
        created="2026-01-01T00:00:00+00:00",
        descriptors=F.normalize(torch.randn(4, SIZE), dim=1).half(),
    )
