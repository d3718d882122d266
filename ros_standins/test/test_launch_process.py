# SPDX-License-Identifier: Apache-2.0
"""How launch runs programs: their output, their end, signals, respawning."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from launch import LaunchDescription, LaunchService
from launch.actions import (
    EmitEvent,
    ExecuteProcess,
    GroupAction,
    LogInfo,
    RegisterEventHandler,
    SetEnvironmentVariable,
    SetLaunchConfiguration,
    Shutdown,
    TimerAction,
)
from launch.event_handlers import OnProcessExit, OnProcessStart, OnShutdown
from launch.events import Shutdown as ShutdownEvent

from launch_here import launch_here, shell
from ros2_command import is_running

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that launches entities and gives exit status and printed text."""
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))
    return lambda *entities: (launch_here(*entities), capsys.readouterr().out)


def test_output_is_prefixed_and_the_exit_is_reported(run: Run) -> None:
    status, out = run(shell("echo to stdout; echo to stderr >&2; exit 3"))
    assert status == 0
    assert "[INFO] [sh-1]: process started with pid [" in out
    assert "\n[sh-1] to stdout\n" in out
    assert "\n[sh-1] to stderr\n" in out
    assert "[ERROR] [sh-1]: process has died [pid " in out
    assert ", exit code 3, cmd 'sh -c echo to stdout; echo to stderr >&2; exit 3'].\n" in out


def test_a_clean_exit_is_reported_as_clean(run: Run) -> None:
    assert "[INFO] [sh-1]: process has finished cleanly [pid " in run(shell("true"))[1]


def test_the_last_line_needs_no_newline(run: Run) -> None:
    assert "[sh-1] half a line\n" in run(shell("printf 'half a line'"))[1]


def test_output_log_goes_to_the_log_file_and_stderr_to_the_screen(run: Run, tmp_path: Path) -> None:
    out = run(shell("echo quiet; echo loud >&2", output="log"))[1]
    assert "[sh-1] loud" in out
    assert "[sh-1] quiet" not in out
    (log,) = (tmp_path / "log").glob("*/launch.log")
    assert "[sh-1] quiet" in log.read_text()
    assert "process started with pid" in log.read_text()


def test_emulate_tty_gives_the_program_a_terminal(run: Run) -> None:
    script = "test -t 1 && echo terminal || echo pipe"
    assert "[sh-1] terminal\n" in run(shell(script, emulate_tty=True))[1]
    assert "[sh-1] pipe\n" in run(shell(script))[1]


def test_a_program_that_does_not_exist_is_named(run: Run) -> None:
    out = run(ExecuteProcess(cmd=["/nowhere/program"]))[1]
    assert "[ERROR] [program-1]: cannot execute '/nowhere/program': " in out


def test_environment_variables_reach_the_programs(run: Run) -> None:
    out = run(
        GroupAction(
            [
                SetEnvironmentVariable("A_B", "1"),
                shell("echo $A_B$C_D", additional_env={"C_D": "2"}),
            ]
        ),
        shell("echo only${A_B}$C_D", env={"C_D": "3"}),
    )[1]
    assert "[sh-1] 12\n" in out
    assert "[sh-2] only3\n" in out


def test_the_exit_of_one_process_can_shut_down_the_launch(run: Run) -> None:
    began = time.monotonic()
    status, out = run(shell("exec sleep 30"), shell("true", on_exit=Shutdown()))
    assert status == 0
    assert "[launch]: process[sh-2] was required: shutting down launched system" in out
    assert "[INFO] [sh-1]: sending signal 'SIGINT' to process[sh-1]" in out
    assert "exit code -2, cmd 'sh -c exec sleep 30'" in out
    assert time.monotonic() - began < 5.0


