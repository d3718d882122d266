# SPDX-License-Identifier: Apache-2.0
"""Maps of RGB alone against maps that start from recorded depth, dense or sparse, of generated rooms.

    python bench/depth.py --drives long few spot --steps 600 2000

`long` is the drive of the demo with 60 images, `few` the same with 10, `spot` a robot that turns on
the spot in 24 images, so that only the camera's 15 cm from its axis give parallax. Dense depth is
exact, to a millimetre; sparse depth are --points of its pixels per image. Errors are those of the test
images; features are prepared once for all numbers of steps, which take as long with depth as without
(600 some 20 s on two cores). Prints a Markdown table and, at the end, one line
of JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ace_ros.compute.process import limit_threads
from ace_ros.config import training_preset
from ace_ros.data.depth_image import read_depth
from ace_ros.data.scene import load_scene
from ace_ros.evaluation.evaluate import evaluate
from ace_ros.localization.relocalizer import Relocalizer
from ace_ros.mapping.features.prepared import PreparedFile
from ace_ros.mapping.map_scene import MappingSetup, map_scene
from ace_ros.simulation.drive import camera_at, camera_of_robot
from ace_ros.simulation.room import SimulatedRoom
from ace_ros.simulation.scene_writer import write_simulated_scene, write_split

SPOT = (0.0, -1.5)
SPOT_IMAGES, SPOT_TURN_DEG = 24, 40.0
TEST_IMAGES, TEST_TURN_DEG, TEST_RADIUS_M = 40, 30.0, 0.3
COLUMNS = (
    "drive", "depth", "prepare s", "steps", "localized", "10cm/5deg", "5cm/5deg", "median cm",
    "median deg",
)  # fmt: skip


def write_drive(folder: Path, drive: str, seed: int) -> None:
    """Write the scene of a drive with dense depth."""
    if drive != "spot":
        images = 60 if drive == "long" else 10
        write_simulated_scene(folder, images, TEST_IMAGES, seed, with_depth=True)
        return
    rng = np.random.default_rng(seed)
    room, camera = SimulatedRoom(seed), camera_of_robot()
    turns = np.linspace(-SPOT_TURN_DEG, SPOT_TURN_DEG, SPOT_IMAGES)
    train = [camera_at((*SPOT, math.radians(90.0 + turn))) for turn in turns]
    tests = []
    for turn in rng.uniform(-TEST_TURN_DEG, TEST_TURN_DEG, TEST_IMAGES):
        angle, distance = rng.uniform(0.0, 2.0 * math.pi), rng.uniform(0.0, TEST_RADIUS_M)
        x, y = SPOT[0] + distance * math.cos(angle), SPOT[1] + distance * math.sin(angle)
        tests.append(camera_at((x, y, math.radians(90.0 + turn))))
    write_split(folder / "train", room, train, camera, rng, with_depth=True)
    write_split(folder / "test", room, tests, camera, rng)


def write_sparse(dense: Path, sparse: Path, points: int) -> None:
    """Write a copy of a scene in which so many pixels of each depth image are known."""
    shutil.copytree(dense, sparse)
    rng = np.random.default_rng(0)
    for path in sorted((sparse / "train/depth").iterdir()):
        depth_mm = read_depth(path)
        kept = np.zeros(depth_mm.size, bool)
        kept[rng.choice(depth_mm.size, points, replace=False)] = True
        cv2.imwrite(str(path), np.where(kept.reshape(depth_mm.shape), depth_mm, 0))


def measure(scene: Path, kind: str, steps: int, kept: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of a map that was trained for so many steps."""
    config = replace(
        training_preset(options.preset, 1e6), steps=steps, use_depth=kind != "none", keep_prepared_s=0.0
    )
    setup = MappingSetup(prepared=PreparedFile(kept, kept.exists()))
    scene_map, report = map_scene(load_scene(scene), config, setup)
    found = evaluate(load_scene(scene, "test"), Relocalizer(scene_map)).summary()
    return {
        "depth": kind,
        "prepare_s": report.prepare_s,
        "steps": report.steps,
        **found,
    }


def row(drive: str, result: dict[str, Any]) -> str:
    """Return a result as a row of the Markdown table."""
    cells = (
        drive, result["depth"], f"{result['prepare_s']:.0f}", result["steps"],
        f"{result['localized']} of {result['frames']}",
        *(f"{100 * result['recall'][key]:.0f} %" for key in ("10cm_5deg", "5cm_5deg")),
        f"{100 * result['median_translation_m']:.1f}", f"{result['median_rotation_deg']:.2f}",
    )  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--drives", nargs="+", choices=("long", "few", "spot"), default=["few", "spot"])
    parser.add_argument("--kinds", nargs="+", choices=("none", "dense", "sparse"))
    parser.add_argument("--steps", type=int, nargs="+", default=[600, 2000], help="of training")
    parser.add_argument("--points", type=int, default=500, help="known pixels of a sparse depth image")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--seed", type=int, default=0, help="of the room")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    limit_threads(options.threads)
    print("| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|", sep="\n", flush=True)
    results = []
    for drive in options.drives:
        with tempfile.TemporaryDirectory() as folder:
            dense, sparse = Path(folder) / "dense", Path(folder) / "sparse"
            write_drive(dense, drive, options.seed)
            write_sparse(dense, sparse, options.points)
            for kind in options.kinds or ("none", "dense", "sparse"):
                scene = sparse if kind == "sparse" else dense
                kept, prepare_s = Path(folder) / f"{kind}.safetensors", 0.0
                for steps in options.steps:
                    result = measure(scene, kind, steps, kept, options)
                    prepare_s = result["prepare_s"] = prepare_s or result["prepare_s"]
                    results.append({"drive": drive, **result})
                    print(row(drive, result), flush=True)
    print(json.dumps({"preset": options.preset, "machine": platform.machine(), "results": results}))


if __name__ == "__main__":
    main()
