# SPDX-License-Identifier: Apache-2.0
"""Trainings in processes of their own: real processes that end in every way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ace_ros.nodes.trainer_process import TrainerProcess

PROGRESS = "print('{\"event\": \"progress\", \"step\": 3}')"
RESULT = "print('{\"event\": \"result\", \"map_bytes\": 7}')"


def python(*lines: str) -> list[str]:
    return [sys.executable, "-c", "\n".join(lines)]


def run(command: list[str]) -> TrainerProcess:
    trainer = TrainerProcess(command, lambda _: None)
    assert trainer.wait(30.0) is not None
    return trainer


def wait_for_progress(trainer: TrainerProcess) -> None:
    deadline = time.monotonic() + 30.0
    while not trainer.progress:
        assert time.monotonic() < deadline, "the process told no progress"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    """Return whether a process has ended (a zombie that nobody has waited for has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_progress_and_result_are_read_and_other_output_is_not() -> None:
    trainer = run(python("print('hello')", PROGRESS, "print('[1, 2]')", RESULT))
    assert trainer.outcome.kind == "done"
    assert trainer.outcome.figures["map_bytes"] == 7 and trainer.progress["step"] == 3


def test_an_error_of_the_trainer_is_told_in_its_words() -> None:
    error = 'print(\'{"event": "error", "message": "rgb/: no images"}\')'
    outcome = run(python(error, "raise SystemExit(2)")).outcome
    assert (outcome.kind, outcome.message) == ("failed", "training failed: rgb/: no images")


def test_what_nobody_expected_ends_the_training_and_is_told() -> None:
    told: list[str] = []

    def tell(error: BaseException, where: str) -> str:
        told.append(f"{where}: {error}")
        return told[-1]

    def change(_: TrainerProcess) -> None:
        raise ValueError("nobody expected this")

    command = python(PROGRESS, "import time; time.sleep(60)")
    trainer = TrainerProcess(command, change, on_error=tell)
    outcome = trainer.wait(30.0)
    assert (outcome.kind, outcome.message) == ("failed", "following the trainer: nobody expected this")
    assert gone(trainer.pid)


def test_lines_that_are_no_events_are_left_out() -> None:
    odd = ("print('[' * 60000)", "print('null')", "print('{\"event\": [1]}')", "print('\\x00')")
    assert run(python(*odd, RESULT)).outcome.kind == "done"


def test_a_crash_is_told_with_its_last_words() -> None:
    outcome = run(python("raise ValueError('out of luck')")).outcome
    assert outcome.kind == "failed"
    assert "exit code 1" in outcome.message and "out of luck" in outcome.message


def test_an_end_without_a_result_is_a_failure() -> None:
    assert run(python("pass")).outcome.kind == "failed"


def test_a_program_that_cannot_be_started_is_a_failure() -> None:
    assert run(["/no/such/program"]).outcome.kind == "failed"


def test_a_killed_trainer_is_told_with_its_signal() -> None:
    trainer = TrainerProcess(python(PROGRESS, "import time; time.sleep(60)"), lambda _: None)
    wait_for_progress(trainer)
    os.kill(trainer.pid, signal.SIGKILL)
    outcome = trainer.wait(30.0)
    assert outcome.kind == "failed" and "SIGKILL" in outcome.message and "memory" in outcome.message


def test_cancelling_ends_the_process_and_is_no_failure() -> None:
    trainer = TrainerProcess(python(PROGRESS, "import time; time.sleep(60)"), lambda _: None)
    wait_for_progress(trainer)
    trainer.cancel()
    assert trainer.wait(30.0).kind == "cancelled" and gone(trainer.pid)


def test_a_process_that_will_not_end_is_ended_by_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ace_ros.nodes.trainer_process.KILL_AFTER_S", 0.3)
    stubborn = python("import signal, time", "signal.signal(15, signal.SIG_IGN)", PROGRESS, "time.sleep(60)")
    trainer = TrainerProcess(stubborn, lambda _: None)
    wait_for_progress(trainer)
    trainer.cancel()
    assert trainer.wait(30.0).kind == "cancelled"


def test_every_event_is_announced_and_the_end_last() -> None:
    seen: list[bool] = []
    trainer = TrainerProcess(
        python(PROGRESS, PROGRESS, RESULT), lambda t: seen.append(t.outcome is not None)
    )
    trainer.wait(30.0)
    deadline = time.monotonic() + 5.0
    while (not seen or not seen[-1]) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert seen == [False, False, True]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends children with their parent")
def test_the_trainer_ends_when_its_node_is_killed(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    child = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    node = subprocess.Popen(
        python(
            "import sys, time",
            "from ace_ros.nodes.trainer_process import TrainerProcess",
            f"TrainerProcess([sys.executable, '-c', {child!r}], lambda _: None)",
            "time.sleep(60)",
        )
    )
    deadline = time.monotonic() + 30.0
    while not (pid_file.exists() and pid_file.read_text()):
        assert time.monotonic() < deadline and node.poll() is None
        time.sleep(0.05)
    node.kill()
    node.wait()
    while not gone(int(pid_file.read_text())):
        assert time.monotonic() < deadline, "the trainer outlived its node"
        time.sleep(0.05)
