# SPDX-License-Identifier: Apache-2.0
"""Compare pose solvers on the same correspondences: success, accuracy, wrong poses, time.

    python bench/pose_solver.py                          generated correspondences, all solvers
    python bench/pose_solver.py --maps MAPS SCENE...      correspondences of maps, MAPS/<scene>.safetensors

The solvers take turns on every image, so that the load of the machine meets all alike. A pose
counts as found when it passes the same guards (enough inliers, spread over the image), whoever
made it. Processor time is that of all threads together. Prints Markdown tables and, at the end,
one line of JSON. Solvers that are not installed are left out.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import torch
from solvers import CONFIG, Image, Solver, installed_solvers
from torch import Tensor

from ace_ros.data.image_file import read_grey
from ace_ros.data.scene import load_scene
from ace_ros.geometry.camera import Camera
from ace_ros.geometry.metrics import normalised_squared_error, pose_error
from ace_ros.geometry.se3 import inverse, so3_exp, transform
from ace_ros.localization.relocalizer import Relocalizer
from ace_ros.maps.scene_map import SceneMap
from ace_ros.network.input import network_size
from ace_ros.pnp import Reason, solve_pose
from ace_ros.pnp.accept import refusal

RATIOS = (0.8, 0.5, 0.3, 0.15, 0.08)
SIZE = (640, 480)
LIMIT_M, LIMIT_DEG = 0.05, 2.0
WRONG_M, WRONG_DEG = 0.5, 10.0
NEES_95 = 12.6  # 95 % of honest ones of six numbers are below
SECOND_POSE = 0.6  # structured outliers: points of a second pose, in relation to the inliers


# Where correspondences come from.


def generated_image(ratio: float, structured: bool, seed: int, count: int = 4800) -> Image:
    """Return points 1 to 5 m before a camera in a 5 m room, 2 px noise and a share of inliers.

    Outliers lie anywhere in the room; if `structured`, some of them agree on a second pose.
    """
    g = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=g, dtype=torch.float64)

    poses = []
    for _ in range(2):
        T = torch.eye(4, dtype=torch.float64)
        T[:3, :3] = so3_exp(2 * torch.randn(3, generator=g, dtype=torch.float64))
        T[:3, 3] = 5 * uniform(3) - 2.5
        poses.append(T)
    K = torch.tensor([[525.0, 0.0, 319.5], [0.0, 525.0, 239.5], [0.0, 0.0, 1.0]], dtype=torch.float64)
    camera = Camera(K, SIZE)
    pixels = uniform(count, 2) * torch.tensor(SIZE)
    depth = 1 + 4 * uniform(count, 1)
    in_camera = depth * torch.cat([camera.unproject(pixels), torch.ones_like(depth)], 1)
    second = SECOND_POSE * ratio if structured else 0.0
    second = min(second, 1 - ratio)
    lot = uniform(count, 1)
    points = poses[0][:3, 3] + 5 * (2 * uniform(count, 3) - 1)
    points = torch.where(lot < ratio + second, transform(poses[1], in_camera), points)
    points = torch.where(lot < ratio, transform(poses[0], in_camera), points)
    pixels = pixels + 2 * torch.randn(count, 2, generator=g, dtype=torch.float64)
    return Image(pixels, points, camera, poses[0])


def mapped_images(map_path: Path, scene: Path) -> Iterator[Image]:
    """Yield what a map sees in the test images of its scene, without distortion."""
    relocalizer = Relocalizer(SceneMap.load(map_path), device="cpu")
    for frame in load_scene(scene, "test").frames:
        found = relocalizer.predict(read_grey(frame.image_path), frame.camera)
        size = network_size(*frame.camera.size)
        scale = torch.tensor([size[0] / frame.camera.size[0], size[1] / frame.camera.size[1]])
        pixels = (found.pixels.double() + 0.5) * scale - 0.5
        camera = frame.camera.resize(*size)
        pixels, points = camera.undistort(pixels), found.points[0]
        known = torch.isfinite(pixels).all(-1) & torch.isfinite(points).all(-1)
        yield Image(pixels[known], points[known], camera.pinhole(), frame.T_map_camera)


# What is measured.


def accepted(T: Tensor | None, image: Image) -> bool:
    """Return whether a pose passes the guards, whoever found it."""
    if T is None:
        return False
    in_camera = transform(inverse(T), image.points)
    near = (image.camera.project(in_camera) - image.pixels).norm(dim=-1) < CONFIG.inlier_px
    everything, found = torch.ones_like(near), torch.ones(1, dtype=torch.bool)
    reason = refusal(image.pixels[None], near[None], everything[None], found, image.camera.size, CONFIG)
    return int(reason[0]) == Reason.NONE


def compare(images: Iterator[Image], solvers: dict[str, Solver]) -> dict[str, dict[str, list[float]]]:
    """Return errors (m, deg; infinite without a pose) and times (ms) of every solver on every image."""
    results: dict[str, dict[str, list[float]]] = {
        name: {"m": [], "deg": [], "ms": [], "cpu_ms": []} for name in solvers
    }
    for image in images:
        for name, solve in solvers.items():
            start, cpu_start = time.perf_counter(), time.process_time()
            T = solve(image)
            milliseconds = 1000 * (time.perf_counter() - start)
            cpu = 1000 * (time.process_time() - cpu_start)
            metres = degrees = float("inf")
            if T is not None and accepted(T, image):
                distance, angle = pose_error(T, image.T_map_camera)
                metres, degrees = float(distance), float(angle.rad2deg())
            for key, value in (("m", metres), ("deg", degrees), ("ms", milliseconds), ("cpu_ms", cpu)):
                results[name][key].append(value)
    return results


def summary(result: dict[str, list[float]]) -> dict[str, float]:
    """Return shares of success and of confidently wrong poses, medians of successes, time."""
    pairs = list(zip(result["m"], result["deg"], strict=True))
    good = [(m, d) for m, d in pairs if m <= LIMIT_M and d <= LIMIT_DEG]
    wrong = [m for m, d in pairs if m < float("inf") and (m > WRONG_M or d > WRONG_DEG)]
    return {
        "success": len(good) / len(pairs),
        "found": sum(m < float("inf") for m, _ in pairs) / len(pairs),
        "wrong": len(wrong) / len(pairs),
        "median_mm": 1000 * statistics.median(m for m, _ in good) if good else float("nan"),
        "median_deg": statistics.median(d for _, d in good) if good else float("nan"),
        "median_ms": statistics.median(result["ms"]),
        "median_cpu_ms": statistics.median(result["cpu_ms"]),
    }


def print_table(title: str, rows: dict[str, dict[str, float]]) -> None:
    """Print summaries as a Markdown table."""
    print(f"\n{title}\n")
    print("| solver | success | found | wrong | median mm | median deg | ms | processor ms | its ratio |")
    print("|" + " --- |" * 9)
    base = next(iter(rows.values()))["median_cpu_ms"]
    for name, r in rows.items():
        cells = (
            f"{r['success']:.3f}", f"{r['found']:.3f}", f"{r['wrong']:.3f}", f"{r['median_mm']:.2f}",
            f"{r['median_deg']:.4f}", f"{r['median_ms']:.0f}", f"{r['median_cpu_ms']:.0f}",
            f"{r['median_cpu_ms'] / base:.2f}",
        )  # fmt: skip
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def bench_generated(runs: int, solvers: dict[str, Solver]) -> dict[str, Any]:
    """Compare on generated correspondences of every ratio and kind of outlier."""
    report: dict[str, Any] = {}
    for structured in (False, True):
        kind = "structured" if structured else "uniform"
        for ratio in RATIOS:
            images = (generated_image(ratio, structured, seed) for seed in range(runs))
            rows = {name: summary(r) for name, r in compare(images, solvers).items()}
            print_table(f"{kind} outliers, inlier ratio {ratio}, {runs} images", rows)
            report[f"{kind} {ratio}"] = rows
    spans = {}
    for name in solvers:
        times = [rows[name]["median_cpu_ms"] for rows in report.values()]
        spans[name] = max(times) / min(times)
    print("\nlongest over shortest processor time: " + ", ".join(f"{n} {s:.2f}" for n, s in spans.items()))
    return {**report, "longest_over_shortest": spans}


def bench_maps(maps: Path, scenes: list[Path], solvers: dict[str, Solver]) -> dict[str, Any]:
    """Compare on what maps see in the test images of their scenes."""
    report = {}
    for scene in scenes:
        images = list(mapped_images(maps / f"{scene.name}.safetensors", scene))
        rows = {name: summary(r) for name, r in compare(iter(images), solvers).items()}
        print_table(f"{scene.name}, {len(images)} test images (success: {LIMIT_M} m, {LIMIT_DEG} deg)", rows)
        values = nees(images)
        share = sum(v < NEES_95 for v in values) / max(1, len(values))
        median = statistics.median(values) if values else float("nan")
        print(f"\nace_ros's covariance: median NEES {median:.1f} (5.3 is exact), {share:.2f} below {NEES_95}")
        report[scene.name] = {**rows, "nees": {"median": median, "share_below_95": share}}
    return report


def nees(images: list[Image]) -> list[float]:
    """Return the normalised squared errors of accepted poses; chi-square of 6 if the covariance is honest."""
    values = []
    for image in images:
        found = solve_pose(image.pixels[None], image.points[None], image.camera, CONFIG)
        if bool(found.ok[0]):
            value = normalised_squared_error(found.T_map_camera[0], found.covariance[0], image.T_map_camera)
            values.append(float(value))
    return values


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=100, help="images per ratio and kind of outlier")
    parser.add_argument("--threads", type=int, default=2, help="processor threads for torch and OpenCV")
    parser.add_argument("--only", action="append", default=[], metavar="SOLVER", help="leave out the others")
    parser.add_argument("--maps", type=Path, help="folder of maps")
    parser.add_argument("scenes", type=Path, nargs="*", help="scene folders, with --maps")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    report: dict[str, Any] = {
        "machine": platform.processor() or platform.machine(),
        "threads": options.threads,
    }
    if options.maps:
        report["maps"] = bench_maps(options.maps, options.scenes, installed_solvers(options.only))
    else:
        report["generated"] = bench_generated(options.runs, installed_solvers(options.only))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
