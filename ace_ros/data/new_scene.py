# SPDX-License-Identifier: Apache-2.0
"""What importers share: a new scene folder appears whole or not at all, and a split for testing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ace_ros.errors import SceneError

TEST_RUN = 5


@contextmanager
def new_scene(folder: Path) -> Iterator[Path]:
    """Give a folder to write into that becomes `folder` at the end, unless there is an error.

    Raises SceneError when `folder` exists and is not empty.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SceneError(f"{folder}: exists already; choose a new scene folder")
    partial = folder.with_name(f".{folder.name}.importing")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def is_test_frame(index: int, share: float) -> bool:
    """Return whether the frame with this number is for testing, when a share of all is.

    Test frames come in runs of five: a single one between two mapping frames of the same drive
    would be an easy question.
    """
    if share <= 0:
        return False
    period = max(TEST_RUN + 1, round(TEST_RUN / share))
    return index % period >= period - TEST_RUN
