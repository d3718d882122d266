# SPDX-License-Identifier: Apache-2.0
"""How launch runs programs: their output, their end, signals.

The behaviour is that of ROS 2's launch as its own tests have it: launch/test/launch/test_execute_local.py,
actions/test_execute_process.py and event_handlers of github.com/ros2/launch.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from launch import actions as act
from launch.actions import DeclareLaunchArgument, ExecuteProcess, LogInfo, RegisterEventHandler, Shutdown
from launch.event_handlers import OnProcessExit, OnProcessStart, OnShutdown
from launch.substitutions import LaunchConfiguration

Run = Callable[..., tuple[int, str]]


def shell(script: str, **options: object) -> ExecuteProcess:
    """Return an action that runs a shell script and shows its output."""
    return ExecuteProcess(cmd=["sh", "-c", script], **{"output": "screen", **options})


def test_output_is_prefixed_and_the_end_is_reported(run: Run) -> None:
    status, out = run(shell("echo to stdout; echo to stderr >&2; printf half; exit 3"), shell("true"))
    assert status == 0
    assert "[INFO] [sh-1]: process started with pid [" in out
    assert "\n[sh-1] to stdout\n" in out and "\n[sh-1] to stderr\n" in out and "\n[sh-1] half\n" in out
    assert "[ERROR] [sh-1]: process has died [pid " in out and ", exit code 3, cmd 'sh -c echo to" in out
    assert "[INFO] [sh-2]: process has finished cleanly [pid " in out


def test_output_log_goes_to_the_log_file_and_stderr_to_the_screen(run: Run, tmp_path: Path) -> None:
    out = run(shell("echo quiet; echo loud >&2", output="log"))[1]
    assert "[sh-1] loud" in out and "[sh-1] quiet" not in out
    (log,) = (tmp_path / "log").glob("*/launch.log")
    assert "[sh-1] quiet" in log.read_text() and "process started with pid" in log.read_text()


def test_environment_variables_reach_the_programs(run: Run) -> None:
    inner = shell("echo $A_B$C_D", additional_env={"C_D": "2"})
    group = act.GroupAction([act.SetEnvironmentVariable("A_B", "1"), inner])
    out = run(group, shell("echo outside$A_B$C_D"))[1]
    assert "[sh-1] 12\n" in out and "[sh-2] outside\n" in out


def test_a_program_that_does_not_exist_is_named(run: Run) -> None:
    out = run(ExecuteProcess(cmd=["/nowhere/program"]))[1]
    assert "[ERROR] [program-1]: cannot execute '/nowhere/program': " in out


def test_the_exit_of_one_process_can_shut_down_the_launch(run: Run) -> None:
    sleep = shell("exec sleep 60")
    status, out = run(sleep, shell("true", on_exit=Shutdown()))
    assert status == 0 and sleep.return_code == -signal.SIGINT
    assert "[launch]: process[sh-2] was required: shutting down launched system" in out
    assert "[INFO] [sh-1]: sending signal 'SIGINT' to process[sh-1]" in out


def test_event_handlers_see_start_exit_and_shutdown(run: Run) -> None:
    first, second = shell("exit 4"), shell("true")
    pids, exits = [], []
    out = run(
        RegisterEventHandler(OnProcessStart(target_action=first, on_start=[LogInfo(msg="started")])),
        RegisterEventHandler(OnProcessExit(target_action=first, on_exit=lambda event, context: second)),
        RegisterEventHandler(OnProcessStart(on_start=lambda event, context: pids.append(event.pid))),
        RegisterEventHandler(OnProcessExit(on_exit=lambda event, context: exits.append(event.returncode))),
        RegisterEventHandler(OnShutdown(on_shutdown=LogInfo(msg="the end"))),
        first,
    )[1]
    assert exits == [4, 0] and len(set(pids)) == 2
    steps = [out.index(text) for text in ("]: started", "[sh-2]: process started", "the end")]
    assert steps == sorted(steps)


def test_a_program_that_ends_is_started_again_until_the_launch_ends(run: Run) -> None:
    exits: list[int] = []

    def end_with_the_third(event: Any, context: Any) -> list[Shutdown]:
        exits.append(event.returncode)
        return [Shutdown(reason="enough")] if len(exits) == 3 else []

    wanted = LaunchConfiguration("again")
    again = shell("exit 3", respawn=wanted, respawn_delay=0.1, on_exit=end_with_the_third)
    status, out = run(DeclareLaunchArgument("again", default_value="true"), again)
    assert (status, exits) == (0, [3, 3, 3]) and out.count("[sh-1]: process started with pid [") == 3
    out = run(DeclareLaunchArgument("again", default_value="false"), shell("true", respawn="false"))[1]
    assert out.count("process started with pid [") == 1


@pytest.mark.parametrize(("ignored", "last"), [("INT", "SIGTERM"), ("INT TERM", "SIGKILL")])
def test_a_process_that_ignores_signals_is_pressed_harder(run: Run, ignored: str, last: str) -> None:
    program = shell(f"trap '' {ignored}; kill -INT $PPID; while :; do sleep 0.05; done")
    patience = [act.SetLaunchConfiguration(f"{name}_timeout", "0.2") for name in ("sigterm", "sigkill")]
    status, out = run(*patience, program)
    assert status == 0 and program.return_code == -signal.Signals[last]
    assert "failed to terminate '0.2' seconds after receiving 'SIGINT', escalating to 'SIGTERM'" in out
    assert f"sending signal '{last}' to process[sh-1]" in out


@pytest.mark.parametrize(("name", "expected"), [("INT", 0), ("TERM", 1)])
def test_a_signal_ends_the_launch_and_its_processes(run: Run, name: str, expected: int) -> None:
    trap = "trap 'echo interrupted; exit' INT"
    program = shell(f"{trap}; kill -{name} $PPID; while :; do sleep 0.05; done")
    status, out = run(program)
    assert status == expected and program.return_code == 0
    assert "user interrupted with " in out and "[sh-1] interrupted\n" in out
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
