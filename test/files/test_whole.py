# SPDX-License-Identifier: Apache-2.0
"""Files that appear whole or not at all: locked while partial, told by their names, of the umask's mode."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ace_ros.files.whole import (
    PARTIAL,
    hold,
    make_folder,
    new_file,
    new_file_by_name,
    new_folder,
    remove_leftovers,
    scratch_folder,
    write_atomically,
)


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


def dies_while_writing(code: str) -> None:
    """Run code in a process that is then killed, without a chance to tidy up."""
    program = f"import os, signal\nfrom pathlib import Path\nfrom ace_ros.files.whole import *\n{code}"
    killed = subprocess.run([sys.executable, "-c", f"{program}\n    os.kill(os.getpid(), signal.SIGKILL)"])
    assert killed.returncode == -9


def test_what_a_killed_writer_left_goes_with_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "room").write_text("old")
    dies_while_writing(f"with new_folder(Path({str(tmp_path / 'page')!r})) as f:\n    (f / 'x').mkdir()")
    dies_while_writing(f"with new_file(Path({str(tmp_path / 'room')!r})) as file:\n    file.write(b'ne')")
    assert len(hidden(tmp_path)) == 2 and (tmp_path / "room").read_text() == "old"
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["room"]


def test_what_is_being_written_is_no_leftover(tmp_path: Path) -> None:
    with new_file(tmp_path / "a") as file, new_folder(tmp_path / "b") as folder:
        file.write(b"half")
        (folder / "c").write_text("c")
        remove_leftovers(tmp_path)
        assert len(hidden(tmp_path)) == 2
    assert (tmp_path / "a").read_bytes() == b"half" and (tmp_path / "b" / "c").read_text() == "c"
    assert hidden(tmp_path) == []


def test_a_file_that_is_held_is_no_leftover(tmp_path: Path) -> None:
    for name in (".held.kept", ".dead.kept", ".excepted.kept", "of_somebody_else"):
        (tmp_path / name).touch()
    held = hold(tmp_path / ".held.kept")
    assert held and hold(tmp_path / "missing") is None
    remove_leftovers(tmp_path, ".*.kept", tmp_path / ".excepted.kept")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".excepted.kept", ".held.kept", "of_somebody_else"]
    held.close()
    remove_leftovers(tmp_path, ".*.kept")
    assert [p.name for p in tmp_path.iterdir()] == ["of_somebody_else"]


def test_a_link_that_looks_like_a_leftover_is_left(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / f".x{PARTIAL}").symlink_to(tmp_path / "mine")
    remove_leftovers(tmp_path)
    assert (tmp_path / "mine").is_dir() and (tmp_path / f".x{PARTIAL}").is_symlink()


@pytest.fixture(params=[0o022, 0o027, 0o002])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_modes_follow_the_umask(tmp_path: Path, umask: int) -> None:
    write_atomically(tmp_path / "data", b"x")
    with new_file_by_name(tmp_path / "named") as made:
        made.touch(0o600)  # as libraries with private temporary files do
    with new_folder(tmp_path / "folder") as folder:
        (folder / "page").write_text("x")
    for name in ("data", "named", "folder/page"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o666 & ~umask, name
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o777 & ~umask


@pytest.mark.parametrize("named", [True, False])
def test_errors_tell_the_name_that_was_wanted(tmp_path: Path, named: bool) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match=r"No space left on device: '.*/map'$"), new_file(tmp_path / "map"):
        raise full
    said = r"/report/page'$" if named else r"/report'$"
    with pytest.raises(OSError, match=said) as caught, new_folder(tmp_path / "report") as folder:
        raise OSError(errno.ENOSPC, full.strerror, str(folder / "page")) if named else full
    assert caught.value.errno == errno.ENOSPC and PARTIAL not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(PermissionError, match="other"), new_folder(tmp_path / "report"):
        raise PermissionError(errno.EACCES, "Permission denied", "/other/file")


def test_a_folder_with_files_keeps_those_that_are_not_written_again(tmp_path: Path) -> None:
    page = tmp_path / "page"
    page.mkdir()
    (page / "mine.txt").write_text("mine")
    (page / "old.txt").write_text("old")
    with new_folder(page) as folder:
        (folder / "old.txt").write_text("new")
        assert (page / "old.txt").read_text() == "old"
    assert {p.name: p.read_text() for p in page.iterdir()} == {"mine.txt": "mine", "old.txt": "new"}


def test_the_working_directory_can_be_written_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with new_folder(Path()) as folder:
        (folder / "page").write_text("x")
    assert Path("page").read_text() == "x" and hidden(tmp_path) == []


def test_folders_of_new_files_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda h: (synced.append(os.readlink(f"/proc/self/fd/{h}")), real(h))[1])
    write_atomically(tmp_path / "a" / "b" / "file", b"x")
    assert [s for s in synced if PARTIAL not in s] == [f"{tmp_path}/a", f"{tmp_path}", f"{tmp_path}/a/b"]
    synced.clear()
    with new_folder(tmp_path / "page") as folder:
        (folder / "part").mkdir()
        (folder / "part" / "file").write_text("x")
    assert {s.partition(PARTIAL)[2] for s in synced} == {"", "/part", "/part/file"}
    assert synced[-1] == str(tmp_path)


def test_a_folder_that_cannot_be_synced_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match=f"Input/output error: '{tmp_path}'"):
        make_folder(tmp_path / "new")


def test_a_scratch_folder_goes_even_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), scratch_folder(tmp_path / "x") as folder:
        (folder / "file").touch()
        raise ValueError("no")
    assert list(tmp_path.iterdir()) == []


def test_names_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 127)
    write_atomically(path, b"x")
    assert path.read_bytes() == b"x"
