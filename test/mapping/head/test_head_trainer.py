# SPDX-License-Identifier: Apache-2.0
"""The training loop by itself, on features of nothing."""

from __future__ import annotations

import pytest
import torch
from training_features import features_of_a_wall

from ace_ros.compute import precision
from ace_ros.mapping.schedule import LEARNING, Clock


@pytest.mark.parametrize("bfloat16", [False, True])
def test_processors_with_and_without_bfloat16_train(bfloat16: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_cpu_multiplies_bfloat16", lambda: bfloat16)
    trainer = features_of_a_wall()
    everything = torch.arange(len(trainer.buffer))
    before = trainer.inlier_share(everything)
    trainer.train(everything, LEARNING, Clock(300, 1e9))
    assert before < 0.1
    assert trainer.inlier_share(everything) > 0.8
