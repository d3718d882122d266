# SPDX-License-Identifier: Apache-2.0
"""What a training says while it works."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import Tensor

from ace_ros.mapping.schedule import Clock

OnItem = Callable[[int, int], None]  # images done, and images in all
OnCloud = Callable[[np.ndarray, np.ndarray], None]  # points (P, 3) float64, brightness (P,) uint8

CLOUD_EVERY_S = 3.0
PREVIEW_POINTS = 2000


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
class Listener:
    """Who is told what a training does.

    Every few seconds `on_cloud` is given some points (P, 3) in the map frame and their brightness.
    """

    on_progress: Callable[[Progress], None] = lambda progress: None
    on_cloud: OnCloud | None = None


NOBODY = Listener()


class StepFigures(NamedTuple):
    """The median reprojection error (L1) of a batch in pixels, and the share with a small one."""

    median_error_px: float = math.nan
    inlier_share: float = math.nan


# After a training step: how far training is, its figures, and what samples so many points of the map
# (P, 3) as it is now, relative to its centre, with their brightness (P,) uint8.
OnStep = Callable[[Clock, StepFigures, Callable[[int], tuple[Tensor, Tensor]]], None]


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


@dataclass(frozen=True)
class Stages:
    """The stages of a training, in their order."""

    refine: Stage
    triangulate: Stage
    prepare: Stage
    learn: Stage
    validate: Stage
    finish: Stage


def stages_of(refines: bool, validates: bool) -> Stages:
    """Return the stages of a training that refines poses or not, and holds out images or not."""
    triangulate, prepare = (TRIANGULATE_REFINED, PREPARE_REFINED) if refines else (TRIANGULATE, PREPARE)
    return Stages(REFINE, triangulate, prepare, LEARN if validates else LEARN_ALL, VALIDATE, FINISH)


def parts(on_item: OnItem, *sizes: int) -> list[Callable[[int], None]]:
    """Return a callback for each part of some work, called with what is done of it; all are told as one."""

    def part(before: int) -> Callable[[int], None]:
        return lambda done: on_item(before + done, sum(sizes))

    return [part(sum(sizes[:number])) for number in range(len(sizes))]


class Reporter:
    """Turns what happens into Progress for a listener, who may also see the map as it grows.

    `steps` and `train_s` are how many steps and seconds training takes at most.
    """

    def __init__(self, listener: Listener, stages: Stages, steps: int = 0, train_s: float = math.nan) -> None:
        self.stages = stages
        self._listener, self._steps, self._train_s = listener, steps, train_s
        self._began = self._cloud_at = time.monotonic()
        self._figures = StepFigures()

    @property
    def elapsed_s(self) -> float:
        """Return the seconds since the beginning of the job."""
        return time.monotonic() - self._began

    def images(self, stage: Stage, steps_done: int = 0) -> OnItem:
        """Return what to call with every image of a stage, after so many steps of training."""

        def on_item(done: int, total: int) -> None:
            remaining_s = math.nan
            if stage.phase == PREPARE.phase:
                remaining_s = self.elapsed_s / done * (total - done) + self._train_s
            self._tell(stage, done / total, steps_done, remaining_s)

        return on_item

    def steps(self, stage: Stage, centre: Tensor, steps_done: int = 0) -> OnStep:
        """Return what to call with the steps of a stage, after those of others; the map's centre is (3,)."""

        def on_step(
            clock: Clock, figures: StepFigures, cloud: Callable[[int], tuple[Tensor, Tensor]]
        ) -> None:
            self._figures, self._steps = figures, steps_done + clock.expected_steps
            self._tell(stage, clock.progress, steps_done + clock.step, clock.remaining_s)
            show = self._listener.on_cloud
            if show is not None and time.monotonic() - self._cloud_at > CLOUD_EVERY_S:
                points, grey = cloud(PREVIEW_POINTS)
                self._cloud_at = time.monotonic()
                show((points.double() + centre).numpy(), grey.numpy())

        return on_step

    def _tell(self, stage: Stage, share: float, step: int, remaining_s: float) -> None:
        done = stage.begin + (stage.end - stage.begin) * share
        self._listener.on_progress(
            Progress(stage.phase, done, step, self._steps, self.elapsed_s, remaining_s, *self._figures)
        )
