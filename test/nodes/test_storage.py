# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from ace_ros.errors import ConfigError
from ace_ros.nodes.storage import Storage


def test_mappers_that_begin_in_the_same_moment_record_into_folders_of_their_own(tmp_path: Path) -> None:
    storages = [Storage(str(tmp_path)) for _ in range(3)]
    assert len({storage.new_scene("") for storage in storages}) == 3
    named = [storage.new_scene("drive").name for storage in storages]
    assert named == ["drive", "drive-2", "drive-3"]
    assert all(folder.is_dir() for folder in (tmp_path / "scenes").iterdir())
    assert storages[0].newest_scene() is None


def test_a_name_is_no_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no plain name"):
        Storage(str(tmp_path)).new_scene("../elsewhere")
    assert list(tmp_path.iterdir()) == []
