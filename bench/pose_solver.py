# SPDX-License-Identifier: Apache-2.0
"""Compare pose solvers on the same correspondences: success, accuracy, wrong poses, time.

    python bench/pose_solver.py                          generated correspondences, all solvers
    python bench/pose_solver.py --maps MAPS SCENE...      correspondences of maps, MAPS/<scene>.safetensors
    python bench/pose_solver.py --triples 10000000        the minimal solver alone

The solvers take turns on every image, so that the load of the machine meets all alike. A pose
counts as found when it passes the same guards (enough inliers, spread over the image), whoever
made it. Processor time is that of all threads together. Prints Markdown tables and, at the end,
one line of JSON. Solvers that are not installed are left out.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from ace_ros.config import RansacConfig
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
from ace_ros.pnp.p3p import p3p

CONFIG = RansacConfig()
RATIOS = (0.8, 0.5, 0.3, 0.15, 0.08)
SIZE = (640, 480)
LIMIT_M, LIMIT_DEG = 0.05, 2.0
WRONG_M, WRONG_DEG = 0.5, 10.0
NEES_95 = 12.6  # 95 % of honest ones of six numbers are below
SECOND_POSE = 0.6  # structured outliers: points of a second pose, in relation to the inliers


class Image(NamedTuple):
    """Pixels (N, 2) of a pinhole camera, points (N, 3) and the true T_map_camera (4, 4), float64."""

    pixels: Tensor
    points: Tensor
    camera: Camera
    T_map_camera: Tensor


Solver = Callable[[Image], "Tensor | None"]


# The solvers. Each returns T_map_camera (4, 4), or None.


def ours(image: Image) -> Tensor | None:
    """Solve with ace_ros."""
    found = solve_pose(image.pixels[None], image.points[None], image.camera, CONFIG)
    return found.T_map_camera[0] if bool(found.ok[0]) else None


def poselib_with(**ransac: float) -> Solver:
    """Return PoseLib with options of its RANSAC."""
    poselib = importlib.import_module("poselib")

    def solve(image: Image) -> Tensor | None:
        K = image.camera.matrix.numpy()
        camera = {
            "model": "PINHOLE", "width": image.camera.size[0], "height": image.camera.size[1],
            "params": [K[0, 0], K[1, 1], K[0, 2], K[1, 2]],
        }  # fmt: skip
        options = {"max_reproj_error": CONFIG.inlier_px, **ransac}
        pose, _ = poselib.estimate_absolute_pose(image.pixels.numpy(), image.points.numpy(), camera, options)
        return _from_camera_map(np.asarray(pose.Rt))

    return solve


def opencv_p3p(image: Image) -> Tensor | None:
    """Solve with OpenCV's RANSAC on P3P, 1000 rounds."""
    found, turn, shift, _ = cv2.solvePnPRansac(
        image.points.numpy(), image.pixels.numpy(), image.camera.matrix.numpy(), None,
        iterationsCount=1000, reprojectionError=CONFIG.inlier_px, flags=cv2.SOLVEPNP_P3P,
    )  # fmt: skip
    return _from_camera_map(np.hstack([cv2.Rodrigues(turn)[0], shift])) if found else None


def opencv_magsac(image: Image) -> Tensor | None:
    """Solve with OpenCV's USAC: MAGSAC scores, local optimisation, 10,000 rounds."""
    options = cv2.UsacParams()
    options.score = cv2.SCORE_METHOD_MAGSAC
    options.loMethod = cv2.LOCAL_OPTIM_INNER_AND_ITER_LO
    options.maxIterations, options.confidence, options.threshold = 10_000, 0.9999, CONFIG.inlier_px
    found, _, turn, shift, _ = cv2.solvePnPRansac(
        image.points.numpy(), image.pixels.numpy(), image.camera.matrix.numpy(), None, params=options
    )
    return _from_camera_map(np.hstack([cv2.Rodrigues(turn)[0], shift])) if found else None


def pycolmap_default() -> Solver:
    """Return pycolmap's estimation and refinement."""
    pycolmap = importlib.import_module("pycolmap")
    options = pycolmap.AbsolutePoseEstimationOptions()
    options.ransac.max_error, options.ransac.min_inlier_ratio = CONFIG.inlier_px, CONFIG.min_inlier_share

    def solve(image: Image) -> Tensor | None:
        K = image.camera.matrix.numpy()
        camera = pycolmap.Camera(
            model="PINHOLE", width=image.camera.size[0], height=image.camera.size[1],
            params=[K[0, 0], K[1, 1], K[0, 2], K[1, 2]],
        )  # fmt: skip
        # Its pixels count from the image's corner.
        found = pycolmap.estimate_and_refine_absolute_pose(
            image.pixels.numpy() + 0.5, image.points.numpy(), _shifted(pycolmap, camera), options
        )
        return _from_camera_map(found["cam_from_world"].matrix()) if found else None

    return solve


