# SPDX-License-Identifier: Apache-2.0
"""Measure the mapping engine: its training step, its time to accuracy, and how it grows with a place.

    python bench/mapping.py step
    python bench/mapping.py accuracy --scenes SCENES --generated 2
    python bench/mapping.py scale --images 50 200 800

Each prints a Markdown table and one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ace_ros.config import TrainingConfig, training_preset
from ace_ros.data.scene import Frame, load_scene
from ace_ros.data.simulated_room import write_simulated_scene
from ace_ros.evaluate import evaluate
from ace_ros.geometry.camera import Camera
from ace_ros.network.encoder_file import load_encoder
from ace_ros.network.head import Head
from ace_ros.network.loss import Views, curriculum_width
from ace_ros.network.precision import choose_device
from ace_ros.relocalizer import Relocalizer
from ace_ros.training.buffer import FeatureBuffer, fill_buffer
from ace_ros.training.fitting import Fitter
from ace_ros.training.memory import peak_memory_mb
from ace_ros.training.optimizer import COEFFICIENTS, ROUNDS
from ace_ros.training.progress import Reporter
from ace_ros.training.schedule import LEARNING, Clock, one_cycle
from ace_ros.training.survey import Survey
from ace_ros.training.trainer import train_map

BUDGETS_S = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 270.0)
SHARE_OF_FINAL = 0.9


# The training step


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


def plain_training(
    head: Head, buffer: FeatureBuffer, views: Views, radius_m: float, config: TrainingConfig, steps: int
) -> float:
    """Return the seconds that steps of a straightforward implementation take, and check nothing else."""
    plain = PlainHead(head)
    image = buffer.image.long()
    pose, K, K_inverse = views.T_camera_map[image], views.K[image], views.K_inverse[image]
    hidden = [p for p in plain.parameters() if p.dim() == 4 and p.shape[0] == p.shape[1]]
    rest = [p for p in plain.parameters() if all(p is not h for h in hidden)]
    adamw = torch.optim.AdamW(rest, config.learning_rate, weight_decay=config.weight_decay, foreach=False)
    momentum = [torch.zeros_like(h) for h in hidden]
    generator = torch.Generator().manual_seed(config.seed)
    began = time.perf_counter()
    for step in range(steps):
        rows = torch.randint(len(buffer), (config.batch,), generator=generator)
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
        loss = (torch.where(valid, width * torch.tanh(error / width), to_ray)).mean()
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
    return time.perf_counter() - began


def bench_step(options: argparse.Namespace) -> dict[str, Any]:
    """Compare the training step with a plain implementation of the same step, in turns."""
    device = choose_device(options.device)
    config = training_preset("standard")
    buffer, views = random_buffer(200_000, 128, 64, device)
    reporter = Reporter(lambda progress: None, None)
    times: dict[str, list[float]] = {"plain": [], "ace_ros": []}
    for _ in range(options.rounds):
        torch.manual_seed(0)
        head = Head(128, config.head_width, config.head_blocks).to(device)
        if device.type == "cpu":
            times["plain"].append(plain_training(head, buffer, views, 3.0, config, options.steps))
        clock = Clock(options.steps, 1e9)
        fitter = Fitter(head, buffer, views, 3.0, config, reporter)
        fitter.fit(torch.arange(len(buffer), device=device), LEARNING, clock)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times["ace_ros"].append(clock.elapsed_s)
    result = {n: 1e3 * statistics.median(t) / options.steps for n, t in times.items() if t}
    print_table(("step", "ms", "steps/s"), [(n, f"{ms:.1f}", f"{1e3 / ms:.0f}") for n, ms in result.items()])
    if "plain" in result:
        result["times_faster"] = result["plain"] / result["ace_ros"]
        print(f"\n{result['times_faster']:.1f} times faster, {torch.get_num_threads()} threads")
    return result


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


# Time to accuracy


def bench_accuracy(options: argparse.Namespace) -> dict[str, Any]:
    """Train every scene with growing time budgets; every budget is a whole schedule of its own."""
    results = []
    with tempfile.TemporaryDirectory() as folder:
        scenes = sorted(p.parent for p in options.scenes.glob("*/train")) if options.scenes else []
        for seed in range(options.generated):
            scenes.append(Path(folder) / f"room_{seed}")
            write_simulated_scene(scenes[-1], seed=seed)
        print_table(
            ("scene", "budget s", "prepare s", "steps", "10cm/5deg", "5cm/5deg", "2cm/2deg", "median cm"), []
        )
        for scene in scenes:
            curve = [accuracy(scene, s, Path(folder) / f".{scene.name}", options) for s in options.budgets]
            final = curve[-1]["recall"]["5cm_5deg"]
            reached = next(c for c in curve if c["recall"]["5cm_5deg"] >= SHARE_OF_FINAL * final)
            print(f"| **{scene.name}** | {reached['budget_s']:g} to 90 % of the final recall | | | | | | |")
            results.append({"scene": scene.name, "curve": curve, "seconds_to_90": reached["budget_s"]})
    return {"results": results}


def accuracy(scene: Path, budget_s: float, kept: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of a map that was trained for so long. Features are prepared once."""
    config = replace(training_preset("standard", budget_s), keep_prepared_s=0.0)
    scene_map, report = train_map(
        load_scene(scene), config, options.device, prepared=kept, resume=kept.exists()
    )
    found = evaluate(load_scene(scene, "test"), Relocalizer(scene_map, device=options.device)).summary()
    share, metres = found["recall"], found["median_translation_m"]
    cells = (
        scene.name, f"{budget_s:g}", f"{report.prepare_s:.0f}", report.steps,
        *(f"{100 * share[k]:.0f} %" for k in ("10cm_5deg", "5cm_5deg", "2cm_2deg")), f"{100 * metres:.1f}",
    )  # fmt: skip
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    return {"budget_s": budget_s, "steps": report.steps, "recall": share, "median_m": metres}


