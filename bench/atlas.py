# SPDX-License-Identifier: Apache-2.0
"""An atlas of many places: how fast it answers, and whether it answers right.

    python bench/atlas.py --places 200000
    python bench/atlas.py --scenes SCENES --maps MAPS [--others IMAGES]

The first measures an index with made-up descriptors and maps of 4 MB: look-up, memory, start-up,
switch of a map. The second makes an atlas of the maps MAPS/NAME.safetensors of scenes SCENES/NAME:
which place a test image is found in, and whether it is refused when its place is taken out of the
atlas, or when it shows none (IMAGES, a folder). Both print Markdown, and one line of JSON at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from ace_ros.atlas.finder import Finding, Hint, PlaceFinder
from ace_ros.atlas.folder import add_maps, map_path
from ace_ros.atlas.index import INDEX_NAME, Place, make_index, read_index, write_index
from ace_ros.compute.precision import autocast
from ace_ros.compute.process import limit_threads
from ace_ros.config import AtlasConfig
from ace_ros.data.scene import Frame, load_scene, read_grey
from ace_ros.geometry.camera import Camera
from ace_ros.landmarks.landmarks import no_landmarks
from ace_ros.maps.global_descriptor import SIZE, place_descriptors
from ace_ros.maps.scene_map import Chunk, SceneMap
from ace_ros.network.encoder_file import load_encoder
from ace_ros.network.head import Head
from ace_ros.network.input import network_batch
from ace_ros.pnp import Reason

VIEWS = 16  # descriptors per made-up place
REAL_MAPS = 64  # made-up places that have a map file
HEAD_WIDTH, HEAD_BLOCKS = 512, 1  # 4 MB
PHOTO_FOCAL = 1.2  # focal length of an image of unknown camera, in units of its longer side


def median_ms(work: Callable[[int], Any], count: int) -> float:
    """Return the median time of `work(0)`, `work(1)`, ... in milliseconds."""
    times = []
    for number in range(count):
        began = time.perf_counter()
        work(number)
        times.append(1e3 * (time.perf_counter() - began))
    return float(np.median(times))


def resident_mb() -> float:
    """Return the memory that this process holds, mapped files that were read included."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def made_up_places(count: int, map_bytes: int) -> Iterator[tuple[Place, torch.Tensor]]:
    """Yield places on a grid of 100 m, each with descriptors about a direction of its own."""
    generator = torch.Generator().manual_seed(0)
    side = int(np.ceil(np.sqrt(count)))
    bounds = torch.tensor([[0.0, 0.0, 0.0], [20.0, 20.0, 3.0]], dtype=torch.float64)
    for number in range(count):
        centre = torch.randn(1, SIZE, generator=generator)
        descriptors = F.normalize(centre + 0.5 * torch.randn(VIEWS, SIZE, generator=generator), dim=1)
        position = (0.0009 * (number // side), 0.0009 * (number % side))
        name = f"place_{number:07d}"
        yield Place(name, f"map_{number}", bounds, "0" * 64, map_bytes, position), descriptors.half()


def write_maps(folder: Path) -> int:
    """Write some maps of 4 MB with random weights; return the size of one."""
    encoder = load_encoder("lite")
    for number in range(REAL_MAPS):
        torch.manual_seed(number)
        chunk = Chunk(
            head=Head(encoder.card.channels, HEAD_WIDTH, HEAD_BLOCKS),
            centre=torch.zeros(3, dtype=torch.float64),
            bounds=torch.zeros(2, 3, dtype=torch.float64),
            cloud_points=torch.zeros(100, 3),
            cloud_grey=torch.zeros(100, dtype=torch.uint8),
            landmarks=no_landmarks(encoder.card.channels),
        )
        scene_map = SceneMap(chunks=(chunk,), encoder="lite", encoder_hash=encoder.content_hash)
        scene_map.save(folder / f"place_{number:07d}.safetensors")
    return (folder / "place_0000000.safetensors").stat().st_size


def forget_file(path: Path) -> None:
    """Take a file out of the system's cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure_scale(places: int, device: str, folder: Path) -> dict[str, Any]:
    """Return the figures of an atlas of many made-up places."""
    map_bytes, encoder = write_maps(folder), load_encoder("lite")
    began = time.perf_counter()
    index = make_index("lite", encoder.content_hash, made_up_places(places, map_bytes))
    made = time.perf_counter()
    write_index(folder, index)
    written = time.perf_counter()
    del index
    forget_file(folder / INDEX_NAME)
    figures: dict[str, Any] = {
        "places": places, "make_index_s": made - began, "write_index_s": written - made,
        "index_mb": (folder / INDEX_NAME).stat().st_size / 1e6,
        "maps_on_paper_gb": places * map_bytes / 1e9,
    }  # fmt: skip
    before = resident_mb()
    figures["open_cold_ms"] = median_ms(lambda _: read_index(folder), 1)
    figures["open_ms"] = median_ms(lambda _: read_index(folder), 9)
    index = read_index(folder)
    figures["resident_after_open_mb"] = resident_mb() - before
    query = index.descriptors(places // 2)[0].float()
    figures["first_look_up_ms"] = median_ms(lambda _: index.rank(query, 4), 1)
    figures["look_up_ms"] = median_ms(lambda _: index.rank(query, 4), 15)
    figures["resident_after_look_up_mb"] = resident_mb() - before
    assert index.rank(query, 1)[0][0] == places // 2
    here = index[places // 2].position
    assert here is not None
    figures["near_1km_ms"] = median_ms(lambda _: index.near(here, 1000.0), 15)
    near = index.near(here, 1000.0)
    figures["places_within_1km"] = len(near)
    figures["look_up_among_them_ms"] = median_ms(lambda _: index.rank(query, 4, near), 15)
    figures["by_name_ms"] = median_ms(lambda n: index.find(f"place_{n * places // 15:07d}"), 15)
    return {**figures, **measure_switch(folder, device)}


def measure_switch(folder: Path, device: str) -> dict[str, Any]:
    """Return what it takes to use another place's map: from the disk, from its cache, kept ready."""
    config = AtlasConfig(place_memory_mb=10_000.0)
    began = time.perf_counter()
    finder = PlaceFinder(folder, config=config, device=device)
    figures = {"start_finder_ms": 1e3 * (time.perf_counter() - began)}
    half = REAL_MAPS // 2
    for number in range(half):
        forget_file(map_path(folder, finder.index[number]))
    figures["switch_cold_ms"] = median_ms(finder.relocalizer, half)
    figures["switch_cached_ms"] = median_ms(lambda n: finder.relocalizer(half + n), half)
    figures["switch_ready_ms"] = median_ms(finder.relocalizer, half)
    return figures


def sign(scene_map: SceneMap, frames: tuple[Frame, ...]) -> SceneMap:
    """Return a map that was made before there were descriptors with those of its mapping images."""
    encoder = load_encoder(scene_map.encoder)
    features, numbers = [], []
    for number, frame in enumerate(frames):
        resized = network_batch(read_grey(frame.image_path)[None], encoder.card.stride)
        with torch.inference_mode(), autocast(torch.device("cpu")):
            own = encoder.module(torch.from_numpy(resized)[:, None].float() / 255.0)[0]
        cells = torch.randperm(own[0].numel(), generator=torch.Generator().manual_seed(number))
        features.append(own.flatten(1).T[cells].half())
        numbers.append(torch.full((len(cells),), number))
    return replace(scene_map, descriptors=place_descriptors(torch.cat(features), torch.cat(numbers)))


def prepare(scenes: list[Path], maps: Path, folder: Path) -> list[Path]:
    """Return map files with descriptors of all scenes."""
    paths = []
    for scene in scenes:
        scene_map = SceneMap.load(maps / f"{scene.name}.safetensors")
        if not len(scene_map.descriptors):
            scene_map = sign(scene_map, load_scene(scene).frames)
        paths.append(folder / f"{scene.name}.safetensors")
        scene_map.save(paths[-1])
    return paths


def photo_camera(image: np.ndarray) -> Camera:
    """Return a plausible camera of an image (H, W) of which none is known."""
    height, width = image.shape
    focal = PHOTO_FOCAL * max(width, height)
    matrix = [[focal, 0.0, (width - 1) / 2], [0.0, focal, (height - 1) / 2], [0.0, 0.0, 1.0]]
    return Camera(torch.tensor(matrix, dtype=torch.float64), (width, height))


def measure_scenes(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return the figures of an atlas of real scenes."""
    scenes = sorted(p.parent for p in options.scenes.glob("*/train"))
    maps = prepare(scenes, options.maps, folder)
    add_maps(folder / "all", maps, map_frame="{name}")
    finder = PlaceFinder(folder / "all", device=options.device)
    rows, refused, tried, shares = [], 0, 0, []
    for scene, left_out in zip(scenes, maps, strict=True):
        add_maps(folder / scene.name, [m for m in maps if m != left_out], map_frame="{name}")
        without = PlaceFinder(folder / scene.name, device=options.device)
        row = {"scene": scene.name, "images": 0, "first": 0, "found": 0, "wrong": 0, "refused_without": 0}
        times: dict[str, list[float]] = {"lost_ms": [], "known_ms": []}
        for frame in load_scene(scene, "test").frames:
            image = read_grey(frame.image_path)
            row["images"] += 1
            began = time.perf_counter()
            found = finder.find(image, frame.camera)
            times["lost_ms"].append(1e3 * (time.perf_counter() - began))
            likest = max(found.trials, key=lambda trial: trial.similarity)
            row["first"] += likest.place.name == scene.name
            if found.reason is Reason.NONE:
                row["found" if found.trials[0].place.name == scene.name else "wrong"] += 1
                shares.append(found.trials[0].inlier_share)
            began = time.perf_counter()
            finder.find(image, frame.camera, Hint(place=scene.name))
            times["known_ms"].append(1e3 * (time.perf_counter() - began))
            missing = without.find(image, frame.camera)
            row["refused_without"] += missing.reason is not Reason.NONE
        rows.append({**row, **{k: float(np.median(v)) for k, v in times.items()}})
        tried, refused = tried + row["images"], refused + row["refused_without"]
    result: dict[str, Any] = {"rows": rows, "left_out_tried": tried, "left_out_refused": refused}
    result["smallest_share"] = min(shares)
    if options.others:
        result.update(measure_others(finder, sorted(options.others.iterdir())[:: options.every]))
    return result


def measure_others(finder: PlaceFinder, paths: list[Path]) -> dict[str, Any]:
    """Return how many images that show no place of the atlas are refused."""
    findings: list[Finding] = []
    for path in paths:
        image = read_grey(path)
        findings.append(finder.find(image, photo_camera(image)))
    largest = max(trial.inlier_share for f in findings for trial in f.trials)
    refused = sum(f.reason is not Reason.NONE for f in findings)
    return {"others_tried": len(findings), "others_refused": refused, "others_largest_share": largest}


def table(rows: list[dict[str, Any]]) -> str:
    """Return rows as a Markdown table."""
    lines = ["| " + " | ".join(rows[0]) + " |", "|---" * len(rows[0]) + "|"]
    for row in rows:
        cells = (f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values())
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--places", type=int, default=0, help="made-up places to measure with")
    parser.add_argument("--scenes", type=Path, help="folder of scene folders")
    parser.add_argument("--maps", type=Path, help="folder of their maps")
    parser.add_argument("--others", type=Path, help="folder of images that show none of the scenes")
    parser.add_argument("--every", type=int, default=1, help="use every so manyth of the others")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0, help="processor threads (0: half of them)")
    options = parser.parse_args()
    limit_threads(options.threads)
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        if options.places:
            result = measure_scale(options.places, options.device, Path(folder))
            print(table([{"figure": k, "value": v} for k, v in result.items()]), flush=True)
        if options.scenes:
            found = measure_scenes(options, Path(folder))
            print(table(found["rows"]))
            print(table([{k: v for k, v in found.items() if k != "rows"}]), flush=True)
            result = {**result, **found}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
