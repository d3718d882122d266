# SPDX-License-Identifier: Apache-2.0
"""One trial: a process that writes is struck; then what it confirmed is looked for, and it is done again."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import disk
from writers import Tell, Writer

from ace_ros.errors import AceError
from ace_ros.files.whole import PARTIAL

PRELOADED = {"kill": "k", "full": "f", "EIO": "e", "short write": "s"}
KINDS = ("kill", "kill in time", "full", "full tmpfs", "EIO", "short write", "permission")
TIME_LIMIT_S = 120.0


@dataclass
class Bench:
    """Where trials are made: folders, what this machine can do, and what each writer needs unhindered."""

    folder: Path
    has_library: bool
    has_tmpfs: bool
    operations: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    size: dict[str, int] = field(default_factory=dict)
    told: dict[str, list[str]] = field(default_factory=dict)

    def missing(self, kind: str) -> str:
        """Return why a kind of fault cannot be tried here; empty where it can."""
        if kind in PRELOADED and not self.has_library:
            return "no C compiler"
        if kind == "full tmpfs" and not self.has_tmpfs:
            return "mounting is not allowed"
        return ""

    def base(self, writer: Writer) -> Path:
        """Return the folder with what a writer had written before."""
        return self.folder / "base" / writer.name

    def measure(self, writer: Writer) -> None:
        """Let a writer work unhindered: what later trials begin with, and how long it takes."""
        base = self.base(writer)
        base.mkdir(parents=True)

        def work(tell: Tell) -> None:
            armed = self.has_library and disk.arm(base, "\0", 0)
            writer.work(base, Random(1), tell)
            tell(f"operations {disk.disarm() if armed else 0}")

        began = time.monotonic()
        code, lines = in_process(work)
        assert code == 0, f"{writer.name} fails without a fault: {lines}"
        self.seconds[writer.name] = time.monotonic() - began
        self.operations[writer.name] = int(lines.pop().split()[1])
        self.told[writer.name] = lines
        self.size[writer.name] = sum(p.stat().st_size for p in base.rglob("*") if p.is_file())
        writer.check(base, lines)


def in_process(work: Callable[[Tell], None], kill_after_s: float = 0.0) -> tuple[int, list[str]]:
    """Run in a process of its own; return how it ended (negative: the signal) and the lines that it told."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        code = 1
        try:
            work(lambda line: os.write(writing, f"{line}\n".encode()) and None)
            code = 0
        except BaseException:
            os.write(writing, f"traceback {traceback.format_exc()!r}\n".encode())
        finally:
            os._exit(code)
    os.close(writing)
    killer = threading.Timer(kill_after_s or TIME_LIMIT_S, os.kill, (pid, signal.SIGKILL))
    killer.start()
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    killer.cancel()
    killer.join()
    return code, data.decode().splitlines()


def trial(bench: Bench, writer: Writer, kind: str, key: str) -> bool:
    """Strike a writer once; return whether the fault came before it had ended.

    All that is random comes from the key. Raises AssertionError where something was lost.
    """
    random = Random(key)
    place = bench.folder / ("small" if kind == "full tmpfs" else "trials")
    folder = place / "struck"
    told = _begin(bench, writer, folder, goes_on=random.random() < 0.7)
    code, lines = _struck(bench, writer, kind, folder, random)
    _give_back(folder)
    errors = [line for line in lines if line.startswith("error ")]
    told += [line for line in lines if not line.startswith(("error ", "traceback "))]
    assert code in (0, -signal.SIGKILL), f"ended with {code}: {lines[-1:]}"
    assert kind != "short write" or (code == 0 and not errors), f"short writes are no error: {errors}"
    for error in errors:
        assert str(folder) in error and PARTIAL not in error, f"names no file: {error}"
    writer.check(folder, told)
    _again(writer, folder)
    shutil.rmtree(folder)
    return code != 0 or bool(errors) or kind == "short write"


def _begin(bench: Bench, writer: Writer, folder: Path, goes_on: bool) -> list[str]:
    shutil.rmtree(folder, ignore_errors=True)
    if not goes_on:
        folder.mkdir(parents=True)
        return []
    shutil.copytree(bench.base(writer), folder)
    return list(bench.told[writer.name])


def _struck(bench: Bench, writer: Writer, kind: str, folder: Path, random: Random) -> tuple[int, list[str]]:
    at = random.randint(1, max(1, bench.operations[writer.name]))
    moment_s = random.uniform(0.0, bench.seconds[writer.name])
    room = random.randint(0, bench.size[writer.name])
    ballast = disk.fill(folder.parent, room) if kind == "full tmpfs" else None
    closes = _closing(folder, random.randint(0, 3), random)

    def work(tell: Tell) -> None:
        if kind in PRELOADED:
            disk.arm(folder, PRELOADED[kind], at)
        if kind == "permission":
            disk.give_up_privileges()
        try:
            writer.work(folder, random, closes(tell) if kind == "permission" else tell)
        except (AceError, OSError) as error:
            tell(f"error {' '.join(str(error).split())}")

    try:
        return in_process(work, moment_s if kind == "kill in time" else 0.0)
    finally:
        if ballast:
            ballast.unlink()


def _closing(folder: Path, after: int, random: Random) -> Callable[[Tell], Tell]:
    """Return what takes away the right to write once so much has been told."""

    def close() -> None:
        folders = [folder, *(p for p in folder.rglob("*") if p.is_dir())]
        for one in random.sample(folders, random.randint(1, len(folders))):
            one.chmod(0o555)

    def around(tell: Tell) -> Tell:
        count = 0

        def told(line: str) -> None:
            nonlocal count
            tell(line)
            count += 1
            if count == after:
                close()

        if after == 0:
            close()
        return told

    return around


def _give_back(folder: Path) -> None:
    folder.chmod(0o755)
    for one in folder.rglob("*"):
        if one.is_dir():
            with contextlib.suppress(OSError):
                one.chmod(0o755)


def _again(writer: Writer, folder: Path) -> None:
    """Do it once more, which must succeed and leave nothing over."""

    def work(tell: Tell) -> None:
        writer.repeat(folder)

    code, lines = in_process(work)
    assert code == 0, f"the next attempt fails: {lines[-1:]}"
    hidden = [path for path in folder.rglob(".*")]
    assert not hidden, f"left over: {hidden}"
    modes = {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}
    umask = os.umask(0)
    os.umask(umask)
    assert modes <= {0o666 & ~umask}, f"modes {[oct(mode) for mode in modes]} under umask {umask:#o}"
