# SPDX-License-Identifier: Apache-2.0
"""RANSAC with a fixed budget, for many problems at once. It knows nothing of geometry.

Every problem of the batch gets the same number of hypotheses. All are scored on a few data, the
better ones on more, the best on all; the last few are refined and compete with what they came
from. Nothing here depends on values: no loop ends early and nothing is read back from the device,
so that the time is the same for an easy and for a hopeless problem.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

VOID = -1.0  # the score of what is no hypothesis; real scores are not below zero


class Problem(Protocol):
    """What the loop asks of B problems of one kind, whose hypotheses have D numbers."""

    def propose(self) -> Tensor:
        """Return hypotheses (B, M, D); NaN rows are void."""

    def score(self, hypotheses: Tensor, data: int) -> Tensor:
        """Return scores (B, M) >= 0 on a share of about `data` of the data (0: all)."""

    def refine(self, hypotheses: Tensor) -> Tensor:
        """Return hypotheses (B, k, D) improved on the data that agree with them."""


class Stage(NamedTuple):
    """Score on `data` of the data (0: all) and keep the best `keep` hypotheses."""

    data: int
    keep: int


def search(problem: Problem, stages: Sequence[Stage], extra: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the best hypothesis (B, D) of every problem and its score (B,), VOID if there is none.

    `extra` (B, k, D) are hypotheses from elsewhere. They enter at the refinement, take nobody's
    place, and win only by a higher score on all data.
    """
    hypotheses = _proposed(problem, stages)
    if extra is not None:
        hypotheses = torch.cat([hypotheses, extra], 1)
    hypotheses = torch.cat([hypotheses, problem.refine(hypotheses)], 1)
    scores = _scores(problem, hypotheses, 0)
    winner = best(hypotheses, scores, 1)[:, 0]
    score = scores.amax(1)
    return torch.where(score[:, None] > VOID, winner, torch.nan), score


def best_score(problem: Problem, stages: Sequence[Stage]) -> Tensor:
    """Return the best score (B,) on all data of hypotheses that are not refined, VOID if there is none."""
    return _scores(problem, _proposed(problem, stages), 0).amax(1)


def _proposed(problem: Problem, stages: Sequence[Stage]) -> Tensor:
    hypotheses = problem.propose()
    for stage in stages:
        hypotheses = best(hypotheses, _scores(problem, hypotheses, stage.data), stage.keep)
    return hypotheses


def best(hypotheses: Tensor, scores: Tensor, keep: int) -> Tensor:
    """Return the `keep` hypotheses (B, keep, D) of (B, M, D) with the highest scores (B, M)."""
    order = scores.topk(min(keep, scores.shape[1]), dim=1).indices
    return hypotheses.gather(1, order[..., None].expand(-1, -1, hypotheses.shape[-1]))


def _scores(problem: Problem, hypotheses: Tensor, data: int) -> Tensor:
    scores = problem.score(hypotheses, data)
    sound = torch.isfinite(scores) & torch.isfinite(hypotheses).all(-1)
    return torch.where(sound, scores, VOID)


class Draws:
    """Random numbers that all problems share, so that a batch equals its single runs.

    The same shape gets the same numbers for as long as the object lives.
    """

    def __init__(self, seed: int, generator: torch.Generator | None, device: torch.device) -> None:
        """Draw from `generator`, or without one always the same numbers for a seed."""
        self._seed, self._generator, self._device = seed, generator, device
        self._drawn: dict[tuple[int, int], Tensor] = {}

    def uniform(self, rows: int, columns: int) -> Tensor:
        """Return numbers (rows, columns) in [0, 1), float64."""
        if self._generator is None:
            return _fixed_uniform(self._seed, rows, columns, self._device)
        shape = (rows, columns)
        if shape not in self._drawn:
            self._drawn[shape] = _uniform(self._generator, shape).to(self._device)
        return self._drawn[shape]


def _uniform(generator: torch.Generator, shape: tuple[int, int]) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)


@functools.lru_cache(maxsize=32)
def _fixed_uniform(seed: int, rows: int, columns: int, device: torch.device) -> Tensor:
    # Drawn on the CPU, so that the numbers do not depend on the device.
    return _uniform(torch.Generator().manual_seed(seed), (rows, columns)).to(device)


def distinct_ranks(uniform: Tensor, count: Tensor) -> Tensor:
    """Return k different ranks (B, k, M) below count (B,) from uniform numbers (k, M).

    Where there are fewer than k, ranks repeat.
    """
    ranks: list[Tensor] = []
    ascending: list[Tensor] = []
    for i, u in enumerate(uniform):
        left = (count - i).clamp(min=1)[:, None]
        rank = torch.minimum((u * left).long(), left - 1)  # (B, M)
        for taken in ascending:  # step over the ranks taken before
            rank = rank + (rank >= taken)
        ranks.append(rank)
        ascending = _inserted(ascending, rank)
    return torch.stack(ranks, 1).clamp(max=(count - 1).clamp(min=0)[:, None, None])


def _inserted(ascending: list[Tensor], value: Tensor) -> list[Tensor]:
    """Return tensors in ascending order, element by element, with one more."""
    result = []
    for other in ascending:
        result.append(torch.minimum(other, value))
        value = torch.maximum(other, value)
    return [*result, value]


def spread_ranks(uniform: Tensor, count: Tensor) -> Tensor:
    """Return S ranks (B, S) below count (B,), one in each of S equal strata, from uniform (S,)."""
    strata = (torch.arange(len(uniform), device=uniform.device) + uniform) / len(uniform)
    ranks = (strata * count[:, None]).long()
    return torch.minimum(ranks, (count - 1).clamp(min=0)[:, None])
