# SPDX-License-Identifier: Apache-2.0
"""Files and folders that appear whole or not at all, and stay when the power goes.

Until it is whole, what is written lies beside its place under a hidden name that ends in PARTIAL. Its
writer holds a lock on it, which the system lets go when the writer dies, however that happens: so what
a dead writer left is told from what is being written, on any machine that shares the disk.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

PARTIAL = ".ace_ros-partial"
SHOWN_CHARACTERS = 32  # of a name that become part of the hidden one: a file system allows 255 bytes


def write_atomically(path: Path, data: bytes | memoryview) -> None:
    """Write bytes to `path` so that a kill at any moment leaves the old file or the new one (OSError)."""
    with new_file(path) as file:
        file.write(data)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write that becomes `path` at the end unless there is an error.

    It is then on the disk with its name. Folders that are missing are made; the mode follows the umask.
    Raises OSError naming `path`; an older file of that name is then still whole.
    """
    with _naming(path):
        make_folder(path.parent)
        temporary, file = _new_partial(path)
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                os.replace(temporary, path)
            sync_folder(path.parent)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


@contextmanager
def new_file_by_name(path: Path) -> Iterator[Path]:
    """Give the name of a file to write that becomes `path` at the end, as that of `new_file` does.

    For libraries that write by names, with temporary files of their own beside it.
    """
    with _naming(path), scratch_folder(path) as folder:
        made = folder / path.name
        yield made
        made.chmod(folder.stat().st_mode & 0o666)  # what the umask makes of a file: theirs may be private
        _sync_file(made)
        os.replace(made, path)
        sync_folder(path.parent)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give a folder to write into whose files come to lie in `path` at the end unless there is an error.

    A folder that is new, or was empty, appears in one step; into one with other files each file moves
    in one step. Raises OSError.
    """
    with scratch_folder(path) as folder:
        try:
            yield folder
            _sync_tree(folder)
            if path.is_dir() and (any(path.iterdir()) or path.samefile(".")):
                for made in sorted(folder.iterdir()):
                    os.replace(made, path / made.name)
                sync_folder(path)
            else:
                os.replace(folder, path)
            sync_folder(path.parent)
        except OSError as error:
            named = [Path(str(name)) for name in (error.filename2, error.filename) if name]
            inside = [path / name.relative_to(folder) for name in named if name.is_relative_to(folder)]
            if named and not inside:
                raise  # of another file, which was to be read
            raise _error_of((*inside, path)[0], error) from error


@contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """Give an empty folder beside a path that is removed at the end, or by the next who writes there."""
    with _naming(beside):
        make_folder(beside.parent)
        remove_leftovers(beside.parent)
        folder, handle = _new_partial_folder(beside)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def remove_leftovers(folder: Path, pattern: str = f".*{PARTIAL}", kept: Path | None = None) -> None:
    """Remove the files and folders that match and whose writers died, all but `kept`.

    What cannot be removed stays: it is in nobody's way.
    """
    for path in sorted(folder.glob(pattern)):
        if path == kept or path.is_symlink():
            continue
        with suppress(OSError):
            handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
            try:
                if _lock(handle):
                    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
            finally:
                os.close(handle)


def hold(path: Path) -> BinaryIO | None:
    """Hold a file that others would take for a leftover while the result lives; None where it is gone."""
    with suppress(OSError):
        file = path.open("rb")
        _lock(file.fileno())
        return file
    return None


def make_folder(folder: Path) -> None:
    """Make a folder and those above it where they are missing, to stay when the power goes (OSError)."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in missing:
        sync_folder(one.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk: what a rename promises only then (OSError)."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that knows no syncing of folders
            raise _error_of(folder, error) from error
    finally:
        os.close(handle)


def _sync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_dir():
            sync_folder(path)
        elif path.is_file():
            _sync_file(path)
    sync_folder(folder)


def _sync_file(path: Path) -> None:
    with _naming(path), path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let errors name the file that was wanted, not the hidden one."""
    try:
        yield
    except OSError as error:
        raise _error_of(path, error) from error


def _error_of(path: Path, error: OSError) -> OSError:
    return OSError(errno.EIO if error.errno is None else error.errno, error.strerror or str(error), str(path))


def _partial(path: Path) -> Path:
    path = path.absolute()  # "." has no name
    return path.with_name(f".{path.name[:SHOWN_CHARACTERS]}.{secrets.token_hex(4)}{PARTIAL}")


def _new_partial(path: Path) -> tuple[Path, BinaryIO]:
    while True:
        temporary = _partial(path)
        file = temporary.open("xb")
        # Between the two it may have been taken for a leftover.
        if _lock(file.fileno()) is not False and temporary.exists():
            return temporary, file
        file.close()


def _new_partial_folder(path: Path) -> tuple[Path, int]:
    while True:
        folder = _partial(path)
        folder.mkdir()
        handle = os.open(folder, os.O_RDONLY)
        if _lock(handle) is not False and folder.exists():
            return folder, handle
        os.close(handle)


def _lock(handle: int) -> bool | None:
    """Return whether a file or folder could be locked for this process; None where nothing can be locked."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
