# SPDX-License-Identifier: Apache-2.0
"""The training step beside a plain implementation of the same step, each in a process of its own.

`python bench/mapping.py step` runs this file in turns with `plain` and `ace_ros`, and with `products`, which
says how fast large matrices are multiplied. The plain one has what torch does by default, the others the
process settings of `ace_ros map` (ace_ros/compute/process.py).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from ace_ros.compute.precision import choose_device, layer_type
from ace_ros.compute.process import keep_memory, wait_briefly
from ace_ros.config import training_preset
from ace_ros.mapping.features.buffer import FeatureBuffer
from ace_ros.mapping.head.optimizer import COEFFICIENTS, ROUNDS
from ace_ros.mapping.head.step import TrainingStep
from ace_ros.mapping.head.trainer import HeadTrainer
from ace_ros.mapping.schedule import LEARNING, Clock, one_cycle
from ace_ros.network.head import Head
from ace_ros.network.loss import Views, curriculum_width

KINDS = ("plain", "ace_ros", "products")


class PlainHead(nn.Module):
    """The head as the paper draws it: 1x1 convolutions over patches that are laid out as an image."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for module in head.modules():
            if isinstance(module, nn.Linear):
                layer = nn.Conv2d(module.in_features, module.out_features, 1)
                layer.weight.data = module.weight.data[:, :, None, None].clone()
                layer.bias.data = module.bias.data.clone()
                self.layers.append(layer)

    def forward(self, features: Tensor) -> Tensor:
        """Return points (b, 3) of features (b, C)."""
        layers = iter(self.layers)
        x = next(layers)(features.T.reshape(1, features.shape[1], -1, 32))
        for _ in range((len(self.layers) - 4) // 3):
            y = x
            for _ in range(3):
                y = F.relu(next(layers)(y))
            x = x + y
        x = F.relu(next(layers)(x))
        x = F.relu(next(layers)(x))
        xyzh = next(layers)(x).reshape(4, -1).T
        h = (F.softplus(xyzh[:, 3:], beta=np.log(2.0) / 0.75) + 0.25).clamp(max=100.0)
        return xyzh[:, :3] / h


def plain_training(trainer: HeadTrainer, steps: int) -> float:
    """Return the seconds that steps of a straightforward implementation take, and check nothing else."""
    buffer, views, radius_m, config = trainer.buffer, trainer.views, trainer.radius_m, trainer.config
    plain, device = PlainHead(trainer.head), trainer.device
    image = buffer.image.long()
    pose, K, K_inverse = views.T_camera_map[image], views.K[image], views.K_inverse[image]
    hidden = [p for p in plain.parameters() if p.dim() == 4 and p.shape[0] == p.shape[1]]
    rest = [p for p in plain.parameters() if all(p is not h for h in hidden)]
    adamw = torch.optim.AdamW(rest, config.learning_rate, weight_decay=config.weight_decay, foreach=False)
    momentum = [torch.zeros_like(h) for h in hidden]
    generator = torch.Generator().manual_seed(config.seed)
    began = time.perf_counter()
    for step in range(steps):
        rows = torch.randint(len(buffer), (config.batch,), generator=generator).to(device)
        progress = step / steps
        points = radius_m * plain(buffer.features[rows].float())
        T = pose[rows]
        in_camera = (T[:, :, :3] @ points[:, :, None])[:, :, 0] + T[:, :, 3]
        projected = (K[rows] @ in_camera[:, :, None])[:, :, 0]
        error = (projected[:, :2] / in_camera[:, 2:].clamp(min=0.1) - buffer.pixels[rows]).abs().sum(1)
        valid = (in_camera[:, 2] > 0.1) & (in_camera[:, 2] < 1000) & (error < 1000)
        ray = (K_inverse[rows] @ F.pad(buffer.pixels[rows], (0, 1), value=1.0)[:, :, None])[:, :, 0]
        depth_m = buffer.depth_m[rows, None]
        to_ray = K[rows, 0, 0] / depth_m[:, 0] * (in_camera - depth_m * ray).abs().sum(1)
        width = curriculum_width(progress, config)
        loss = (torch.where(valid, width * torch.tanh(error / width), to_ray) if width else to_ray).mean()
        loss.item()
        plain.zero_grad()
        loss.backward()
        rate = one_cycle(progress)
        for group in adamw.param_groups:
            group["lr"] = config.learning_rate * rate
        adamw.step()
        with torch.no_grad():
            for h, m in zip(hidden, momentum, strict=True):
                m.mul_(0.95).add_(h.grad)
                X = (h.grad + 0.95 * m)[:, :, 0, 0]
                X = X / (X.norm() + 1e-7)
                for _ in range(ROUNDS):
                    A = X @ X.T
                    X = COEFFICIENTS[0] * X + (COEFFICIENTS[1] * A + COEFFICIENTS[2] * A @ A) @ X
                h.sub_(config.hidden_learning_rate * rate * X[:, :, None, None])
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def own_training(trainer: HeadTrainer, steps: int) -> float:
    """Return the seconds that steps of this project's training take."""
    everything = torch.arange(len(trainer.buffer), device=trainer.device)
    return trainer.train(everything, LEARNING, Clock(steps, 1e9))[1].seconds


def random_buffer(
    features: int, channels: int, images: int, device: torch.device
) -> tuple[FeatureBuffer, Views]:
    """Return features of nothing: what a step costs does not depend on them."""
    g = torch.Generator().manual_seed(0)
    buffer = FeatureBuffer(
        features=torch.randn(features, channels, generator=g).half().to(device),
        pixels=(torch.rand(features, 2, generator=g) * 480).to(device),
        image=torch.randint(images, (features,), generator=g).int().to(device),
        grey=torch.zeros(features, dtype=torch.uint8),
        depth_m=(1.0 + 4.0 * torch.rand(features, generator=g)).to(device),
    )
    K = torch.tensor([[500.0, 0.0, 320.0], [0.0, 500.0, 240.0], [0.0, 0.0, 1.0]]).expand(images, 3, 3)
    T = torch.cat([torch.eye(3).expand(images, 3, 3), torch.randn(images, 3, 1, generator=g)], 2)
    return buffer, Views(*(x.contiguous().to(device) for x in (T, K, torch.linalg.inv(K))))


def products_of(trainer: HeadTrainer) -> int:
    """Return the multiplications and additions in the matrix products of a step."""
    step = TrainingStep(trainer.head, trainer.loss, trainer.config)
    rows = torch.arange(trainer.config.batch, device=trainer.device)
    with FlopCounterMode(display=False) as counter:
        step(trainer.inputs(rows, 0.5, 0.0))
    return int(counter.get_total_flops())


def products_per_second(device: torch.device, size: int) -> float:
    """Return how many multiplications and additions a second large square products reach on a device."""
    a = torch.randn(size, size, device=device).to(layer_type(device))
    seconds = []
    for _ in range(10):
        began = time.perf_counter()
        (a @ a)[0, 0].item()
        seconds.append(time.perf_counter() - began)
    return 2.0 * size**3 / min(seconds)


def compare(device: str, threads: int, steps: int, rounds: int) -> dict[str, float]:
    """Return the median milliseconds of a step of each kind, and ours as a share of what products reach."""
    own = dict(os.environ)
    wait_briefly(own)
    results: dict[str, list[dict[str, float]]] = defaultdict(list)
    for _ in range(rounds):
        for kind in KINDS:
            command = [sys.executable, __file__, kind, "--device", device]
            command += ["--threads", str(threads), "--steps", str(steps)]
            environment = dict(os.environ) if kind == "plain" else own
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            results[kind].append(json.loads(done.stdout.splitlines()[-1]))
    plain, ours = (statistics.median(r["ms"] for r in results[kind]) for kind in ("plain", "ace_ros"))
    reached = statistics.median(r["per_second"] for r in results["products"])
    share = results["ace_ros"][0]["products"] / (1e-3 * ours) / reached
    return {"plain": plain, "ace_ros": ours, "products_per_second": reached, "share_of_products": share}


def main() -> None:
    """Time one kind of step in this process; the first steps do not count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    device, config = choose_device(options.device), training_preset("standard")
    if options.kind != "plain":
        keep_memory()
    if options.kind == "products":
        size = 8192 if device.type == "cuda" else 1024
        print(json.dumps({"per_second": products_per_second(device, size)}))
        return
    buffer, views = random_buffer(200_000, 128, 64, device)
    torch.manual_seed(0)
    head = Head(128, config.head_width, config.head_blocks).to(device)
    trainer = HeadTrainer(head, buffer, views, 3.0, config)
    train = {"plain": plain_training, "ace_ros": own_training}[options.kind]
    for steps in (20, options.steps):
        seconds = train(trainer, steps)
    print(json.dumps({"ms": 1e3 * seconds / options.steps, "products": products_of(trainer)}))


if __name__ == "__main__":
    main()
