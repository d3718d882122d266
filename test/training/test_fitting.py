# SPDX-License-Identifier: Apache-2.0
"""The training loop by itself, on features of nothing."""

from __future__ import annotations

import pytest
import torch

from ace_ros.config import override, training_preset
from ace_ros.network import precision
from ace_ros.network.head import Head
from ace_ros.network.loss import Views
from ace_ros.training.buffer import FeatureBuffer
from ace_ros.training.fitting import Fitter
from ace_ros.training.progress import Reporter
from ace_ros.training.schedule import LEARNING, Clock

CONFIG = override(training_preset("fast"), {"batch": 256})


def fitter() -> Fitter:
    """Return a head and features of points 3 m in front of four cameras, one feature for each place."""
    g = torch.Generator().manual_seed(0)
    points = torch.cat([2.0 * torch.rand(1024, 2, generator=g) - 1.0, torch.full((1024, 1), 3.0)], 1)
    image = torch.arange(1024) % 4
    T = torch.eye(4)[:3].repeat(4, 1, 1)
    T[:, 0, 3] = torch.arange(4.0) / 4
    K = torch.tensor([[500.0, 0.0, 320.0], [0.0, 500.0, 240.0], [0.0, 0.0, 1.0]])
    seen = (points + T[image, :, 3]) @ K.T
    code = torch.randn(3, 16, generator=g)
    buffer = FeatureBuffer(
        features=torch.sin(3.0 * points @ code).half(),
        pixels=seen[:, :2] / seen[:, 2:],
        image=image.int(),
        grey=torch.zeros(1024, dtype=torch.uint8),
        depth_m=torch.full((1024,), 3.0),
    )
    torch.manual_seed(0)
    views = Views(T, K.repeat(4, 1, 1), torch.linalg.inv(K).repeat(4, 1, 1))
    return Fitter(Head(16, 64, 0), buffer, views, 1.0, CONFIG, Reporter(lambda progress: None, None))


@pytest.mark.parametrize("bfloat16", [False, True])
def test_a_processor_with_and_one_without_bfloat16_learn_the_same(
    bfloat16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "_cpu_multiplies_bfloat16", lambda: bfloat16)
    fitted = fitter()
    everything = torch.arange(1024)
    before = fitted.inlier_share(everything)
    fitted.fit(everything, LEARNING, Clock(300, 1e9))
    assert before < 0.1
    assert fitted.inlier_share(everything) > 0.8