# Scale


def bench_scale(options: argparse.Namespace) -> dict[str, Any]:
    """Prepare features of more and more images, each number in a process of its own."""
    rows = []
    print_table(("images", "views", "features", "prepare s", "ms per view", "peak MB"), [])
    for images in options.images:
        command = [sys.executable, __file__, "prepare", "--images", str(images), "--device", options.device]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        row = json.loads(done.stdout.splitlines()[-1])
        rows.append(row)
        cells = (
            images, row["views"], row["features"], f"{row['prepare_s']:.0f}",
            f"{1e3 * row['prepare_s'] / row['views']:.0f}", f"{row['peak_mb']:.0f}",
        )  # fmt: skip
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    return {"rows": rows}


def prepare(options: argparse.Namespace) -> dict[str, Any]:
    """Prepare the landmarks and features of so many images of one long corridor."""
    config = training_preset("standard")
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(0)
        small = rng.integers(0, 255, (60, 80), dtype=np.uint8)
        cv2.imwrite(f"{folder}/image.jpg", cv2.resize(small, (640, 480), interpolation=cv2.INTER_CUBIC))
        K = torch.tensor([[500.0, 0.0, 319.5], [0.0, 500.0, 239.5], [0.0, 0.0, 1.0]])
        camera = Camera(K.double(), (640, 480))
        frames = []
        for i in range(options.images[0]):
            T = torch.eye(4, dtype=torch.float64)
            T[0, 3] = 0.15 * i
            frames.append(Frame(Path(f"{folder}/image.jpg"), T, camera))
        done = [0]

        def on_view(count: int, total: int) -> None:
            done[0] = total

        began = time.perf_counter()
        device, encoder = choose_device(options.device), load_encoder(config.encoder)
        Survey(tuple(frames), encoder, config, device)
        buffer = fill_buffer(tuple(frames), encoder, config, device, on_view)
    return {
        "images": options.images[0],
        "views": done[0],
        "features": len(buffer),
        "prepare_s": time.perf_counter() - began,
        "peak_mb": peak_memory_mb(device),
    }


def print_table(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Print a Markdown table."""
    print("\n| " + " | ".join(columns) + " |", "|---" * len(columns) + "|", sep="\n", flush=True)
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


def main() -> None:
    """Run a benchmark."""
    benches: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
        "step": bench_step, "accuracy": bench_accuracy, "scale": bench_scale, "prepare": prepare,
    }  # fmt: skip
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=tuple(benches))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--steps", type=int, default=40, help="step: steps of a round")
    parser.add_argument("--rounds", type=int, default=5, help="step: rounds, the median counts")
    parser.add_argument("--scenes", type=Path, help="accuracy: folder of scene folders")
    parser.add_argument("--generated", type=int, default=0, help="accuracy: number of generated rooms")
    parser.add_argument("--budgets", type=float, nargs="+", default=BUDGETS_S, help="accuracy: seconds")
    parser.add_argument("--images", type=int, nargs="+", default=[50, 200, 800], help="scale")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    result = benches[options.what](options)
    print(json.dumps({"bench": options.what, "machine": platform.machine(), **result}))


if __name__ == "__main__":
    main()
