# SPDX-License-Identifier: Apache-2.0
"""Disks that fail on request: what this machine allows is found out, and said where it is missing.

- A preloaded library (faults.c) where there is a C compiler: kills at a chosen operation, full, EIO, short
  writes; exactly repeatable.
- A small tmpfs that is really full, where mounting is allowed, for root or in a user namespace.
- Folders without permission to write; root gives up its privileges for that.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("faults.c")
TMPFS_MB = 64
CAPABILITY_VERSION = 0x20080522
INSIDE = "FAULTS_INSIDE"  # set in the process that everything is ready for


def build(folder: Path) -> Path | None:
    """Compile the library that fails; None without a C compiler."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    library = folder / "faults.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"the library that fails could not be built: {done.stderr}", file=sys.stderr)
        return None
    return library


def preloaded(library: Path | None) -> dict[str, str]:
    """Return the environment of a process with the library, or of one without."""
    if library is None:
        return dict(os.environ)
    before = os.environ.get("LD_PRELOAD", "")
    return {**os.environ, "LD_PRELOAD": f"{library} {before}".strip()}


def namespace() -> list[str]:
    """Return the words before a command that let it mount; none where that is not allowed."""
    words = ["unshare", "--map-root-user", "--mount"]
    try:
        allowed = subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        allowed = False
    return words if allowed else []


def mount_small(folder: Path) -> bool:
    """Mount a small tmpfs on a folder; return whether that is allowed. It goes with the namespace."""
    words = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_MB}m", "faults", folder]
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def fill(disk: Path, free_bytes: int) -> Path:
    """Fill a disk up to some bytes; return the file that does it."""
    ballast = disk / "ballast"
    status = os.statvfs(disk)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, status.f_bavail * status.f_frsize - free_bytes))
    return ballast


def arm(folder: Path, kind: str, at: int) -> bool:
    """Let the preloaded library strike in this process; return whether there is one."""
    try:
        ctypes.CDLL(None).faults_arm(os.fsencode(folder), ctypes.c_char(kind.encode()), ctypes.c_long(at))
    except AttributeError:
        return False
    return True


def disarm() -> int:
    """Let it not strike any more; return how many operations it has counted."""
    library = ctypes.CDLL(None)
    library.faults_operations.restype = ctypes.c_long
    count = int(library.faults_operations())
    library.faults_arm(b"", ctypes.c_char(b"\0"), ctypes.c_long(0))
    return count


def give_up_privileges() -> None:
    """Let modes of files hold for this process even if it is root's."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)())
