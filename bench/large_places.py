# SPDX-License-Identifier: Apache-2.0
"""One head against several on a place too large for one: recall, errors, time and size.

    python bench/large_places.py --rooms 16                     a generated building of 16 rooms
    python bench/large_places.py --scenes SCENES/fox SCENES/office_box ...   scenes as its rooms

The rooms are put side by side, and on further floors, in one map frame. Every map is trained with
the same preset and steps for each chunk; `--equal-time` adds one head that is trained for as many as
all chunks of the largest ensemble together. `--one-by-one` also asks every chunk alone, and counts
how often the best of them answers as the ensemble does. `--keep` makes a run that can be interrupted:
the place and the maps in that folder are used again. Prints a Markdown table and a line of JSON.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from chunk_time import same

from ace_ros.cli.progress import bar
from ace_ros.compute.precision import parse_device
from ace_ros.compute.process import limit_threads, usable_cores
from ace_ros.config import override, training_preset
from ace_ros.data.importers.new_scene import PosedImage, write_scene
from ace_ros.data.scene import Scene, load_scene, read_grey
from ace_ros.evaluation.evaluate import Evaluation, evaluate
from ace_ros.geometry.metrics import recall
from ace_ros.localization.relocalizer import Relocalizer
from ace_ros.mapping.jobs.place import MapRequest, Workers, map_place
from ace_ros.mapping.progress import Listener
from ace_ros.maps.scene_map import SceneMap, read_map_header
from ace_ros.simulation.scene_writer import write_simulated_scene

ROOMS_PER_ROW, ROWS_PER_FLOOR = 4, 2
FLOOR_M, WALL_M = 3.0, 0.3  # from floor to floor, and between rooms
COLUMNS = (
    "heads", "localized", "10cm/5deg", "5cm/5deg", "2cm/2deg", "worst room 5cm/5deg", "median cm",
    "median deg", "ms per image", "map MB", "steps", "train s",
)  # fmt: skip


def generated_rooms(folder: Path, options: argparse.Namespace) -> list[Path]:
    """Write the rooms of a building, each furnished differently, as scene folders."""
    paths = [folder / f"room-{number:02d}" for number in range(options.rooms)]
    for number, path in enumerate(paths):
        size = (options.width, options.width * 3 // 4)
        write_simulated_scene(path, options.frames, options.test_frames, options.seed + number, size)
    return paths


def join_rooms(paths: list[Path], folder: Path) -> None:
    """Write one scene folder in which the given ones are rooms next to each other."""
    scenes = {path: [load_scene(path, split) for split in ("train", "test")] for path in paths}
    size = max((_size(both) for both in scenes.values()), key=lambda s: float(s.max()))
    images = []
    for number, (path, both) in enumerate(scenes.items()):
        row, column = divmod(number, ROOMS_PER_ROW)
        floor, row = divmod(row, ROWS_PER_FLOOR)
        first = torch.stack([f.T_map_camera[:3, 3] for f in both[0].frames])
        shift = np.array([column, row, floor]) * size - 0.5 * (first.amin(0) + first.amax(0)).numpy()
        for scene in both:
            for frame in scene.frames:
                T = frame.T_map_camera.numpy().copy()
                T[:3, 3] += shift
                name = f"{number:02d}-{path.name}-{frame.image_path.stem}"
                images.append(PosedImage(frame.image_path, name, T, frame.camera, scene.split))
    write_scene(folder, images, test_share=0.0)


def _size(both: list[Scene]) -> np.ndarray:
    """Return what a room takes (3,): that of what its cameras may see, and a wall."""
    positions = torch.stack([f.T_map_camera[:3, 3] for scene in both for f in scene.frames])
    width, depth, _ = (positions.amax(0) - positions.amin(0)).tolist()
    return np.array([width + 2.0 + WALL_M, depth + 2.0 + WALL_M, FLOOR_M])


def train(scene: Path, path: Path, chunks: int, steps: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train a map, unless there is one; return its size and figures."""
    config = training_preset(options.preset)
    if steps:  # and nothing else ends a training: what else the machine does must not matter
        changes = {"steps": steps, "features_per_image": 10**12, "time_budget_s": 1e6, "early_stop": False}
        config = override(config, changes)
    if options.views:
        config = override(config, {"max_views": options.views})
    if not path.exists():
        with bar(path.stem) as on_progress:
            workers = Workers(parse_device(options.device), options.threads)
            map_place(load_scene(scene), config, MapRequest(path, chunks), workers, Listener(on_progress))
    header = read_map_header(path)
    figures = {key: header["training"][key] for key in ("train_s", "prepare_s", "frames", "steps")}
    return {"map_bytes": path.stat().st_size, "chunks": header["heads"], **figures}


