# SPDX-License-Identifier: Apache-2.0
"""What a training says while it works."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ace_ros.errors import TrainingError
from ace_ros.mapping.schedule import Clock
from ace_ros.network.loss import LossResult

OnCloud = Callable[[np.ndarray, np.ndarray], None]  # points (P, 3) float64, brightness (P,) uint8

CLOUD_EVERY_S = 3.0
INLIER_PX = 10.0  # of the L1 training error; what a person is shown as the share of inliers


@dataclass(frozen=True)
class Progress:
    """Where training is. Unknown numbers are NaN; `progress` runs 0 to 1 over the whole job."""

    phase: str  # "prepare", "train" or "grade"
    progress: float
    step: int
    steps: int
    elapsed_s: float
    remaining_s: float
    median_error_px: float = math.nan
    inlier_share: float = math.nan


@dataclass(frozen=True)
class Stage:
    """A part of the job: its phase, and the share of the whole job at its beginning and end."""

    phase: str
    begin: float
    end: float


REFINE = Stage("prepare", 0.0, 0.05)
TRIANGULATE = Stage("prepare", 0.0, 0.05)
TRIANGULATE_REFINED = Stage("prepare", 0.05, 0.08)
PREPARE = Stage("prepare", 0.05, 0.15)
PREPARE_REFINED = Stage("prepare", 0.08, 0.15)
LEARN = Stage("train", 0.15, 0.9)
LEARN_ALL = Stage("train", 0.15, 1.0)  # where no images are held out
VALIDATE = Stage("grade", 0.9, 0.93)
FINISH = Stage("train", 0.93, 1.0)


class Reporter:
    """Turns what happens into Progress for the caller, and keeps the last figures."""

    def __init__(self, on_progress: Callable[[Progress], None], on_cloud: OnCloud | None) -> None:
        self._on_progress, self._on_cloud = on_progress, on_cloud
        self._steps, self._expected_train_s = 0, math.nan
        self._began = self._cloud_at = time.monotonic()
        self.cloud_centre = torch.zeros(3, dtype=torch.float64)
        self._done_steps = 0
        self.stage = PREPARE
        self.median_error_px = self.inlier_share = math.nan

    @property
    def elapsed_s(self) -> float:
        """Return the seconds since the beginning of the job."""
        return time.monotonic() - self._began

    def expect(self, steps: int, train_s: float) -> None:
        """Say how many steps and seconds training takes at most."""
        self._steps, self._expected_train_s = steps, train_s

    def enter(self, stage: Stage, steps_done: int = 0) -> None:
        """Begin a stage after so many steps of training."""
        self.stage, self._done_steps = stage, steps_done

    def on_item(self, done: int, total: int) -> None:
        """Report an image that was prepared or validated."""
        remaining = self.elapsed_s / done * (total - done) + self._expected_train_s
        if self.stage.phase != PREPARE.phase:
            remaining = math.nan
        self._report(done / total, self._done_steps, remaining)

    def on_step(self, clock: Clock, result: LossResult) -> None:
        """Report a training step; stops a training that has diverged."""
        if not math.isfinite(float(result.loss.detach())):
            raise TrainingError(f"training diverged at step {clock.step}: the loss is not finite")
        error = torch.where(result.valid, result.error_px, math.inf)
        self.median_error_px = float(error.median())
        self.inlier_share = float((error < INLIER_PX).float().mean())
        self._steps = self._done_steps + clock.expected_steps
        self._report(clock.progress, self._done_steps + clock.step, clock.remaining_s)

    def cloud_due(self) -> bool:
        """Return whether somebody wants to see the map as it is now."""
        return self._on_cloud is not None and time.monotonic() - self._cloud_at > CLOUD_EVERY_S

    def show_cloud(self, points: Tensor, grey: Tensor) -> None:
        """Show points (P, 3), relative to `cloud_centre`, and their brightness (P,) uint8."""
        assert self._on_cloud is not None
        self._cloud_at = time.monotonic()
        self._on_cloud((points.double() + self.cloud_centre).numpy(), grey.numpy())

    def _report(self, share: float, step: int, remaining_s: float) -> None:
        done = self.stage.begin + (self.stage.end - self.stage.begin) * share
        error = self.median_error_px, self.inlier_share
        self._on_progress(
            Progress(self.stage.phase, done, step, self._steps, self.elapsed_s, remaining_s, *error)
        )
