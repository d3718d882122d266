# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ace_ros.pnp.ransac import VOID, Draws, Stage, best, distinct_ranks, search, spread_ranks

CPU = torch.device("cpu")


class NearestNumber:
    """A problem without geometry: find the number that most data (B, N) are near to."""

    def __init__(self, data: Tensor, proposals: Tensor) -> None:
        self.data, self.proposals = data, proposals
        self.scored: list[tuple[int, int]] = []

    def propose(self) -> Tensor:
        return self.proposals[..., None]

    def score(self, hypotheses: Tensor, data: int) -> Tensor:
        self.scored.append((hypotheses.shape[1], data))
        some = self.data[:, : data or None]
        return ((hypotheses - some[:, None]).abs() < 0.1).double().sum(-1)

    def refine(self, hypotheses: Tensor) -> Tensor:
        near = (hypotheses - self.data[:, None]).abs() < 0.1
        return (near * self.data[:, None]).sum(-1, keepdim=True) / near.sum(-1, keepdim=True)


def problem(batch: int = 3) -> NearestNumber:
    g = torch.Generator().manual_seed(1)
    data = 10 * torch.rand(batch, 400, generator=g, dtype=torch.float64)
    truth = torch.arange(batch, dtype=torch.float64)[:, None] + 2
    data[:, ::4] = truth + 0.02 * torch.randn(batch, 100, generator=g, dtype=torch.float64)
    return NearestNumber(data, data[:, :60].clone())


STAGES = (Stage(100, 20), Stage(0, 4))


def test_the_loop_finds_what_most_data_agree_on() -> None:
    found, score = search(problem(), STAGES)
    assert torch.allclose(found[:, 0], torch.tensor([2.0, 3.0, 4.0], dtype=torch.float64), atol=0.1)
    assert (score >= 100).all()


def test_every_stage_scores_what_the_one_before_kept() -> None:
    mock = problem()
    search(mock, STAGES)
    assert mock.scored == [(60, 100), (20, 0), (8, 0)]


def test_void_hypotheses_never_win() -> None:
    mock = problem()
    mock.proposals[:, 1:] = torch.nan
    found, score = search(mock, STAGES)
    assert torch.isfinite(found).all()
    mock.proposals[1] = torch.nan
    found, score = search(mock, STAGES)
    assert torch.isnan(found[1]).all()
    assert score[1] == VOID
    assert torch.isfinite(found[[0, 2]]).all()


def test_an_extra_hypothesis_wins_only_by_a_higher_score() -> None:
    without, score = search(problem(), STAGES)
    worse, worse_score = search(problem(), STAGES, torch.full((3, 1, 1), 9.0, dtype=torch.float64))
    assert torch.equal(without, worse)
    assert torch.equal(score, worse_score)
    lost = problem()
    lost.proposals[:] = 9.5
    truth = torch.tensor([2.0, 3.0, 4.0], dtype=torch.float64)[:, None, None]
    found, _ = search(lost, STAGES, truth)
    assert torch.allclose(found[:, 0], truth[:, 0, 0], atol=0.1)


def test_a_batch_equals_its_single_runs() -> None:
    mock = problem()
    together, _ = search(mock, STAGES)
    for i in range(3):
        alone, _ = search(NearestNumber(mock.data[i : i + 1], mock.proposals[i : i + 1]), STAGES)
        assert torch.equal(alone[0], together[i])


def test_best_keeps_no_more_than_there_are() -> None:
    hypotheses = torch.arange(6.0).view(1, 3, 2)
    kept = best(hypotheses, torch.tensor([[1.0, 3.0, 2.0]]), 10)
    assert kept[0, :, 0].tolist() == [2.0, 4.0, 0.0]


@pytest.mark.parametrize("count", [3, 4, 10, 1000])
def test_ranks_of_a_sample_are_different_and_evenly_spread(count: int) -> None:
    uniform = Draws(5, None, CPU).uniform(3, 30_000)
    ranks = distinct_ranks(uniform, torch.tensor([count]))[0]
    assert ranks.min() == 0
    assert ranks.max() == count - 1
    assert (ranks.sort(0).values.diff(dim=0) > 0).all()
    share = ranks.flatten().bincount(minlength=count) / (3 * 30_000 / count)
    assert (share - 1).abs().max() < 6 * (count / 90_000) ** 0.5


@pytest.mark.parametrize("count", [0, 1, 2])
def test_ranks_of_too_few_stay_within_them(count: int) -> None:
    ranks = distinct_ranks(Draws(5, None, CPU).uniform(3, 50), torch.tensor([count]))
    assert ranks.min() >= 0
    assert ranks.max() <= max(count - 1, 0)


def test_spread_ranks_fall_into_every_stratum() -> None:
    ranks = spread_ranks(Draws(5, None, CPU).uniform(1, 64)[0], torch.tensor([6400, 64, 0]))
    assert torch.equal(ranks[0] // 100, torch.arange(64))
    assert torch.equal(ranks[1], torch.arange(64))
    assert (ranks[2] == 0).all()


def test_draws_repeat_for_a_seed_and_differ_between_seeds() -> None:
    assert torch.equal(Draws(5, None, CPU).uniform(3, 9), Draws(5, None, CPU).uniform(3, 9))
    assert not torch.equal(Draws(5, None, CPU).uniform(3, 9), Draws(6, None, CPU).uniform(3, 9))
    generator = torch.Generator().manual_seed(5)
    first, second = Draws(5, generator, CPU).uniform(3, 9), Draws(5, generator, CPU).uniform(3, 9)
    assert not torch.equal(first, second)