def _shifted(pycolmap: Any, camera: Any) -> Any:
    fx, fy, cx, cy = camera.params
    return pycolmap.Camera(
        model="PINHOLE", width=camera.width, height=camera.height, params=[fx, fy, cx + 0.5, cy + 0.5]
    )


def _from_camera_map(Rt: np.ndarray) -> Tensor | None:
    if not np.isfinite(Rt).all():
        return None
    T = torch.eye(4, dtype=torch.float64)
    T[:3] = torch.from_numpy(np.ascontiguousarray(Rt, dtype=np.float64))
    return inverse(T)


def installed_solvers(only: list[str]) -> dict[str, Solver]:
    """Return the solvers that can be imported; of those named, if any are."""
    makers: dict[str, Callable[[], Solver]] = {
        "ace_ros": lambda: ours,
        "PoseLib, default": poselib_with,
        "PoseLib, tuned": lambda: poselib_with(min_iterations=100, success_prob=0.99),
        "OpenCV P3P": lambda: opencv_p3p,
        "OpenCV USAC_MAGSAC": lambda: opencv_magsac,
        "pycolmap": pycolmap_default,
    }
    solvers = {}
    for name, make in makers.items():
        if only and name not in only:
            continue
        try:
            solvers[name] = make()
        except ImportError as missing:
            print(f"left out: {name} ({missing})")
    return solvers


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


def bench_triples(count: int, chunk: int = 100_000) -> dict[str, Any]:
    """Count found, missed and false solutions of random triples, as solvers are usually compared."""
    totals = {"triples": 0, "found": 0, "missed": 0, "false": 0, "solutions": 0, "ns_per_triple": 0.0}
    spent = 0.0
    for seed in range(-(-count // chunk)):
        g = torch.Generator().manual_seed(seed)
        rays = torch.cat([2 * torch.rand(3, 2, chunk, generator=g, dtype=torch.float64) - 1,
                          torch.ones(3, 1, chunk, dtype=torch.float64)], 1)  # fmt: skip
        places = rays * (0.1 + 9.9 * torch.rand(3, 1, chunk, generator=g, dtype=torch.float64))
        Q, _ = torch.linalg.qr(torch.randn(chunk, 3, 3, generator=g, dtype=torch.float64))
        R = (Q * torch.linalg.det(Q)[:, None, None]).permute(1, 2, 0)
        t = torch.randn(3, chunk, generator=g, dtype=torch.float64)
        points = torch.einsum("jim,kjm->kim", R, places - t)
        start = time.perf_counter()
        R_found, t_found, valid = p3p(rays, points)
        spent += time.perf_counter() - start
        off = (R_found - R[:, :, None]).abs().amax((0, 1)) + (t_found - t[:, None]).abs().amax(0)
        found = (torch.nan_to_num(off, nan=torch.inf) < 1e-6).any(0)
        seen = torch.einsum("ijsm,kjm->kism", R_found, points) + t_found
        again = seen[:, :2] / seen[:, 2:] - rays[:, :2, None]
        skewed = (torch.einsum("jism,jksm->iksm", R_found, R_found)
                  - torch.eye(3, dtype=torch.float64)[..., None, None]).abs().amax((0, 1))  # fmt: skip
        false = valid & ((again.abs().amax((0, 1)) > 1e-6) | (skewed > 1e-6))
        totals["triples"] += chunk
        totals["found"] += int(found.sum())
        totals["missed"] += int((~found).sum())
        totals["false"] += int(false.sum())
        totals["solutions"] += int(valid.sum())
    totals["ns_per_triple"] = round(1e9 * spent / totals["triples"])
    print("| " + " | ".join(totals) + " |\n|" + " --- |" * len(totals))
    print("| " + " | ".join(str(v) for v in totals.values()) + " |")
    return totals


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=100, help="images per ratio and kind of outlier")
    parser.add_argument("--threads", type=int, default=2, help="processor threads for torch and OpenCV")
    parser.add_argument("--only", action="append", default=[], metavar="SOLVER", help="leave out the others")
    parser.add_argument("--maps", type=Path, help="folder of maps")
    parser.add_argument(
        "--triples", type=int, default=0, help="measure the minimal solver on so many triples"
    )
    parser.add_argument("scenes", type=Path, nargs="*", help="scene folders, with --maps")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    report: dict[str, Any] = {
        "machine": platform.processor() or platform.machine(),
        "threads": options.threads,
    }
    if options.triples:
        report["triples"] = bench_triples(options.triples)
    elif options.maps:
        report["maps"] = bench_maps(options.maps, options.scenes, installed_solvers(options.only))
    else:
        report["generated"] = bench_generated(options.runs, installed_solvers(options.only))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
