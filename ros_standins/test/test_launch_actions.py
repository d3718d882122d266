# SPDX-License-Identifier: Apache-2.0
"""Actions, substitutions and events of launch, run in this process with small programs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    SetLaunchConfiguration,
    Shutdown,
    TimerAction,
)
from launch.conditions import IfCondition, LaunchConfigurationEquals, UnlessCondition
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import (
    EnvironmentVariable,
    LaunchConfiguration,
)

from launch_here import launch_here, shell

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that launches entities and gives exit status and printed text."""
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))
    return lambda *entities: (launch_here(*entities), capsys.readouterr().out)


def test_an_argument_has_its_default_or_the_given_value(run: Run) -> None:
    argument = DeclareLaunchArgument("word", default_value="default")
    show = LogInfo(msg=["word is ", LaunchConfiguration("word")])
    assert "[INFO] [launch.user]: word is default\n" in run(argument, show)[1]
    out = run(SetLaunchConfiguration("word", "given"), argument, show)[1]
    assert "word is given\n" in out


def test_a_required_argument_without_a_value_ends_the_launch(run: Run) -> None:
    status, out = run(DeclareLaunchArgument("needed"), LogInfo(msg="not reached"))
    assert status == 1
    assert 'Required launch argument "needed" was not provided.' in out
    assert "not reached" not in out


def test_a_value_outside_of_the_choices_ends_the_launch(run: Run) -> None:
    argument = DeclareLaunchArgument("mode", choices=["fast", "slow"])
    status, out = run(SetLaunchConfiguration("mode", "wrong"), argument)
    assert status == 1
    assert "provided value \"wrong\" is not valid. Valid options are: ['fast', 'slow']" in out
    with pytest.raises(RuntimeError, match="not in provided choices"):
        DeclareLaunchArgument("mode", default_value="wrong", choices=["fast"])


def test_conditions_choose_actions(run: Run) -> None:
    out = run(
        SetLaunchConfiguration("on", "True"),
        LogInfo(msg="if", condition=IfCondition(LaunchConfiguration("on"))),
        LogInfo(msg="unless", condition=UnlessCondition(LaunchConfiguration("on"))),
        LogInfo(msg="equal", condition=LaunchConfigurationEquals("on", "True")),
        LogInfo(msg="differs", condition=LaunchConfigurationEquals("on", "False")),
    )[1]
    assert "[launch.user]: if\n" in out
    assert "[launch.user]: equal\n" in out
    assert "unless" not in out
    assert "differs" not in out


def test_a_condition_that_is_neither_true_nor_false_is_an_error(run: Run) -> None:
    status, out = run(LogInfo(msg="x", condition=IfCondition("maybe")))
    assert status == 1
    assert "invalid condition expression 'maybe'" in out


def test_a_scoped_group_keeps_its_settings_to_itself(run: Run) -> None:
    show = [
        LogInfo(msg=["see ", LaunchConfiguration("a", default="no a")]),
        LogInfo(msg=["see ", EnvironmentVariable("LAUNCH_TEST", default_value="no variable")]),
    ]
    inside = [SetLaunchConfiguration("a", "inner"), SetEnvironmentVariable("LAUNCH_TEST", "set")]
    out = run(GroupAction([*inside, *show]), *show)[1]
    seen = [line.partition("see ")[2] for line in out.splitlines() if "see " in line]
    assert seen == ["inner", "set", "no a", "no variable"]
    out = run(GroupAction([SetLaunchConfiguration("a", "leaks")], scoped=False), show[0])[1]
    assert "see leaks" in out


def test_a_group_without_forwarding_hides_what_is_outside(run: Run) -> None:
    inner = LogInfo(msg=[LaunchConfiguration("a", default="hidden"), " ", LaunchConfiguration("b")])
    outside = SetLaunchConfiguration("a", "outer")
    kept = {"b": LaunchConfiguration("a")}
    out = run(outside, GroupAction([inner], forwarding=False, launch_configurations=kept))[1]
    assert "[launch.user]: hidden outer\n" in out


def test_a_timer_fires_once_after_its_period(run: Run) -> None:
    began = time.monotonic()
    out = run(TimerAction(period=0.3, actions=[LogInfo(msg="time is up")]))[1]
    assert out.count("time is up") == 1
    assert 0.3 <= time.monotonic() - began < 2.0


def test_a_shutdown_cancels_timers(run: Run) -> None:
    began = time.monotonic()
    out = run(TimerAction(period=30.0, actions=[LogInfo(msg="late")]), Shutdown(reason="enough"))[1]
    assert "late" not in out
    assert time.monotonic() - began < 5.0


