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
from training_step import compare

from ace_ros.compute.memory import peak_memory_mb
from ace_ros.compute.precision import choose_device
from ace_ros.config import training_preset
from ace_ros.data.scene import Frame, load_scene
from ace_ros.evaluation.evaluate import evaluate
from ace_ros.geometry.camera import Camera
from ace_ros.localization.relocalizer import Relocalizer
from ace_ros.mapping.encoded_images import EncodedImages
from ace_ros.mapping.features.prepared import PreparedFile
from ace_ros.mapping.landmarks.triangulation import follow_landmarks
from ace_ros.mapping.map_scene import MappingSetup, map_scene, prepare_features
from ace_ros.network.encoder_file import load_encoder
from ace_ros.simulation.scene_writer import write_simulated_scene

BUDGETS_S = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 270.0)
SHARE_OF_FINAL = 0.9


# The training step


def bench_step(options: argparse.Namespace) -> dict[str, Any]:
    """Compare the training step with a plain implementation of the same step, in turns."""
    result = compare(options.device, options.threads, options.steps, options.rounds)
    rows = [(kind, f"{result[kind]:.2f}", f"{1e3 / result[kind]:.0f}") for kind in ("plain", "ace_ros")]
    print_table(("step", "ms", "steps/s"), rows)
    result["times_faster"] = result["plain"] / result["ace_ros"]
    print(
        f"\n{result['times_faster']:.1f} times faster, at {100 * result['share_of_products']:.0f} % of the "
        f"{1e-12 * result['products_per_second']:.2f} Tflop/s that large products reach"
    )
    return result


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
    setup = MappingSetup(choose_device(options.device), prepared=PreparedFile(kept, kept.exists()))
    scene_map, report = map_scene(load_scene(scene), config, setup)
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
        images = EncodedImages(tuple(frames), encoder, device)
        follow_landmarks(images, config)
        buffer = prepare_features(images, config, on_view)
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
    parser.add_argument("--steps", type=int, default=400, help="step: steps of a round")
    parser.add_argument("--rounds", type=int, default=3, help="step: rounds, the median counts")
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
