# SPDX-License-Identifier: Apache-2.0
"""Rooms that look alike: are they told apart, reported as ambiguous, or mistaken for each other?

    python bench/look_alikes.py

Paints a wall, the same wall again, and walls of which a part is painted otherwise; maps each of them
with a seed of its own, and asks an atlas of two for the place of the test images of both, without and
with a hint at either place. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test"))
import wall_scene

from ace_ros.atlas.finder import Hint, PlaceFinder
from ace_ros.atlas.folder import add_maps
from ace_ros.compute.process import limit_threads
from ace_ros.config import override, training_preset
from ace_ros.data.scene import load_scene, read_grey
from ace_ros.mapping.map_scene import map_scene
from ace_ros.pnp import Reason
from support import ON_CPU, SMALL

PATCHES = 7  # of a wall along each side
STEPS = 2000


def changed(wall: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    """Return a wall of which a share of the patches is another wall's."""
    result, side = wall.copy(), len(wall) // PATCHES
    order = np.random.default_rng(1).permutation(PATCHES**2)
    for number in order[: round(share * PATCHES**2)].tolist():
        row, column = (side * n for n in divmod(number, PATCHES))
        result[row : row + side, column : column + side] = other[row : row + side, column : column + side]
    return result


def map_wall(wall: np.ndarray, folder: Path, seed: int) -> Path:
    """Write the scene of a wall, map it, and return the map's file."""
    wall_scene.write_wall_scene(folder, frames=24, test_frames=8, wall=wall)
    config = override(training_preset("fast"), {**SMALL, "steps": STEPS, "seed": seed})
    scene_map, _ = map_scene(load_scene(folder), config, ON_CPU)
    path = folder.with_suffix(".safetensors")
    scene_map.save(path)
    return path


def ask(folder: Path, first: Path, second: Path) -> Counter[str]:
    """Return how often an atlas of two places answers what."""
    atlas = folder / f"{first.stem}-{second.stem}"
    add_maps(atlas, [first, second], map_frame="{name}")
    finder = PlaceFinder(atlas, device="cpu")
    answers: Counter[str] = Counter()
    for path in (first, second):
        for frame in load_scene(path.with_suffix(""), "test").frames:
            for hint in (None, Hint(place=first.stem), Hint(place=second.stem)):
                found = finder.find(read_grey(frame.image_path), frame.camera, hint)
                if found.reason is Reason.NONE:
                    answers["right" if found.trials[0].place.name == path.stem else "wrong"] += 1
                else:
                    answers[found.reason.name.lower()] += 1
    return answers


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, 0.1, 0.3], help="painted otherwise")
    parser.add_argument("--threads", type=int, default=0, help="processor threads (0: half of them)")
    options = parser.parse_args()
    limit_threads(options.threads)
    wall, other = wall_scene.paint(5), wall_scene.paint(9)
    print("| painted otherwise | answers | right | ambiguous | unknown | wrong |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = map_wall(wall, folder / "first", 1)
        for number, share in enumerate(options.shares):
            second = map_wall(changed(wall, other, share), folder / f"second_{number}", 2 + number)
            answers = ask(folder, first, second)
            counts = [answers[k] for k in ("right", "ambiguous_place", "unknown_place", "wrong")]
            print(f"| {100 * share:.0f} % | {sum(counts)} | {' | '.join(map(str, counts))} |", flush=True)


if __name__ == "__main__":
    main()
