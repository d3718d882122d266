# SPDX-License-Identifier: Apache-2.0
"""What landmarks do for the poses of test images: the head alone, and with fewer or more of them.

    python bench/scenes.py SCENES --keep MAPS
    python bench/landmarks.py SCENES MAPS

Prints a Markdown table; the last columns say whether the covariances are honest (5.3 and 95 %).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ace_ros.compute.process import limit_threads
from ace_ros.data.scene import Scene, load_scene, read_grey
from ace_ros.geometry.metrics import median_of_localized, normalised_squared_error, pose_error, recall
from ace_ros.landmarks import refinement
from ace_ros.landmarks.landmarks import LANDMARK_TENSORS
from ace_ros.localization.relocalizer import Relocalizer
from ace_ros.maps.scene_map import SceneMap

COLUMNS = (
    "scene", "in the map", "looked for", "10cm/5deg", "5cm/5deg", "2cm/2deg", "1cm/1deg", "median cm",
    "median deg", "ms per image", "median NEES", "below 12.6",
)  # fmt: skip
CHI_SQUARE_6_95 = 12.59
# Landmarks kept in the map, and looked for in the last round. None: the head alone.
VARIANTS = ((None, 0), (2000, 1024), (4000, 1024), (8000, 256), (8000, 512), (8000, 1024), (8000, 2048))


@dataclass(frozen=True)
class Result:
    """Errors of F images in metres and radians, normalised squared errors, and milliseconds for each."""

    translation_m: Tensor
    rotation_rad: Tensor
    nees: Tensor
    milliseconds: Tensor


def thinned(scene_map: SceneMap, count: int) -> SceneMap:
    """Return a map with the first landmarks of every chunk."""
    chunks = []
    for chunk in scene_map.chunks:
        marks = chunk.landmarks
        few = replace(marks, **{name: getattr(marks, name)[:count] for name in LANDMARK_TENSORS})
        chunks.append(replace(chunk, landmarks=few))
    return replace(scene_map, chunks=tuple(chunks))


def measure(scene: Scene, relocalizer: Relocalizer) -> Result:
    """Localize the frames of a scene."""
    rows = []
    for frame in (scene.frames[0], *scene.frames):  # the first one warms up
        image = read_grey(frame.image_path)
        began = time.perf_counter()
        found = relocalizer.localize(image, frame.camera)
        milliseconds = 1000.0 * (time.perf_counter() - began)
        truth = frame.T_map_camera[None]
        metres, radians = pose_error(found.T_map_camera, truth)
        nees = normalised_squared_error(found.T_map_camera, found.covariance, truth)
        rows.append(torch.stack([metres[0], radians[0], nees[0], torch.tensor(milliseconds).double()]))
    return Result(*torch.stack(rows[1:]).T)


def rows(scene: Path, map_path: Path) -> Iterator[str]:
    """Yield a row for every variant."""
    test, scene_map = load_scene(scene, "test"), SceneMap.load(map_path)
    usual = refinement.ROUNDS
    for kept, looked_for in VARIANTS:
        few = scene_map if kept is None else thinned(scene_map, kept)
        fewer = [(min(number, looked_for), *how) for number, *how in usual[:-1]]
        refinement.ROUNDS = (*fewer, (looked_for, *usual[-1][1:]))
        found = measure(test, Relocalizer(few, device="cpu", use_landmarks=kept is not None))
        share = recall(found.translation_m, found.rotation_rad)
        nees = found.nees[torch.isfinite(found.nees)]
        degrees = torch.rad2deg(torch.tensor(median_of_localized(found.rotation_rad)))
        cells = (
            scene.name,
            "none" if kept is None else len(few.chunks[0].landmarks),
            looked_for if kept else "-",
            *(f"{100 * share[key]:.0f} %" for key in ("10cm_5deg", "5cm_5deg", "2cm_2deg", "1cm_1deg")),
            f"{100 * median_of_localized(found.translation_m):.2f}",
            f"{float(degrees):.3f}",
            f"{float(found.milliseconds.median()):.0f}",
            f"{float(nees.median()):.1f}",
            f"{100 * float((nees < CHI_SQUARE_6_95).double().mean()):.0f} %",
        )
        yield "| " + " | ".join(map(str, cells)) + " |"
    refinement.ROUNDS = usual


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenes", type=Path, help="folder of scene folders")
    parser.add_argument("maps", type=Path, help="folder of their maps")
    options = parser.parse_args()
    limit_threads()
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|", flush=True)
    for scene in sorted(options.scenes.iterdir()):
        path = options.maps / f"{scene.name}.safetensors"
        if not path.exists():
            print(f"no map of {scene.name}", file=sys.stderr)
            continue
        for row in rows(scene, path):
            print(row, flush=True)


if __name__ == "__main__":
    main()
