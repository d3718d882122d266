# SPDX-License-Identifier: Apache-2.0
"""Maps of drifting poses, with and without refinement, against maps of true poses.

    python bench/drift.py SCENE... --steps 2000 --seeds 2

Without a scene a generated room is mapped. The training poses are made to drift by 2 % of the
distance and 1 deg per 10 m along the order of the images: "random" in steps that are independent
of each other, so that this is the deviation after 10 m; "steady" as a distance that is measured 2 %
too long and a turn about the vertical axis. Errors are medians over the test images, after the found
poses were aligned to the true ones by a rigid transform, and by one that may also scale, because
no image shows the scale. Prints a Markdown table and, at the end, one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ace_ros.compute.process import limit_threads
from ace_ros.config import TrainingConfig, override, training_preset
from ace_ros.data.scene import Scene, load_scene
from ace_ros.evaluation.evaluate import evaluate
from ace_ros.geometry.metrics import median_of_localized
from ace_ros.geometry.se3 import inverse, nearest_rotation, rotation_angle, so3_exp
from ace_ros.localization.relocalizer import Relocalizer
from ace_ros.mapping.map_scene import map_scene
from ace_ros.mapping.progress import REFINE, Listener, Progress
from ace_ros.simulation.scene_writer import write_simulated_scene

SHARE, TURN_RAD, DRIVE_M = 0.02, math.radians(1.0), 10.0
WAVE_M = 2.5  # steady drift comes and goes over this distance, as that of wheels does
COLUMNS = (
    "scene", "drift", "seed", "map of", "mapping poses cm", "scaled cm", "localized", "median cm",
    "scaled cm", "median deg", "refine s",
)  # fmt: skip


def drifted(T_map_camera: Tensor, kind: str, seed: int) -> Tensor:
    """Return poses (I, 4, 4) as an odometry that drifts would have recorded them."""
    generator = torch.Generator().manual_seed(seed)
    up = -T_map_camera[:, :3, 1].mean(0)
    up /= up.norm()
    phases = 2.0 * math.pi * torch.rand(2, generator=generator).double()
    driven, poses = 0.0, [T_map_camera[0]]
    for before, after in pairwise(T_map_camera):
        step = inverse(before) @ after
        distance = float(step[:3, 3].norm())
        driven += distance
        if kind == "steady":
            share, turn = 1.0 + 0.5 * torch.sin(driven / WAVE_M + phases)
            step[:3, 3] *= 1.0 + SHARE * share
            step[:3, :3] @= so3_exp(after[:3, :3].T @ up * TURN_RAD * distance / DRIVE_M * turn)
        else:
            # A third of the variance on each axis.
            deviation = math.sqrt(distance / DRIVE_M / 3.0)
            noise = torch.randn(2, 3, generator=generator).double() * deviation
            step[:3, 3] += SHARE * DRIVE_M * noise[0]
            step[:3, :3] @= so3_exp(TURN_RAD * noise[1])
        poses.append(poses[-1] @ step)
    return torch.stack(poses)


def aligned_errors(found: Tensor, true: Tensor, scaled: bool) -> tuple[float, float]:
    """Return the median errors in cm and deg of poses (F, 4, 4) after their alignment to the true ones.

    Poses with large errors do not count in the alignment.
    """
    ok = torch.isfinite(found[:, 0, 0])
    kept = ok
    for _ in range(3):
        p, q = found[kept, :3, 3], true[kept, :3, 3]
        centred_p, centred_q = p - p.mean(0), q - q.mean(0)
        spread = centred_q.T @ centred_p
        R = nearest_rotation(spread)
        scale = float((R * spread).sum() / centred_p.square().sum()) if scaled else 1.0
        away = scale * (found[:, :3, 3] - p.mean(0)) @ R.T + q.mean(0) - true[:, :3, 3]
        distance = torch.where(ok, away.norm(dim=1), torch.inf)
        kept = distance <= 3.0 * distance[ok].median()
    turn = rotation_angle((R @ found[:, :3, :3]).mT @ true[:, :3, :3])
    turn = torch.where(ok, turn, torch.nan)
    return 100.0 * median_of_localized(distance), math.degrees(median_of_localized(turn))


def measure(scene: Scene, test: Scene, true: Tensor, config: TrainingConfig) -> dict[str, Any]:
    """Train a map of a scene; return the errors of its mapping poses and of the test images."""
    progress: list[Progress] = []
    scene_map, report = map_scene(scene, config, listener=Listener(progress.append))
    poses = torch.stack([f.T_map_camera for f in scene.frames])
    if scene_map.drive is not None:
        poses[:, :3] = scene_map.drive[1]
    found = evaluate(test, Relocalizer(scene_map)).T_map_camera
    true_test = torch.stack([f.T_map_camera for f in test.frames])
    rigid, scaled = (aligned_errors(found, true_test, s) for s in (False, True))
    refining = [p.elapsed_s for p in progress if p.progress <= REFINE.end]
    return {
        "mapping_cm": aligned_errors(poses, true, False)[0],
        "mapping_scaled_cm": aligned_errors(poses, true, True)[0],
        "localized": int(torch.isfinite(found[:, 0, 0]).sum()),
        "median_cm": rigid[0],
        "median_scaled_cm": scaled[0],
        "median_deg": scaled[1],
        "refine_s": refining[-1] if config.refine_poses else 0.0,
        "refinement": report.refinement,
    }


def row(result: dict[str, Any]) -> str:
    """Return a result as a row of the Markdown table."""
    numbers = ("mapping_cm", "mapping_scaled_cm", "localized", "median_cm", "median_scaled_cm", "median_deg")
    cells = [result[k] for k in ("scene", "drift", "seed", "map_of")]
    cells += [result[k] if k == "localized" else f"{result[k]:.2f}" for k in numbers]
    return "| " + " | ".join(map(str, [*cells, f"{result['refine_s']:.0f}"])) + " |"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenes", type=Path, nargs="*", help="scene folders; none: a generated room")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=2, help="drifts of each kind")
    parser.add_argument("--kinds", nargs="+", default=["random", "steady"], choices=("random", "steady"))
    parser.add_argument("--threads", type=int, default=0, help="processor threads (0: half of them)")
    options = parser.parse_args()
    limit_threads(options.threads)
    changes = {"steps": options.steps, "time_budget_s": 1e5, "hold_out": 0.0, "early_stop": False}
    config = override(training_preset("fast"), {**changes, "features_per_image": 10**12, "max_views": 400})
    print("| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|", sep="\n", flush=True)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        if not options.scenes:
            write_simulated_scene(Path(folder) / "room", frames=100, test_frames=30)
        for path in options.scenes or [Path(folder) / "room"]:
            scene, test = load_scene(path), load_scene(path, "test")
            true = torch.stack([f.T_map_camera for f in scene.frames])
            cases = [("none", 0, "true poses", False)]
            for kind in options.kinds:
                for seed in range(options.seeds):
                    cases += [(kind, seed, "drifting", False), (kind, seed, "refined", True)]
            for kind, seed, name, refine in cases:
                poses = true if kind == "none" else drifted(true, kind, seed)
                frames = zip(scene.frames, poses, strict=True)
                moved = replace(scene, frames=tuple(replace(f, T_map_camera=T) for f, T in frames))
                result = measure(moved, test, true, replace(config, refine_poses=refine))
                about = {"scene": path.name, "drift": kind, "seed": seed, "map_of": name}
                results.append({**about, **result})
                print(row(results[-1]), flush=True)
    print(json.dumps({"steps": options.steps, "results": results}))


if __name__ == "__main__":
    main()
