# SPDX-License-Identifier: Apache-2.0
"""What to run for a bag that is damaged or cut off."""

from __future__ import annotations

from pathlib import Path

REMEDIES = {
    ".mcap": "'mcap recover {name} -o repaired.mcap' keeps what is whole of a recording that was cut off",
    ".db3": "'sqlite3 {name} .recover | sqlite3 repaired.db3' keeps what is whole of a damaged one",
    ".bag": "'rosbag reindex {name}' keeps what is whole of a recording that was cut off",
}


def remedy(bag: Path) -> str:
    """Return what to run for a bag that cannot be read, in brackets; empty where nothing helps."""
    files = sorted(bag.iterdir()) if bag.is_dir() else [bag]
    path = next((path for path in files if path.suffix in REMEDIES), None)
    return f" ({REMEDIES[path.suffix].format(name=path.name)})" if path else ""
