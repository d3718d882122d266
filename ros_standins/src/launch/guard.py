# SPDX-License-Identifier: Apache-2.0
"""A helper process that ends what a launch leaves behind, even one that was killed."""

from __future__ import annotations

import contextlib
import os
import subprocess

# The shell holds the read end of a pipe. It reaches the end of the input when this process is
# done or gone, however it went; the process groups that are then still in the list are ended.
_SCRIPT = r"""
groups=' '
while read -r what pid; do
  case $what in
    add) groups="$groups$pid " ;;
    remove) groups="${groups%% $pid *} ${groups#* $pid }" ;;
  esac
done
for pid in $groups; do kill -TERM "-$pid" 2>/dev/null; done
for turn in 1 2 3 4 5 6 7 8 9 10; do
  alive=''
  for pid in $groups; do kill -0 "-$pid" 2>/dev/null && alive=yes; done
  [ -z "$alive" ] && exit
  sleep 0.2
done
for pid in $groups; do kill -KILL "-$pid" 2>/dev/null; done
"""


class Guard:
    """The list of running children, kept in another process, started with the first child."""

    def __init__(self) -> None:
        self._shell: subprocess.Popen | None = None

    def add(self, pid: int) -> None:
        """Note a child that leads a process group."""
        if self._shell is None:
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", _SCRIPT],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                text=True,
                bufsize=1,
            )
        self._tell(f"add {pid}")

    def remove_ended(self, pid: int) -> None:
        """Forget a child that ended, unless something that it started still runs."""
        try:
            os.killpg(pid, 0)
        except ProcessLookupError:
            self._tell(f"remove {pid}")
        except PermissionError:  # a program of another user, which could not be ended anyway
            pass

    def close(self) -> None:
        """End the children's process groups that are left and the helper."""
        if self._shell is not None:
            with contextlib.suppress(BrokenPipeError):
                self._shell.stdin.close()
            self._shell.wait()
            self._shell = None

    def _tell(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._shell.stdin.write(line + "\n")


guard = Guard()
