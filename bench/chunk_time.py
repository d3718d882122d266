# SPDX-License-Identifier: Apache-2.0
"""Time of one image against K chunks, beside that of one head and of K heads one by one.

    python bench/chunk_time.py fox.safetensors SCENES/fox --chunks 4 16 --threads 2

One chunk is the map's own; the others are heads of the same shape that know another place (with
random weights) and landmarks of another place, as most chunks of a large place are for an image. With
`--lost` its own head is such a one, too, and its landmarks have to find the pose. The images take turns
with all sizes, so that what else the machine does meets all alike. Prints a table and a line of JSON.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ace_ros.compute.process import limit_threads
from ace_ros.data.scene import load_scene, read_grey
from ace_ros.geometry.camera import Camera
from ace_ros.geometry.metrics import pose_error
from ace_ros.localization.relocalizer import Relocalizer
from ace_ros.maps.scene_map import SceneMap
from ace_ros.network.head import Head
from ace_ros.pnp import PoseBatch


def of_chunks(scene_map: SceneMap, count: int, lost: bool) -> SceneMap:
    """Return a map of `count` chunks: the last is the map's own, if `lost` with a head that knows nothing.

    The others know nothing of the place, and their landmarks look like nothing in it.
    """
    own = scene_map.chunks[0]
    chunks = []
    for seed in range(count):
        torch.manual_seed(seed)
        head = Head(own.head.channels, own.head.width, own.head.num_blocks).eval().requires_grad_(False)
        head.scale_points(5.0)
        features = own.landmarks.features[:, torch.randperm(own.head.channels)]
        chunks.append(replace(own, head=head, landmarks=replace(own.landmarks, features=features)))
    chunks[-1] = replace(own, head=chunks[-1].head) if lost else own
    return replace(scene_map, chunks=tuple(chunks))


def timed(relocalizer: Relocalizer, image: np.ndarray, camera: Camera) -> tuple[float, PoseBatch]:
    """Return how long an image took in ms, and its pose."""
    began = time.perf_counter()
    found = relocalizer.localize(image, camera)
    found.T_map_camera.cpu()  # waits for the device
    return 1e3 * (time.perf_counter() - began), found


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the figures of every number of chunks."""
    scene_map = SceneMap.load(options.map)
    sizes = [1, *options.chunks]
    maps = {k: of_chunks(scene_map, k, options.lost) for k in sizes}
    relocalizers = {k: Relocalizer(m, device=options.device) for k, m in maps.items()}
    alone = {
        k: [
            Relocalizer(replace(r.scene_map, chunks=(chunk,)), device=options.device)
            for chunk in r.scene_map.chunks
        ]
        for k, r in relocalizers.items()
    }
    times: dict[int, list[float]] = {k: [] for k in sizes}
    singly: dict[int, list[float]] = {k: [] for k in sizes}
    equal: dict[int, list[bool]] = {k: [] for k in sizes}
    frames = load_scene(options.scene, options.split).frames
    for turn in range(options.repeat + 1):  # the first one warms up
        for frame in frames:
            image = read_grey(frame.image_path)
            for k, relocalizer in relocalizers.items():
                ms, found = timed(relocalizer, image, frame.camera)
                each = [timed(r, image, frame.camera) for r in alone[k]]
                best = max((p for _, p in each), key=lambda p: (bool(p.ok[0]), int(p.inliers.sum())))
                if turn:
                    times[k].append(ms)
                    singly[k].append(sum(t for t, _ in each))
                    equal[k].append(same(found, best))
    one = statistics.median(times[1])
    return [
        {
            "chunks": k,
            "ms": round(statistics.median(times[k]), 1),
            "p90_ms": round(statistics.quantiles(times[k], n=10)[-1], 1),
            "times_one_head": round(statistics.median(times[k]) / one, 2),
            "one_by_one_ms": round(statistics.median(singly[k]), 1),
            "equal": sum(equal[k]) / len(equal[k]),
        }
        for k in sizes
    ]


def same(a: PoseBatch, b: PoseBatch) -> bool:
    """Return whether two answers are the same: no pose, or poses within 1 cm and 0.2 deg."""
    if not (bool(a.ok[0]) and bool(b.ok[0])):
        return bool(a.ok[0]) == bool(b.ok[0])
    metres, radians = pose_error(a.T_map_camera[0], b.T_map_camera[0])
    return float(metres) < 0.01 and float(radians.rad2deg()) < 0.2


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("map", type=Path)
    parser.add_argument("scene", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--chunks", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--lost", action="store_true", help="no head knows the place; landmarks decide")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    limit_threads(options.threads)
    rows = measure(options)
    print("| chunks | ms per image | 90 % within ms | times one head | one by one ms | equal answers |")
    print("|---" * 6 + "|")
    for r in rows:
        print(f"| {r['chunks']} | {r['ms']} | {r['p90_ms']} | {r['times_one_head']} | {r['one_by_one_ms']} "
              f"| {100 * r['equal']:.0f} % |")  # fmt: skip
    figures = {"threads": torch.get_num_threads(), "machine": platform.machine(), "rows": rows}
    print(json.dumps({"map": options.map.name, "device": options.device, **figures}))


if __name__ == "__main__":
    main()
