# SPDX-License-Identifier: Apache-2.0
"""Map and evaluate every scene of a folder, as a user would from the command line.

    python bench/scenes.py SCENES --preset standard

Prints a Markdown table and, at the end, one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

COLUMNS = (
    "scene", "frames", "tested", "localized", "10cm/5deg", "5cm/5deg", "2cm/2deg", "median cm", "median deg",
    "prepare s", "train s", "steps", "map MB", "ms per image",
)  # fmt: skip


def ace_ros(*arguments: object) -> dict[str, Any]:
    """Run a command of ace_ros and return the figures that it prints."""
    command = [sys.executable, "-m", "ace_ros", *map(str, arguments), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def measure(scene: Path, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return the figures of mapping and evaluating one scene."""
    path = (options.keep or folder) / f"{scene.name}.safetensors"
    made = ace_ros("map", scene, "-o", path, "--preset", options.preset, "--device", options.device)
    found = ace_ros("eval", scene, path, "--device", options.device)
    return {"scene": scene.name, "map": made, "eval": found}


def row(result: dict[str, Any]) -> str:
    """Return a result as a row of the Markdown table."""
    made, found = result["map"], result["eval"]
    share = found["recall"]
    metres, degrees = found["median_translation_m"], found["median_rotation_deg"]
    cells = (
        result["scene"],
        made["frames"],
        found["frames"],
        found["localized"],
        *(f"{100 * share[key]:.0f} %" for key in ("10cm_5deg", "5cm_5deg", "2cm_2deg")),
        "-" if metres is None else f"{100 * metres:.1f}",
        "-" if degrees is None else f"{degrees:.2f}",
        f"{made['prepare_s']:.0f}",
        f"{made['train_s']:.0f}",
        made["steps"],
        f"{made['map_bytes'] / 1e6:.1f}",
        f"{found['latency_ms']['median']:.0f}",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenes", type=Path, help="folder of scene folders")
    parser.add_argument("--preset", default="standard")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--keep", type=Path, help="folder to keep the maps in")
    options = parser.parse_args()
    scenes = sorted(p.parent for p in options.scenes.glob("*/train"))
    print("| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|", sep="\n", flush=True)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for scene in scenes:
            results.append(measure(scene, options, Path(folder)))
            print(row(results[-1]), flush=True)
    print(json.dumps({"preset": options.preset, "machine": platform.machine(), "results": results}))


if __name__ == "__main__":
    main()
