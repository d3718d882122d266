# SPDX-License-Identifier: Apache-2.0
"""Training in a process of its own: it may crash, run out of memory or be cancelled, the node stays.

The process prints one JSON object a line: `{"event": "progress", ...}` and now and then
`{"event": "cloud", ...}` while it works, then
`{"event": "result", ...}` or `{"event": "error", "message": ...}`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from ace_ros.config import override, training_preset
from ace_ros.mapping.jobs.map_job import MapJob
from ace_ros.mapping.validation import validation_in_words
from ace_ros.nodes.options import MapperConfig

KILL_AFTER_S = 10.0
STDERR_LINES = 8
MAX_LINE_CHARACTERS = 65536

# Runs in the new process before the trainer: ask Linux to end it when the node dies, however that
# happens. (A function run between fork and exec could deadlock in a process with threads.)
LAUNCHER = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
if os.getppid() != int(sys.argv[1]):  # the node died before the line above
    sys.exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True)
class Outcome:
    """How a training ended. `kind` is "done", "failed" or "cancelled"; `figures` are those of "done"."""

    kind: str
    message: str
    figures: dict[str, Any] = field(default_factory=dict)


def map_command(config: MapperConfig, scene: str, map_path: str, preset: str, budget_s: float) -> list[str]:
    """Return the command that trains a map of a scene as the mapper's options say. Raises ConfigError."""
    changes = {"refine_poses": config.refine_poses, "use_depth": config.use_depth}
    encoder = {"encoder": config.encoder} if config.encoder else {}
    training = override(training_preset(preset, budget_s), {**changes, **encoder})
    job = MapJob(scene, map_path, training, config.device, config.map_frame, config.threads, resume=True)
    return [sys.executable, "-m", "ace_ros", "map-job", job.to_json()]


class TrainerProcess:
    """A running training.

    `on_change` is called with this object, in a thread of its own, after every event and at the end.
    `on_error` is told where what nobody expected was raised, and returns a sentence.
    """

    def __init__(
        self,
        command: Sequence[str],
        on_change: Callable[[TrainerProcess], None],
        environment: Mapping[str, str] | None = None,
        on_error: Callable[[BaseException, str], str] = lambda error, where: f"{where}: {error!r}",
    ) -> None:
        self._command = list(command)
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
        self._on_change, self._on_error = on_change, on_error
        self._cancelled = False
        self._ended = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._started = threading.Event()
        self._result: dict[str, Any] = {}
        self._error = ""
        self.progress: dict[str, Any] = {}
        self.cloud: dict[str, Any] = {}
        self.outcome: Outcome | None = None
        # Linux sends the death signal when the thread that started the process ends, so one thread
        # starts it and waits for it.
        threading.Thread(target=self._run, name="trainer", daemon=True).start()
        self._started.wait()

    @property
    def pid(self) -> int | None:
        """The process id, None where it could not be started."""
        return self._process.pid if self._process else None

    def wait(self, timeout: float | None = None) -> Outcome | None:
        """Wait for the end and return it, None when it has not come within `timeout` seconds."""
        self._ended.wait(timeout)
        return self.outcome

    def cancel(self) -> None:
        """Ask the process to end, and end it by force where it does not within 10 s."""
        self._cancelled = True
        self._signal(signal.SIGTERM)
        killer = threading.Timer(KILL_AFTER_S, self._signal, (signal.SIGKILL,))
        killer.daemon = True
        killer.start()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None or self._ended.is_set():
            return
        with contextlib.suppress(ProcessLookupError):
            # The group holds the processes that the trainer started itself; it leads its own.
            os.killpg(self._process.pid, number)

    def _run(self) -> None:
        try:
            self._process = subprocess.Popen(
                self._launch_command(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment,
                start_new_session=True,
                text=True,
                errors="replace",
            )
        except Exception as error:
            self.outcome = Outcome("failed", f"the trainer could not be started: {error}")
        finally:
            self._started.set()
        if self._process is not None:
            try:
                self.outcome = self._follow(self._process)
            except BaseException as error:  # nobody would wait for the process any more
                self._signal(signal.SIGKILL)
                self._process.wait()
                self.outcome = Outcome("failed", self._on_error(error, "following the trainer"))
        self._ended.set()
        try:
            self._on_change(self)
        except Exception as error:
            self._on_error(error, "telling how the training ended")

    def _launch_command(self) -> list[str]:
        if not sys.platform.startswith("linux"):
            return self._command
        return [sys.executable, "-c", LAUNCHER, str(os.getpid()), *self._command]

    def _follow(self, process: subprocess.Popen[str]) -> Outcome:
        assert process.stdout is not None and process.stderr is not None
        last_lines: deque[str] = deque(maxlen=STDERR_LINES)
        reader = threading.Thread(target=_keep_lines, args=(process.stderr, last_lines), daemon=True)
        reader.start()
        while line := process.stdout.readline(MAX_LINE_CHARACTERS):
            self._take(line)
        code = process.wait()
        reader.join(timeout=1.0)
        return self._conclude(code, " / ".join(last_lines))

    def _take(self, line: str) -> None:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            return  # a library that prints
        if not isinstance(event, dict):
            return
        if event.get("event") == "progress":
            self.progress = event
            self._on_change(self)
        elif event.get("event") == "cloud":
            self.cloud = event
        elif event.get("event") == "result":
            self._result = event
        elif event.get("event") == "error":
            self._error = str(event.get("message", ""))

    def _conclude(self, code: int, last_lines: str) -> Outcome:
        if code == 0 and self._result:
            graded = validation_in_words(self._result.get("grade") or {}).splitlines()[0]
            return Outcome("done", f"the map is ready; {graded}", self._result)
        if self._cancelled:
            return Outcome("cancelled", "training was cancelled; no map was written")
        if self._error:
            return Outcome("failed", f"training failed: {self._error}")
        said = f"; its last words: {last_lines}" if last_lines else ""
        if code < 0:
            name = signal.Signals(-code).name
            memory = " (SIGKILL without a request mostly means: out of memory)" if name == "SIGKILL" else ""
            return Outcome("failed", f"the trainer was ended by {name}{memory}{said}")
        return Outcome("failed", f"the trainer ended with exit code {code} and no result{said}")


def _keep_lines(stream: IO[str], lines: deque[str]) -> None:
    while line := stream.readline(MAX_LINE_CHARACTERS):
        if line.strip():
            lines.append(line.strip())