def test_an_opaque_function_sees_the_context_and_may_return_actions(run: Run) -> None:
    def function(context: LaunchContext, suffix: str) -> list[LogInfo]:
        return [LogInfo(msg=context.launch_configurations["a"] + suffix)]

    out = run(SetLaunchConfiguration("a", "x"), OpaqueFunction(function=function, args=["y"]))[1]
    assert "[launch.user]: xy\n" in out


def test_an_error_in_an_action_ends_processes_in_good_order(run: Run) -> None:
    def fail(context: LaunchContext) -> None:
        raise RuntimeError("this went wrong")

    status, out = run(
        shell("exec sleep 60"), TimerAction(period=0.3, actions=[OpaqueFunction(function=fail)])
    )
    assert status == 1
    assert (
        "[ERROR] [launch]: Caught exception in launch (see debug for traceback): this went wrong"
        in out
    )
    assert "exit code -2" in out


def test_an_included_file_gets_arguments_and_knows_its_folder(run: Run, tmp_path: Path) -> None:
    inner = tmp_path / "inner.launch.py"
    inner.write_text(
        "from launch import LaunchDescription\n"
        "from launch.actions import DeclareLaunchArgument, LogInfo\n"
        "from launch.substitutions import LaunchConfiguration, ThisLaunchFileDir\n"
        "def generate_launch_description():\n"
        "    return LaunchDescription([\n"
        "        DeclareLaunchArgument('word'),\n"
        "        LogInfo(msg=[LaunchConfiguration('word'), ' in ', ThisLaunchFileDir()]),\n"
        "    ])\n"
    )
    source = PythonLaunchDescriptionSource([str(tmp_path), "/inner.launch.py"])
    out = run(IncludeLaunchDescription(source, launch_arguments={"word": "hello"}.items()))[1]
    assert f"[launch.user]: hello in {tmp_path}\n" in out
    # As in ROS 2, a value that the including file happens to have is not enough.
    status, out = run(SetLaunchConfiguration("word", "x"), IncludeLaunchDescription(source))
    assert status == 1
    assert "Included launch description missing required argument 'word'" in out


def test_an_argument_that_a_nested_inclusion_gives_is_not_missing(run: Run, tmp_path: Path) -> None:
    header = (
        "from launch import LaunchDescription\n"
        "from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, LogInfo\n"
        "from launch.launch_description_sources import PythonLaunchDescriptionSource\n"
        "from launch.substitutions import LaunchConfiguration\n"
        "def generate_launch_description():\n"
    )
    inner, outer = tmp_path / "inner.launch.py", tmp_path / "outer.launch.py"
    inner.write_text(
        f"{header}    return LaunchDescription([DeclareLaunchArgument('word'),\n"
        "        LogInfo(msg=['word: ', LaunchConfiguration('word')])])\n"
    )
    outer.write_text(
        f"{header}    source = PythonLaunchDescriptionSource({str(inner)!r})\n"
        "    include = IncludeLaunchDescription(source, launch_arguments=[('word', 'given')])\n"
        "    return LaunchDescription([include])\n"
    )
    status, out = run(IncludeLaunchDescription(PythonLaunchDescriptionSource(str(outer))))
    assert status == 0
    assert "word: given" in out


def test_a_file_that_is_no_launch_file_is_named(run: Run, tmp_path: Path) -> None:
    empty = tmp_path / "empty.launch.py"
    empty.write_text("")
    status, out = run(IncludeLaunchDescription(PythonLaunchDescriptionSource(str(empty))))
    assert status == 1
    assert (
        f"'{empty}' does not contain the required function 'generate_launch_description()'" in out
    )
    missing = str(tmp_path / "missing.launch.py")
    assert (
        f"launch file '{missing}' does not exist"
        in run(IncludeLaunchDescription(PythonLaunchDescriptionSource(missing)))[1]
    )


def test_arguments_of_a_description_include_nested_and_conditional_ones() -> None:
    nested = DeclareLaunchArgument("nested", default_value="1")
    description = LaunchDescription(
        [
            DeclareLaunchArgument("plain", description="A plain one"),
            GroupAction([nested], condition=IfCondition("true")),
            DeclareLaunchArgument("plain", description="Hidden by the first"),
            RegisterEventHandler(OnProcessExit(on_exit=[DeclareLaunchArgument("late")])),
        ]
    )
    arguments = {argument.name: argument for argument in description.get_launch_arguments()}
    assert list(arguments) == ["plain", "nested", "late"]
    assert arguments["plain"].description == "A plain one"
    assert not arguments["plain"]._conditionally_included
    assert arguments["nested"]._conditionally_included
    assert arguments["late"]._conditionally_included
