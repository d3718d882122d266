# SPDX-License-Identifier: Apache-2.0
"""What to open of a bag whose recorder was killed."""

from __future__ import annotations

import logging
from pathlib import Path

from ace_ros.data.importers.bag_limits import check_metadata
from ace_ros.errors import SceneError

log = logging.getLogger(__name__)

FILES = (".mcap", ".db3")


def files_to_open(bag: Path) -> list[Path]:
    """Return the bag's path, or the files in its folder where metadata.yaml cannot be used.

    Raises SceneError where there is nothing that could be opened, with what to run.
    """
    if not bag.exists():
        raise SceneError(f"{bag}: no such bag")
    if bag.suffix == ".active":
        raise SceneError(
            f"{bag}: its recorder did not close it; 'rosbag reindex {bag.name}' repairs it, then rename it "
            f"to {bag.stem}"
        )
    if not bag.is_dir():
        return [bag]
    files = sorted(path for path in bag.iterdir() if path.suffix in FILES)
    why = _damage_of(bag)
    if not why:
        return [bag]
    if files:
        log.warning("%s: %s; what its %d files hold is read without it", bag, why, len(files))
        return files
    packed = [path.name for path in sorted(bag.glob("*.zstd"))]
    remedy = f"unpack {packed[0]} with zstd -d" if packed else "'ros2 bag reindex' makes it anew"
    raise SceneError(
        f"{bag}: not a readable bag: {why}, and there is no .mcap or .db3 file in the folder; {remedy}"
    )


def _damage_of(bag: Path) -> str:
    """Return what is wrong with the metadata of a folder, empty where it may be used."""
    path = bag / "metadata.yaml"
    if not path.exists():
        return "metadata.yaml is missing"
    try:
        content = check_metadata(bag)
    except SceneError:
        return "metadata.yaml is damaged"
    about = content.get("rosbag2_bagfile_information") if isinstance(content, dict) else None
    needed = ("version", "storage_identifier", "relative_file_paths", "topics_with_message_count", "duration")
    missing = [key for key in needed if not isinstance(about, dict) or key not in about]
    return "metadata.yaml is empty or cut off" if missing else ""
