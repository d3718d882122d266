# SPDX-License-Identifier: Apache-2.0
"""One attempt: a target's input, damaged as a number says, is used, and what came of it is judged."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import sysconfig
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from mutations import TEXTS, mutate
from targets import OUT, Target

from ace_ros.errors import AceError

MAX_BYTES = 1_000_000_000  # of memory, for everything that the process holds
MAX_SECONDS = 20.0  # of a single input
SPARSE_BYTES = 3 << 30
STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.spawn", "pty.spawn")
WRITES = {
    "os.remove": 1, "os.rename": 2, "os.mkdir": 1, "os.rmdir": 1, "os.link": 2, "os.symlink": 2,
    "os.truncate": 1, "os.chmod": 1, "os.utime": 1, "shutil.copyfile": 2, "shutil.rmtree": 1,
}  # fmt: skip
IN_FOLDERS = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod")


@dataclass(frozen=True)
class Outcome:
    """`failure` says what must not happen, empty for one that was accepted or refused."""

    accepted: bool
    refused: bool
    failure: str
    peak_bytes: int


class _TooLongError(BaseException):
    """An input took longer than MAX_SECONDS; no handler of Exception swallows it."""


class Arena:
    """A folder with a target's valid input, which is damaged, used and made whole again.

    A hook of the interpreter watches that nothing outside of the folder is written or read, and that
    no process starts.
    """

    def __init__(self, target: Target, folder: Path) -> None:
        self._target = target
        self._outside = folder / "outside"
        self._outside.mkdir(parents=True)
        (self._outside / "secret.png").write_bytes(b"secret")
        self.folder = folder / "inside"
        self.folder.mkdir()
        target.make(self.folder)
        self._files = {p: p.read_bytes() for p in self.folder.rglob("*") if p.is_file()}
        self._mutable = sorted(
            {p for glob in target.mutable for p in self.folder.glob(glob)} & set(self._files)
        )
        self._watching, self._trespasses = False, list[str]()
        (folder / "tmp").mkdir()
        self._temporary_before = tempfile.tempdir
        tempfile.tempdir = str(folder / "tmp")  # where bags are unpacked to
        self._own = [str((folder / name).resolve()) for name in ("inside", "tmp")]
        self._readable = [
            str(p) for p in (Path(sysconfig.get_paths()["purelib"]), Path("/proc"), Path("/dev"))
        ]
        self._readable += [sys.prefix, sys.base_prefix, str(Path(__file__).parents[2])]
        target.use(self.folder)  # everything that is imported on first use is imported before the watch
        self._restore()
        sys.addaudithook(self._watch)

    def close(self) -> None:
        """Give back what the arena set for the whole process; its hook stays, and sleeps."""
        self._watching = False
        tempfile.tempdir = self._temporary_before

    def attack(self, number: int) -> Outcome:
        """Damage the input as a number says and use it."""
        try:
            self._damage(Random(number))
            return self._judge()
        finally:
            self._watching = False
            self._restore()

    def save(self, number: int, keep: Path) -> None:
        """Copy the input of a number into a folder."""
        self._damage(Random(number))
        shutil.copytree(self.folder, keep, symlinks=True, dirs_exist_ok=True, copy_function=_copy_plain)
        self._restore()

    def _damage(self, random: Random) -> None:
        for path in random.sample(self._mutable, min(len(self._mutable), random.choice((1, 1, 1, 2)))):
            if self._target.are_files and random.random() < 0.04:
                self._replace(random, path)
            else:
                path.write_bytes(mutate(random, path.name, self._files[path]))

    def _replace(self, random: Random, path: Path) -> None:
        """Put something else than a file of its own in the place of a file."""
        way = random.randrange(7)
        if way == 0:
            path.unlink()
        elif way == 1:
            path.unlink()
            path.mkdir()
        elif way == 2:
            path.unlink()
            path.symlink_to(self._outside / "secret.png")
        elif way == 3:
            path.unlink()
            os.mkfifo(path)
        elif way == 4:
            os.truncate(path, SPARSE_BYTES >> random.randrange(6))
        elif way == 5:
            path.unlink()
            path.symlink_to(path.name)
        else:
            names = [
                t
                for t in TEXTS
                if 0 < len(t.encode(errors="replace")) < 200 and "\0" not in t and "/" not in t
            ]
            name = random.choice([n for n in names if n not in (".", "..") and n.isascii()])
            path.rename(path.with_name(name + random.choice(("", path.suffix))))

    def _judge(self) -> Outcome:
        self._trespasses.clear()
        _forget_peak()
        accepted, failure = True, ""
        try:
            with _time_limit():
                self._watching = True
                self._target.use(self.folder)
        except AceError as error:
            accepted, sentence = False, str(error)
            if "\n" in sentence or len(sentence) > 3000:
                failure = f"a sentence of {len(sentence)} characters or several lines: {sentence[:300]!r}"
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            accepted, failure = False, f"{type(error).__name__}: {str(error)[:300]} ({_place(error)})"
        self._watching = False
        if self._trespasses:
            failure = f"trespassed: {self._trespasses[0]}"
        if (peak := peak_bytes()) > MAX_BYTES:
            failure = f"took {peak / 1e6:.0f} MB of memory"
        return Outcome(accepted and not failure, not accepted and not failure, failure, peak)

    def _watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._watching:
            return
        if event in STARTS:
            self._trespasses.append(f"{event} {arguments}")
        elif event == "open":
            path, _, flags = arguments
            writes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))
            if isinstance(path, (str, bytes, os.PathLike)) and not self._is_own(path, writes):
                self._trespasses.append(f"opened {path!r}{' for writing' * writes}")
        elif event in WRITES:
            # The last argument of these is the descriptor of a folder, or -1.
            relative = event in IN_FOLDERS and arguments[-1] >= 0
            folder = f"/proc/self/fd/{arguments[-1]}/" if relative else ""
            for path in arguments[: WRITES[event]][event == "os.symlink" :]:
                named = isinstance(path, (str, bytes, os.PathLike))
                if named and not self._is_own(folder + os.fsdecode(path), True):
                    self._trespasses.append(f"{event} {path!r}")

    def _is_own(self, path: Any, writes: bool) -> bool:
        # Without following a link at the end: links to read are the user's own.
        given = Path(os.path.abspath(os.fsdecode(path)))
        parent = os.path.realpath(given.parent)
        if any(Path(parent).is_relative_to(own) or str(given) == own for own in self._own):
            return True
        return not writes and any(str(given).startswith(prefix) for prefix in self._readable)

    def _restore(self) -> None:
        for path in sorted(self.folder.rglob("*"), reverse=True):
            if path.is_symlink() or not path.is_dir():
                if path.is_symlink() or path not in self._files or not _holds(path, self._files[path]):
                    path.unlink()
            elif path in self._files or path == self.folder / OUT:
                shutil.rmtree(path)
        for path, data in self._files.items():
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)


def _place(error: BaseException) -> str:
    """Return the last line of this project that an error passed."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f"{Path(f.filename).name}:{f.lineno}" for f in frames if "/ace_ros/" in f.filename]
    return own[-1] if own else "not in ace_ros"


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data


def _copy_plain(source: str, target: str) -> None:
    if os.path.isfile(source) and os.stat(source).st_blocks < 1 << 20:
        shutil.copyfile(source, target)
        os.truncate(target, os.path.getsize(source))


@contextmanager
def _time_limit() -> Iterator[None]:
    def interrupt(_: int, __: FrameType | None) -> None:
        raise _TooLongError(f"took longer than {MAX_SECONDS} s")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, MAX_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def limit_memory(more_bytes: int) -> None:
    """Let the process take only so much more memory, so that a bomb ends in an error and not the machine."""
    held = 1024 * _status("VmData")
    resource.setrlimit(resource.RLIMIT_DATA, (held + more_bytes, resource.RLIM_INFINITY))


def peak_bytes() -> int:
    """Return the most memory that the process held since `_forget_peak`."""
    return 1024 * _status("VmHWM")


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _status(key: str) -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith(f"{key}:"))
    return int(line.split()[1])
