# SPDX-License-Identifier: Apache-2.0
"""Train the head on the features in the buffer: the training loop."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ace_ros.compute.precision import autocast, layer_type
from ace_ros.compute.process import threads_are_ours
from ace_ros.compute.thread_choice import with_fastest_threads
from ace_ros.config import TrainingConfig
from ace_ros.errors import TrainingError
from ace_ros.mapping.features.buffer import FeatureBuffer
from ace_ros.mapping.head.cloud import sample_cloud
from ace_ros.mapping.head.step import ReplayedStep, StepInputs, TrainingStep, own_stream, record_cuda_graph
from ace_ros.mapping.head.stopping import Plateau
from ace_ros.mapping.progress import OnStep, StepFigures
from ace_ros.mapping.schedule import Clock, Phase
from ace_ros.network.head import Head
from ace_ros.network.loss import LossResult, Views, curriculum_width, reprojection_loss

REPORT_EVERY = 25  # steps
INLIER_PX = 10.0  # of the L1 training error; what a person is shown as the share of inliers


@dataclass(frozen=True)
class TrainingRun:
    """What a stretch of training did: its steps, seconds, and the figures of its last batch.

    `by_time` says that the time ended it, and not the number of steps; `stopped_early` that the
    schedule was shortened.
    """

    steps: int
    seconds: float
    by_time: bool
    stopped_early: bool
    figures: StepFigures


@dataclass(frozen=True)
class HeadTrainer:
    """A head and what it is trained on.

    The head is trained to give points in units of `radius_m`: numbers of order one in any scene.
    """

    head: Head
    buffer: FeatureBuffer
    views: Views
    radius_m: float
    config: TrainingConfig

    @property
    def device(self) -> torch.device:
        """The device that trains."""
        return self.head.output.weight.device

    def train(
        self,
        rows: Tensor,
        phase: Phase,
        clock: Clock,
        judge: Tensor | None = None,
        on_step: OnStep = lambda clock, figures, cloud: None,
    ) -> tuple[HeadTrainer, TrainingRun]:
        """Return the trainer with a head trained on rows (R,) of the buffer until the clock is run down.

        With `judge` (J,), rows that are not trained on, the schedule is shortened when the share of
        them that is predicted well grows no more. The head that was given stays as it was. Raises
        TrainingError when training diverges.
        """
        trained = replace(self, head=copy.deepcopy(self.head))
        with own_stream(self.device):
            figures = trained._train(rows, phase, clock, judge, on_step)
        return trained, TrainingRun(clock.step, clock.elapsed_s, clock.by_time, clock.hurried, figures)

    def _train(
        self, rows: Tensor, phase: Phase, clock: Clock, judge: Tensor | None, on_step: OnStep
    ) -> StepFigures:
        """Train the head of this trainer; return the figures of the last batch."""
        plain = TrainingStep(self.head, self.loss, self.config)
        step = ReplayedStep(plain, record_cuda_graph) if plain.recordable else plain
        plateau, figures = Plateau(), StepFigures()
        drawn = batches(rows, self.config.batch, self.config.seed)
        if threads_are_ours():
            drawn = with_fastest_threads(drawn, self.device)
        for batch in drawn:
            progress = clock.progress
            result = step(self.inputs(batch, phase.curriculum(progress), phase.learning_rate(progress)))
            clock.step += 1
            ended = clock.progress >= 1.0
            if ended or clock.step % REPORT_EVERY == 0:
                figures = figures_of(result, clock.step)
                on_step(clock, figures, self.cloud)
            if ended:
                clock.stop()
                break
            if judge is not None and plateau.due(clock.progress):
                plateau.add(clock.progress, self.inlier_share(judge))
                if plateau.reached:
                    clock.hurry()
        return figures

    def inputs(self, batch: Tensor, curriculum: float, rate: float = 0.0) -> StepInputs:
        """Return what a step needs: of rows (b,), how far the curriculum is (0 to 1), and `rate`."""
        width_px = curriculum_width(curriculum, self.config)
        scalars = (torch.full((), x, device=self.device) for x in (width_px, rate))
        return StepInputs(*self.buffer.batch(batch, self.device), *scalars)

    def loss(self, inputs: StepInputs) -> LossResult:
        """Return the loss of a batch."""
        features, pixels, image, depth_m, width_px, _ = inputs
        with autocast(self.device):
            points = self.radius_m * self.head(features.to(layer_type(self.device)))
        return reprojection_loss(points, pixels, image, depth_m, self.views, width_px, self.config)

    def cloud(self, points: int) -> tuple[Tensor, Tensor]:
        """Return up to so many points (P, 3) float32, local, and their brightness (P,) uint8."""
        return sample_cloud(self.head, self.radius_m, self.buffer, self.views, self.config, points)

    @torch.no_grad()
    def inlier_share(self, rows: Tensor) -> float:
        """Return the share of rows (J,) whose reprojection error is small."""
        result = self.loss(self.inputs(rows, 1.0))
        return float((result.valid & (result.error_px < INLIER_PX)).float().mean())


def figures_of(result: LossResult, step: int) -> StepFigures:
    """Return the figures of a batch. Raises TrainingError when the loss is not finite."""
    if not math.isfinite(float(result.loss.detach())):
        raise TrainingError(f"training diverged at step {step}: the loss is not finite")
    error = torch.where(result.valid, result.error_px, math.inf)
    return StepFigures(float(error.median()), float((error < INLIER_PX).float().mean()))


def batches(rows: Tensor, size: int, seed: int) -> Iterator[Tensor]:
    """Yield batches (size,) of rows (R,) for ever: every row once per pass, in a new order each time."""
    generator = torch.Generator().manual_seed(seed)
    size = min(size, len(rows))
    while True:
        order = torch.randperm(len(rows), generator=generator).to(rows.device)
        for start in range(0, len(rows) - size + 1, size):
            yield rows[order[start : start + size]]
