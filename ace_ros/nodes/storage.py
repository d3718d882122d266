# SPDX-License-Identifier: Apache-2.0
"""Where recordings and maps lie below the data folder, and which names they may have."""

from __future__ import annotations

import time
from pathlib import Path

from ace_ros.files.names import check_name
from ace_ros.files.whole import make_folder, sync_folder
from ace_ros.maps.scene_map import SUFFIX


class Storage:
    """The data folder: `scenes/NAME/` and `maps/NAME.safetensors`."""

    def __init__(self, data_dir: str) -> None:
        self.folder = Path(data_dir).expanduser().absolute()

    def map_path(self, name: str) -> Path:
        """Return the file of a map by its plain name (ConfigError)."""
        return self.folder / "maps" / f"{check_name(name, 'map name')}{SUFFIX}"

    def scene(self, name: str) -> Path:
        """Return the folder of a recording by its plain name (ConfigError)."""
        return self.folder / "scenes" / check_name(name, "scene name")

    def new_scene(self, name: str) -> Path:
        """Make a folder for a recording, named by the time where `name` is empty (ConfigError, OSError).

        It is made here and not only looked for: another mapper may begin in the same moment.
        """
        base = self.scene(name or time.strftime("%Y-%m-%d_%H-%M-%S"))
        make_folder(base.parent)
        folder, number = base, 1
        while True:
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
                folder = base.with_name(f"{base.name}-{number}")
            else:
                sync_folder(base.parent)
                return folder

    def newest_scene(self) -> Path | None:
        """Return the recording with the newest frame, None where there is none."""
        poses = [p for p in self.folder.glob("scenes/*/train/poses") if any(p.glob("[!.]*.txt"))]
        return max(poses, key=lambda p: p.stat().st_mtime).parents[1] if poses else None


def count_frames(scene: Path) -> int:
    """Return how many whole frames a recording has: the pose file is written last."""
    return sum(1 for _ in (scene / "train" / "poses").glob("[!.]*.txt"))
