# SPDX-License-Identifier: Apache-2.0
"""The two stretches of a head's training: without the images that are held out, then with all of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ace_ros.config import TrainingConfig
from ace_ros.mapping.head.trainer import HeadTrainer, TrainingRun
from ace_ros.mapping.progress import OnStep
from ace_ros.mapping.schedule import FINISHING, LEARNING, Clock
from ace_ros.network.head import Head

MAX_JUDGED = 4096  # held-out features that say whether training still gains


def new_head(channels: int, config: TrainingConfig, device: torch.device) -> Head:
    """Return a head for features of so many numbers, with random weights of the config's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)
        return Head(channels, config.head_width, config.head_blocks).to(device)


def learn(trainer: HeadTrainer, held: Tensor, on_step: OnStep) -> tuple[HeadTrainer, TrainingRun]:
    """Train on the images that are not held out (I,), and on all of them if none is."""
    config, buffer = trainer.config, trainer.buffer
    share = 1.0 - config.finish_share if held.any() else 1.0
    clock = Clock(max(1, round(share * config.steps)), share * config.time_budget_s)
    is_held = held.to(buffer.device)[buffer.image.long()]
    judge = is_held.nonzero()[:, 0]
    judge = judge[torch.linspace(0, len(judge) - 1, min(MAX_JUDGED, len(judge))).long().to(judge.device)]
    judged = judge if config.early_stop and len(judge) else None
    return trainer.train((~is_held).nonzero()[:, 0], LEARNING, clock, judged, on_step)


def finish(trainer: HeadTrainer, learned: TrainingRun, on_step: OnStep) -> tuple[HeadTrainer, TrainingRun]:
    """Train on all images for a short while, as long as the config says beside what was `learned`."""
    config, buffer = trainer.config, trainer.buffer
    ratio = config.finish_share / (1.0 - config.finish_share)
    if learned.by_time:
        clock = Clock(config.steps, ratio * learned.seconds)
    else:
        clock = Clock(max(1, round(ratio * learned.steps)), math.inf)
    return trainer.train(torch.arange(len(buffer), device=buffer.device), FINISHING, clock, None, on_step)
