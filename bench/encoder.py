# SPDX-License-Identifier: Apache-2.0
"""Compare encoders: as descriptors, and by the maps that the same head, schedule and solver make of them.

    git show d59bebe:ace_ros/network/weights/lite.safetensors > first.safetensors
    python bench/encoder.py --encoders lite first:first.safetensors sift random \\
        --photos PHOTOS --scenes SCENES --generated 1 --preset fast --steps 1500

With --steps, every encoder trains by the same schedule whatever its speed and whatever else the
machine does; otherwise for the same time, as a user would. Prints Markdown tables and, at the end,
one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from baselines import encoder_of
from descriptors import CHANGES, matched_shares

from ace_ros.compute.precision import autocast, choose_device
from ace_ros.config import PRESETS, override, training_preset
from ace_ros.data.scene import Scene, load_scene, read_grey
from ace_ros.encoder_training.photos import load_photos
from ace_ros.evaluation.evaluate import evaluate
from ace_ros.geometry.se3 import inverse, transform
from ace_ros.localization.relocalizer import Relocalizer
from ace_ros.mapping.map_scene import MappingSetup, map_scene
from ace_ros.network.encoder_file import LoadedEncoder
from ace_ros.simulation.scene_writer import write_simulated_scene

INLIER_PX = 10.0
TIMED_RUNS = 20


def feature_ms(encoder: LoadedEncoder, device: torch.device) -> float:
    """Return the median time in ms to encode a 640x480 image."""
    module = encoder.module.to(device, memory_format=torch.channels_last)
    image = torch.rand(1, 1, 480, 640, device=device).contiguous(memory_format=torch.channels_last)
    times = []
    with torch.inference_mode(), autocast(device):
        for run in range(TIMED_RUNS + 3):
            began = time.perf_counter()
            module(image)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if run >= 3:
                times.append(1000.0 * (time.perf_counter() - began))
    return statistics.median(times)


def inlier_share(scene: Scene, relocalizer: Relocalizer) -> float:
    """Return the share of all test pixels whose predicted point projects within INLIER_PX of them."""
    shares = []
    for frame in scene.frames:
        seen = relocalizer.predict(read_grey(frame.image_path), frame.camera)
        in_camera = transform(inverse(frame.T_map_camera), seen.points[0].cpu())
        error = (frame.camera.project(in_camera) - seen.pixels.cpu()).norm(dim=-1)  # NaN behind it
        shares.append(float((error < INLIER_PX).double().mean()))
    return statistics.fmean(shares)


def measure(encoder: LoadedEncoder, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of mapping and evaluating one scene with one encoder."""
    config = override(training_preset(options.preset, options.time_budget), {"seed": options.seed})
    if options.steps:
        config = override(config, {"steps": options.steps, "time_budget_s": 1e6})
    setup = MappingSetup(choose_device(options.device), encoder=encoder)
    scene_map, report = map_scene(load_scene(folder), config, setup)
    relocalizer = Relocalizer(scene_map, device=options.device, encoder=encoder)
    test = load_scene(folder, "test")
    found = evaluate(test, relocalizer).summary()
    return {
        "encoder": encoder.card.name,
        "scene": folder.name,
        **{key: found["recall"][key] for key in ("10cm_5deg", "5cm_5deg", "2cm_2deg")},
        "frames": found["frames"],
        "localized": found["localized"],
        "median_cm": 100.0 * found["median_translation_m"],
        "median_deg": found["median_rotation_deg"],
        "inlier_share": inlier_share(test, relocalizer),
        "prepare_s": report.prepare_s,
        "train_s": report.train_s,
        "steps": report.steps,
    }


def scenes(options: argparse.Namespace, folder: Path) -> Iterator[Path]:
    """Yield the scene folders to measure on: given ones, then generated rooms."""
    if options.scenes:
        names = set(options.only)
        yield from sorted(
            p.parent for p in options.scenes.glob("*/train") if not names or p.parent.name in names
        )
    for seed in range(options.generated):
        path = folder / f"room_{seed}"
        write_simulated_scene(path, seed=seed)
        yield path


def print_table(columns: list[str], rows: list[list[Any]]) -> None:
    """Print a Markdown table."""
    print("\n| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for row in rows:
        print("| " + " | ".join(f"{x:.3g}" if isinstance(x, float) else str(x) for x in row) + " |")
    sys.stdout.flush()


def map_figures(encoders: list[LoadedEncoder], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Map and evaluate every scene with every encoder; print rows as they come, then the means."""
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for path in scenes(options, Path(folder)):
            some = [measure(encoder, path, options) for encoder in encoders]
            print_table(list(some[0]), [list(row.values()) for row in some])
            results += some
    shown = ("10cm_5deg", "5cm_5deg", "2cm_2deg", "inlier_share")
    rows = []
    for encoder in encoders:
        own = [r for r in results if r["encoder"] == encoder.card.name]
        rows.append([encoder.card.name, *(float(np.mean([r[key] for r in own])) for key in shown)])
    print_table(["mean of all scenes", *shown], rows)
    return results


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoders", nargs="+", default=["lite", "sift", "random"])
    parser.add_argument("--photos", type=Path, help="folder of photographs for the descriptor figures")
    parser.add_argument("--scenes", type=Path, help="folder of scene folders")
    parser.add_argument("--only", nargs="*", default=[], help="names of scenes, instead of all")
    parser.add_argument("--generated", type=int, default=0, help="how many simulated rooms")
    parser.add_argument("--preset", choices=tuple(PRESETS), default="standard")
    parser.add_argument("--time-budget", type=float, default=0.0, help="training in s (0: the preset's)")
    parser.add_argument("--steps", type=int, default=0, help="training steps, however long they take")
    parser.add_argument("--threads", type=int, default=0, help="processor threads (0: all)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=2089)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = choose_device(options.device)
    encoders = [encoder_of(name) for name in options.encoders]

    rows = []
    for encoder in encoders:
        shares = matched_shares(encoder, load_photos(options.photos), device) if options.photos else {}
        rows.append([encoder.card.name, feature_ms(encoder, device), *shares.values()])
    columns = ["encoder", "ms", *(CHANGES if options.photos else ())]
    print_table(columns, rows)
    results = map_figures(encoders, options) if options.scenes or options.generated else []
    described = [dict(zip(columns, row, strict=True)) for row in rows]
    print(json.dumps({"machine": platform.machine(), "device": str(device), "descriptors": described,
                      "preset": options.preset, "maps": results}))  # fmt: skip


if __name__ == "__main__":
    main()