def worst_room(evaluation: Evaluation, scene: Scene) -> float:
    """Return the recall within 5 cm and 5 deg in the room where it is lowest."""
    rooms = np.array([frame.image_path.name.split("-")[0] for frame in scene.frames])
    return min(
        recall(evaluation.translation_m[rooms == room], evaluation.rotation_rad[rooms == room])["5cm_5deg"]
        for room in set(rooms.tolist())
    )


def equal_answers(scene: Scene, relocalizer: Relocalizer) -> float:
    """Return the share of images that the best of all chunks alone answers as the ensemble does."""
    scene_map, device = relocalizer.scene_map, str(relocalizer.device)
    alone = [Relocalizer(replace(scene_map, chunks=(c,)), device=device) for c in scene_map.chunks]
    equal = []
    for frame in scene.frames:
        image = read_grey(frame.image_path)
        each = [r.localize(image, frame.camera) for r in alone]
        best = max(each, key=lambda p: (bool(p.ok[0]), int(p.inliers.sum())))
        equal.append(same(relocalizer.localize(image, frame.camera), best))
    return sum(equal) / len(equal)


def measure(name: str, chunks: int, steps: int, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of one map of the place in `folder / "place"`."""
    path = folder / f"{name.replace(' ', '_')}.safetensors"
    made = train(folder / "place", path, chunks, steps, options)
    scene = load_scene(folder / "place", "test")
    relocalizer = Relocalizer(SceneMap.load(path), device=options.device)
    evaluation = evaluate(scene, relocalizer)
    figures = {
        "heads": name,
        "map": made,
        "eval": {k: None if v != v else v for k, v in evaluation.summary().items()},  # JSON has no NaN
        "worst": worst_room(evaluation, scene),
    }
    if options.one_by_one:
        figures["equal"] = equal_answers(scene, relocalizer)
    return figures


def row(figures: dict[str, Any]) -> str:
    """Return figures as a row of the Markdown table."""
    found, made = figures["eval"], figures["map"]
    share, metres = found["recall"], found["median_translation_m"]
    cells = [
        figures["heads"],
        f"{found['localized']}/{found['frames']}",
        *(f"{100 * share[key]:.0f} %" for key in ("10cm_5deg", "5cm_5deg", "2cm_2deg")),
        f"{100 * figures['worst']:.0f} %",
        "-" if metres is None else f"{100 * metres:.1f}",
        "-" if metres is None else f"{found['median_rotation_deg']:.2f}",
        f"{found['latency_ms']['median']:.0f}",
        f"{made['map_bytes'] / 1e6:.1f}",
        f"{made['steps']}",
        f"{made['train_s']:.0f}",
        *([f"{100 * figures['equal']:.0f} %"] if "equal" in figures else []),
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rooms", type=int, default=16, help="of the generated building")
    parser.add_argument("--frames", type=int, default=60, help="mapping images of a generated room")
    parser.add_argument("--test-frames", type=int, default=12)
    parser.add_argument("--width", type=int, default=640, help="of a generated image, in pixels")
    parser.add_argument("--scenes", type=Path, nargs="+", help="scene folders as rooms instead")
    parser.add_argument("--heads", type=int, nargs="+", default=[1, 4, 8, 16])
    parser.add_argument("--preset", default="standard")
    parser.add_argument("--steps", type=int, default=0, help="of each chunk's training (0: the preset's)")
    parser.add_argument("--views", type=int, default=0, help="of each chunk's images (0: the preset's)")
    parser.add_argument("--equal-time", action="store_true")
    parser.add_argument("--one-by-one", action="store_true")
    parser.add_argument("--keep", type=Path, help="folder to keep the place and its maps in")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    limit_threads(options.threads or usable_cores())
    columns = (*COLUMNS, *(["as one by one"] if options.one_by_one else []))
    runs = [(str(k), k, options.steps) for k in options.heads]
    if options.equal_time:
        each = options.steps or training_preset(options.preset).steps
        runs.append(("1 for as long", 1, each * max(options.heads)))
    results = []
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        if not (folder / "place").exists():
            join_rooms(options.scenes or generated_rooms(Path(name), options), folder / "place")
        print("| " + " | ".join(columns) + " |", "|---" * len(columns) + "|", sep="\n", flush=True)
        for run in runs:
            results.append(measure(*run, folder, options))
            print(row(results[-1]), flush=True)
    print(json.dumps({"preset": options.preset, "machine": platform.machine(), "results": results}))


if __name__ == "__main__":
    main()
