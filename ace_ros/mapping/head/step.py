# SPDX-License-Identifier: Apache-2.0
"""One training step, and its replay on a GPU."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from ace_ros.config import TrainingConfig
from ace_ros.mapping.head.optimizer import Muon
from ace_ros.network.head import Head
from ace_ros.network.loss import LossResult

# Before a step is recorded, so that optimisers have their state and libraries their workspaces.
EAGER_STEPS = 11


class StepInputs(NamedTuple):
    """What changes from step to step, on the device that trains.

    features (b, C), pixels (b, 2), image (b,), depth_m (b,) as in FeatureBuffer; `width_px` () of the robust
    loss; `rate` (), the share of the largest learning rates.
    """

    features: Tensor
    pixels: Tensor
    image: Tensor
    depth_m: Tensor
    width_px: Tensor
    rate: Tensor


Step = Callable[[StepInputs], LossResult]
# Looks at what a function does; returns what repeats that, and its result, which repeats overwrite.
Record = Callable[[Callable[[], LossResult]], tuple[Callable[[], None], LossResult]]


class TrainingStep:
    """Loss, gradient and optimisers: Muon for the head's hidden matrices, AdamW for the rest.

    Nothing is read back from the device, and all that changes is in tensors: it can be recorded.
    """

    def __init__(self, head: Head, loss: Step, config: TrainingConfig) -> None:
        self._head, self._loss = head, loss
        self.device = head.output.weight.device
        hidden = head.hidden_matrices()
        ids = {id(p) for p in hidden}
        rest = [p for p in head.parameters() if id(p) not in ids]
        muon_rate, adamw_rate = torch.zeros(2, device=self.device).unbind()
        on_gpu = self.device.type == "cuda"
        adamw = torch.optim.AdamW(
            rest, adamw_rate, weight_decay=config.weight_decay, fused=True, capturable=on_gpu
        )
        self._optimizers = [Muon(hidden, muon_rate), adamw]
        self._rates = [(muon_rate, config.hidden_learning_rate), (adamw_rate, config.learning_rate)]
        needs_scaling = on_gpu and not torch.cuda.is_bf16_supported()
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=needs_scaling)

    @property
    def recordable(self) -> bool:
        """Whether a GPU can replay the step; where gradients are scaled, it has to look at them."""
        return self.device.type == "cuda" and not self._scaler.is_enabled()

    def __call__(self, inputs: StepInputs) -> LossResult:
        """Take a step; return the loss before it."""
        result = self._loss(inputs)
        self._head.zero_grad(set_to_none=True)
        self._scaler.scale(result.loss).backward()
        for rate, largest in self._rates:
            rate.copy_(largest * inputs.rate)
        for optimizer in self._optimizers:
            self._scaler.step(optimizer)
        self._scaler.update()
        return LossResult(result.loss.detach(), result.error_px, result.valid)


class ReplayedStep:
    """A step that is recorded once and then replayed on other inputs.

    A step is some five hundred small operations; to start them one by one takes a GPU longer than to do them.
    A step that cannot be recorded is taken as it is, with a warning.
    """

    def __init__(self, step: Step, record: Record) -> None:
        self._step, self._record = step, record
        self._taken = 0
        self._replay: Callable[[], None] | None = None

    def __call__(self, inputs: StepInputs) -> LossResult:
        """Take a step. Its result holds until the next."""
        self._taken += 1
        if self._taken == EAGER_STEPS + 1:
            self._prepare(inputs)
        if self._replay is None:
            return self._step(inputs)
        for own, new in zip(self._inputs, inputs, strict=True):
            own.copy_(new)
        self._replay()
        return self._result

    def _prepare(self, inputs: StepInputs) -> None:
        self._inputs = StepInputs(*(x.clone() for x in inputs))
        try:
            self._replay, self._result = self._record(lambda: self._step(self._inputs))
        except RuntimeError as error:
            warnings.warn(f"training steps are not replayed, and slower: {error}", stacklevel=2)


def record_cuda_graph(run: Callable[[], LossResult]) -> tuple[Callable[[], None], LossResult]:
    """Record what `run` does on the GPU, as a `Record`; call it on another stream than the default one."""
    graph = torch.cuda.CUDAGraph()
    stream = torch.cuda.current_stream()
    # Other threads of the process may use the GPU meanwhile.
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        result = run()
    return graph.replay, result


@contextmanager
def own_stream(device: torch.device) -> Iterator[None]:
    """Let a GPU work on a stream of its own, on which steps can be recorded; on a CPU do nothing."""
    if device.type != "cuda":
        yield
        return
    outside, stream = torch.cuda.current_stream(device), torch.cuda.Stream(device)
    stream.wait_stream(outside)
    with torch.cuda.stream(stream):
        yield
    outside.wait_stream(stream)
