# SPDX-License-Identifier: Apache-2.0
"""What cannot be written is told before the work, and trying leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from ace_ros.errors import OutputError
from ace_ros.files.writable import require_writable, require_writable_folder


def test_trying_leaves_nothing_behind(tmp_path: Path) -> None:
    require_writable(tmp_path / "a/b/map.safetensors")
    require_writable_folder(tmp_path / "c/d")
    assert list(tmp_path.iterdir()) == []
    old = tmp_path / "old.safetensors"
    old.write_bytes(b"old")
    require_writable(old)
    assert old.read_bytes() == b"old" and list(tmp_path.iterdir()) == [old]


@pytest.mark.parametrize(
    "path", ["file/map", "file/deep/map", "/proc/none/map", "folder", "n" * 300, "/dev/full/m"]
)
def test_what_cannot_be_written_is_refused_by_name(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match=Path(path).name[:50]):
        require_writable(tmp_path / path)


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file/report"):
        with pytest.raises(OutputError, match=f"{path}: cannot be written"):
            require_writable_folder(path)
