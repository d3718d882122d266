# SPDX-License-Identifier: Apache-2.0
"""One training step: equal to a plain implementation, and fit to be recorded and replayed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from training_features import features_of_a_wall

from ace_ros.compute import precision
from ace_ros.mapping.head.step import EAGER_STEPS, ReplayedStep, TrainingStep
from ace_ros.mapping.head.trainer import HeadTrainer, batches
from ace_ros.mapping.schedule import LEARNING
from ace_ros.network.head import Head
from ace_ros.network.loss import LossResult, curriculum_width

STEPS = 40


class Recorder(TorchDispatchMode):
    """Does on a CPU what a CUDA graph does: the operations, on the same memory, and nothing of Python.

    Reading a number back from the device fails, as it does while a GPU records. Unlike a GPU, it also does
    what it records.
    """

    def __init__(self) -> None:
        super().__init__()
        self._operations: list[tuple[Any, tuple, dict, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("a number is read back from the device")
        result = func(*args, **(kwargs or {}))
        self._operations.append((func, args, kwargs or {}, result))
        return result

    def replay(self) -> None:
        """Do all operations again; each result goes where the first one is."""
        with torch.no_grad():
            for func, args, kwargs, result in self._operations:
                again = func(*args, **kwargs)
                for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                    if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                        old.copy_(new)


def weights_after(trainer: HeadTrainer, replayed: bool) -> list[Tensor]:
    """Return the head's weights after some steps along the schedule, and check what each step returns."""
    plain = TrainingStep(trainer.head, trainer.loss, trainer.config)

    def record(run: Callable[[], LossResult]) -> tuple[Callable[[], None], LossResult]:
        with Recorder() as recorder:
            return recorder.replay, run()

    step = ReplayedStep(plain, record) if replayed else plain
    drawn = batches(torch.arange(len(trainer.buffer)), trainer.config.batch, 0)
    for number in range(STEPS):
        progress = number / STEPS
        inputs = trainer.inputs(next(drawn), LEARNING.curriculum(progress), LEARNING.learning_rate(progress))
        recorded = number == EAGER_STEPS
        if recorded and not replayed:
            step(inputs)  # once more, as it is taken when it is recorded
        before = float(trainer.loss(inputs).loss.detach())
        found = float(step(inputs).loss)
        assert found == pytest.approx(before, rel=1e-5) or (recorded and replayed)
    return [p.detach().clone() for p in trainer.head.parameters()]


@pytest.mark.filterwarnings("error")
def test_a_replayed_step_is_the_step() -> None:
    assert EAGER_STEPS < STEPS / 2
    expected, found = (weights_after(features_of_a_wall(), replayed) for replayed in (False, True))
    for a, b in zip(expected, found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


def test_a_step_that_cannot_be_recorded_is_taken_as_it_is() -> None:
    def refuse(run: Callable[[], LossResult]) -> tuple[Callable[[], None], LossResult]:
        raise RuntimeError("operation not permitted when stream is capturing")

    trainer = features_of_a_wall()
    step = ReplayedStep(TrainingStep(trainer.head, trainer.loss, trainer.config), refuse)
    inputs = trainer.inputs(torch.arange(256), 0.5, 1.0)
    with pytest.warns(UserWarning, match="not replayed, and slower: operation not permitted"):
        losses = [float(step(inputs).loss) for _ in range(3 * EAGER_STEPS)]
    assert losses[-1] < losses[2 * EAGER_STEPS] < losses[0]


class PlainHead(nn.Module):
    """The head as the paper draws it: 1x1 convolutions over an image of features, in float64."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for module in head.modules():
            if isinstance(module, nn.Linear):
                layer = nn.Conv2d(module.in_features, module.out_features, 1, dtype=torch.float64)
                layer.weight.data = module.weight.data[:, :, None, None].double()
                layer.bias.data = module.bias.data.double()
                self.layers.append(layer)

    def forward(self, features: Tensor) -> Tensor:
        """Return points (b, 3) of features (b, C)."""
        entry, *hidden, output = self.layers
        x = entry(features.double().T[None, :, :, None])
        while len(hidden) > 2:
            x, hidden = x + hidden[2](hidden[1](hidden[0](x).relu()).relu()).relu(), hidden[3:]
        xyzh = output(hidden[1](hidden[0](x).relu()).relu())[0, :, :, 0].T
        h = nn.functional.softplus(xyzh[:, 3], beta=math.log(2.0) / 0.75) + 0.25
        return xyzh[:, :3] / h.clamp(max=100.0)[:, None]


@pytest.mark.parametrize("curriculum", [0.0, 0.3, 1.0])
def test_gradients_are_those_of_a_plain_implementation(
    curriculum: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "cpu_multiplies_bfloat16", lambda: False)
    trainer = features_of_a_wall()
    config, buffer, views = trainer.config, trainer.buffer, trainer.views
    plain = PlainHead(trainer.head)
    rows = torch.arange(0, len(buffer), 7)
    points = trainer.radius_m * plain(buffer.features[rows])
    losses = []
    for row, point in zip(rows.tolist(), points, strict=True):
        image, pixel, depth = int(buffer.image[row]), buffer.pixels[row].double(), float(buffer.depth_m[row])
        T, K = views.T_camera_map[image].double(), views.K[image].double()
        seen = T[:, :3] @ point + T[:, 3]
        error = ((K @ seen)[:2] / seen[2].clamp(min=config.min_depth_m) - pixel).abs().sum()
        valid = config.min_depth_m <= seen[2] <= config.max_depth_m and error <= config.max_error_px
        target = depth * torch.linalg.inv(K) @ torch.cat([pixel, pixel.new_ones(1)])
        width = curriculum_width(curriculum, config)
        if valid and width:
            losses.append(width * torch.tanh(error / width))
        else:
            losses.append(K[0, 0] / depth * (seen - target).abs().sum())
    torch.stack(losses).mean().backward()

    result = trainer.loss(trainer.inputs(rows, curriculum))
    result.loss.backward()
    torch.testing.assert_close(result.loss.double(), torch.stack(losses).mean(), rtol=1e-4, atol=1e-4)
    for own, expected in zip(trainer.head.parameters(), plain.parameters(), strict=True):
        gradient = expected.grad.reshape(own.shape)
        assert float((own.grad - gradient).norm() / gradient.norm()) < 1e-3
