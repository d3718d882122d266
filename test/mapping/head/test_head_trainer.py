# SPDX-License-Identifier: Apache-2.0
"""The training loop by itself, on features of nothing."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest
import torch
from training_features import CONFIG, features_of_a_wall

from ace_ros.compute import precision
from ace_ros.errors import TrainingError
from ace_ros.mapping.head import trainer
from ace_ros.mapping.head.learning import new_head
from ace_ros.mapping.head.step import StepInputs
from ace_ros.mapping.head.trainer import HeadTrainer
from ace_ros.mapping.schedule import LEARNING, Clock


@pytest.mark.parametrize("bfloat16", [False, True])
def test_processors_with_and_without_bfloat16_train(bfloat16: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "cpu_multiplies_bfloat16", lambda: bfloat16)
    trainer = features_of_a_wall()
    everything = torch.arange(len(trainer.buffer))
    trained, run = trainer.train(everything, LEARNING, Clock(300, 1e9))
    assert trainer.inlier_share(everything) < 0.1  # the head that was given stays as it was
    assert trained.inlier_share(everything) > 0.8
    assert run.steps == 300 and not run.stopped_early and run.figures.inlier_share > 0.8


def test_a_training_that_diverges_says_at_which_step() -> None:
    trainer = features_of_a_wall()
    hopeless = replace(trainer, views=replace(trainer.views, K=trainer.views.K * math.nan))
    with pytest.raises(TrainingError, match="diverged at step 25: the loss is not finite"):
        hopeless.train(torch.arange(len(trainer.buffer)), LEARNING, Clock(300, 1e9))


def test_weights_are_those_of_the_seed_and_other_random_numbers_go_on_as_before() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = (
        new_head(16, replace(CONFIG, seed=seed), torch.device("cpu")).output.weight for seed in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.rand(3), expected)


class Watched(HeadTrainer):
    """A trainer that writes down how many threads each step has."""

    def inputs(self, batch: torch.Tensor, curriculum: float, rate: float = 0.0) -> StepInputs:
        THREADS.append(torch.get_num_threads())
        return super().inputs(batch, curriculum, rate)


THREADS: list[int] = []


@pytest.mark.parametrize("ours", [False, True])
def test_only_in_a_process_of_ours_training_chooses_the_threads(
    ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "threads_are_ours", lambda: ours)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    THREADS.clear()
    try:
        wall = features_of_a_wall()
        values = {f.name: getattr(wall, f.name) for f in fields(wall)}
        Watched(**values).train(torch.arange(len(wall.buffer)), LEARNING, Clock(30, 1e9))
    finally:
        torch.set_num_threads(before)
    assert set(THREADS) == ({1, 2} if ours else {2})
