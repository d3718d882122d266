# SPDX-License-Identifier: Apache-2.0
"""The training loop by itself, on features of nothing."""

from __future__ import annotations

import pytest
import torch
from training_features import features_of_a_wall

from ace_ros.network import precision
from ace_ros.training.schedule import LEARNING, Clock


@pytest.mark.parametrize("bfloat16", [False, True])
def test_processors_with_and_without_bfloat16_train(bfloat16: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_cpu_multiplies_bfloat16", lambda: bfloat16)
    fitter = features_of_a_wall()
    everything = torch.arange(len(fitter.buffer))
    before = fitter.inlier_share(everything)
    fitter.fit(everything, LEARNING, Clock(300, 1e9))
    assert before < 0.1
    assert fitter.inlier_share(everything) > 0.8
