# SPDX-License-Identifier: Apache-2.0
"""A child process whose output arrives line by line."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import signal
from collections.abc import Callable, Mapping

from launch.guard import guard

# Output that arrives after a process ended is waited for: a grandchild may hold the pipe open.
_DRAIN_S = 0.5


class Process:
    """A program in a session of its own, so that a Ctrl-C reaches it once: through the launch."""

    def __init__(self, on_line: Callable[[str, str], None]) -> None:
        """Prepare; `on_line` is called with 'stdout' or 'stderr' and each line."""
        self._on_line = on_line
        self._process: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Future] = []

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while running."""
        return None if self._process is None else self._process.returncode

    async def start(
        self,
        command: list[str],
        *,
        cwd: str | None,
        env: Mapping[str, str],
        shell: bool,
        tty: bool,
    ) -> None:
        """Start a command; with `tty` its output is a terminal. Raises OSError."""
        pairs = {source: _open_pair(tty) for source in ("stdout", "stderr")}
        options = {
            "cwd": cwd,
            "env": dict(env),
            "stdin": asyncio.subprocess.DEVNULL,
            "stdout": pairs["stdout"][1],
            "stderr": pairs["stderr"][1],
            "start_new_session": True,
        }
        try:
            if shell:
                self._process = await asyncio.create_subprocess_shell(" ".join(command), **options)
            else:
                self._process = await asyncio.create_subprocess_exec(*command, **options)
        except OSError:
            for read_end, _ in pairs.values():
                os.close(read_end)
            raise
        finally:
            for _, write_end in pairs.values():
                os.close(write_end)
        guard.add(self.pid)
        self._readers = [self._read(source, pair[0]) for source, pair in pairs.items()]

    async def wait(self) -> int:
        """Return the exit status when the program has ended and its output was passed on."""
        returncode = await self._process.wait()
        guard.remove_ended(self.pid)
        await asyncio.wait(self._readers, timeout=_DRAIN_S)
        for reader in self._readers:
            reader.cancel()
        return returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to the program, and SIGKILL to everything it started, too."""
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(self.pid, number)
            else:
                self._process.send_signal(number)

    def kill(self) -> None:
        """Kill the program and what it started if it still runs."""
        if self._process is not None and self._process.returncode is None:
            self.send_signal(signal.SIGKILL)

    def _read(self, source: str, descriptor: int) -> asyncio.Future:
        """Pass lines on as they arrive; return what ends with the output."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        pending = bytearray()

        def pass_on(text: bytes) -> None:
            self._on_line(source, text.decode(errors="replace").rstrip("\r"))

        def read() -> None:
            try:
                data = os.read(descriptor, 65536)
            except OSError:  # a terminal whose other end is closed
                data = b""
            pending.extend(data)
            *lines, rest = pending.split(b"\n")
            pending[:] = rest
            for line in lines:
                pass_on(line)
            if not data and not done.done():
                done.set_result(None)

        def close(_: asyncio.Future) -> None:
            if pending:
                pass_on(bytes(pending))
            loop.remove_reader(descriptor)
            os.close(descriptor)

        done.add_done_callback(close)
        loop.add_reader(descriptor, read)
        return done


def _open_pair(tty: bool) -> tuple[int, int]:
    """Return a descriptor to read from and one for the child to write to."""
    read_end, write_end = pty.openpty() if tty else os.pipe()
    os.set_blocking(read_end, False)
    return read_end, write_end
