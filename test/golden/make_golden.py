# SPDX-License-Identifier: Apache-2.0
"""Make the golden map, and the poses that it gives for the test images of the same scene.

`python test/golden/make_golden.py` trains a small map of the painted wall in a minute or two and writes
wall.safetensors and poses.json beside this file. It is run again when the map format or the shipped encoder
changes; where only localization changes, `--poses` keeps the map and writes its poses anew.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from wall_scene import write_wall_scene

from ace_ros.data.scene import load_scene, read_grey
from ace_ros.localization.relocalizer import Relocalizer
from ace_ros.maps.scene_map import SceneMap
from support import train_small

MAP, POSES = HERE / "wall.safetensors", HERE / "poses.json"


def poses_of(scene: Path, scene_map: SceneMap) -> dict[str, list[list[float]] | None]:
    """Return T_map_camera (4, 4) of every test image by its file name, None where there is no pose."""
    relocalizer = Relocalizer(scene_map, device="cpu")
    poses: dict[str, list[list[float]] | None] = {}
    for frame in load_scene(scene, "test").frames:
        found = relocalizer.localize(read_grey(frame.image_path), frame.camera)
        poses[frame.image_path.name] = found.T_map_camera[0].tolist() if bool(found.ok[0]) else None
    return poses


def main() -> None:
    """Write the map and its poses."""
    parser = argparse.ArgumentParser(description="Make the golden map of the tests.")
    parser.add_argument("--poses", action="store_true", help="keep the map, write its poses anew")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(folder) / "wall"
        write_wall_scene(scene, frames=24, test_frames=8)
        if not arguments.poses:
            train_small(scene, MAP)
        poses = poses_of(scene, SceneMap.load(MAP))
    POSES.write_text("{\n" + ",\n".join(f'"{n}": {json.dumps(T)}' for n, T in poses.items()) + "\n}\n")


if __name__ == "__main__":
    main()