def test_event_handlers_see_start_exit_and_shutdown(run: Run) -> None:
    first, second = shell("exit 4"), shell("true")
    exits = []
    out = run(
        RegisterEventHandler(
            OnProcessStart(target_action=first, on_start=[LogInfo(msg="first started")])
        ),
        RegisterEventHandler(
            OnProcessExit(target_action=first, on_exit=lambda event, context: second)
        ),
        RegisterEventHandler(
            OnProcessExit(
                target_action=first,
                on_exit=lambda event, context: exits.append((event.process_name, event.returncode)),
            )
        ),
        RegisterEventHandler(OnShutdown(on_shutdown=LogInfo(msg="the end"))),
        first,
    )[1]
    assert exits == [("sh-1", 4)]
    assert out.index("first started") < out.index("[sh-2]: process started")
    assert out.index("[sh-2]: process started") < out.index("the end")
    assert first.return_code == 4


def test_a_respawning_process_starts_again_until_the_retries_are_used_up(run: Run) -> None:
    out = run(shell("exit 1", respawn=True, respawn_delay=0.05, respawn_max_retries=2))[1]
    assert out.count("process started with pid") == 3
    assert out.count("process has died") == 3


def test_respawning_ends_with_the_launch(run: Run) -> None:
    stop = TimerAction(period=0.5, actions=[EmitEvent(event=ShutdownEvent(reason="test"))])
    began = time.monotonic()
    out = run(shell("exit 1", respawn=True, respawn_delay=60.0), stop)[1]
    assert out.count("process started with pid") == 1
    assert time.monotonic() - began < 5.0


@pytest.mark.parametrize(("ignored", "last"), [("INT", "SIGTERM"), ("INT TERM", "SIGKILL")])
def test_a_process_that_ignores_signals_is_pressed_harder(
    run: Run, ignored: str, last: str
) -> None:
    script = f"trap '' {ignored}; echo ready; while :; do sleep 0.05; done"
    stop = TimerAction(period=0.5, actions=[Shutdown()])
    patience = {"sigterm_timeout": "0.2", "sigkill_timeout": "0.2"}
    settings = [SetLaunchConfiguration(name, value) for name, value in patience.items()]
    status, out = run(*settings, shell(script), stop)
    assert status == 0
    assert (
        "failed to terminate '0.2' seconds after receiving 'SIGINT', escalating to 'SIGTERM'" in out
    )
    assert f"sending signal '{last}' to process[sh-1]" in out
    assert f"exit code -{signal.Signals[last].value}, " in out


def test_what_a_process_started_does_not_outlive_the_launch(run: Run) -> None:
    out = run(
        shell("sleep 60 & echo child $!; exec sleep 60"),
        TimerAction(period=0.3, actions=[Shutdown()]),
    )[1]
    child = int(out.partition("[sh-1] child ")[2].split()[0])
    assert not is_running(child)


def test_the_launch_ends_with_its_processes_when_interrupted(run: Run) -> None:
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    status, out = run(shell("exec sleep 60"))
    assert status == 0
    assert "[WARNING] [launch]: user interrupted with ctrl-c (SIGINT)\n" in out
    assert "process has died [pid " in out
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_interrupt_is_passed_on(run: Run) -> None:
    trap = "trap 'n=$((n+1)); echo got $n; [ $n = 2 ] && exit 7' INT"
    script = f"n=0; {trap}; while :; do sleep 0.05; done"
    for delay in (0.5, 1.0):
        threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT)).start()
    out = run(shell(script))[1]
    assert "user interrupted with ctrl-c (SIGINT) again" in out
    assert "[sh-1] got 2" in out
    assert "exit code 7" in out


def test_the_service_can_be_shut_down_from_another_thread(run: Run) -> None:
    service = LaunchService()
    service.include_launch_description(
        LaunchDescription(
            [ExecuteProcess(cmd=[sys.executable, "-c", "import time; time.sleep(60)"])]
        )
    )
    threading.Timer(0.5, service.shutdown).start()
    began = time.monotonic()
    assert service.run() == 0
    assert time.monotonic() - began < 6.0
