# SPDX-License-Identifier: Apache-2.0
"""What launch files are made of.

The behaviour is that of ROS 2's launch as its own tests have it: launch/test/launch/actions,
conditions and substitutions of github.com/ros2/launch; test_launch_description.py for arguments.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from launch import LaunchContext, LaunchDescription
from launch import actions as act
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration as Configuration
from launch.substitutions import PathJoinSubstitution

Run = Callable[..., tuple[int, str]]
SHOW = act.LogInfo(msg=["word is ", Configuration("word", default="unset")])
INNER = """
from launch import LaunchDescription, actions, substitutions
def generate_launch_description():
    show = actions.LogInfo(msg=["word is ", substitutions.LaunchConfiguration("word")])
    return LaunchDescription([actions.DeclareLaunchArgument("word"), show])
"""
OUTER = """
from launch import LaunchDescription, actions
def generate_launch_description():
    given = [("word", "nested")]
    return LaunchDescription([actions.IncludeLaunchDescription("INNER", launch_arguments=given)])
"""


def words(output: str) -> list[str]:
    """Return what SHOW has printed."""
    return [line.partition("word is ")[2] for line in output.splitlines() if "word is " in line]


def test_an_argument_has_its_default_or_the_given_value(run: Run) -> None:
    argument = act.DeclareLaunchArgument("word", default_value="default")
    out = run(argument, SHOW, act.SetLaunchConfiguration("word", "given"), argument, SHOW)[1]
    assert "[INFO] [launch.user]: word is default\n" in out and words(out) == ["default", "given"]


def test_an_argument_without_a_value_ends_the_launch(run: Run) -> None:
    status, out = run(act.DeclareLaunchArgument("needed"), SHOW)
    assert status == 1 and 'Required launch argument "needed" was not provided.' in out and not words(out)


def test_conditions_choose_actions(run: Run) -> None:
    out = run(
        act.SetLaunchConfiguration("on", "True"),
        act.LogInfo(msg="word is if", condition=IfCondition(Configuration("on"))),
        act.LogInfo(msg="word is off", condition=IfCondition("0")),
    )[1]
    assert words(out) == ["if"]
    status, out = run(act.LogInfo(msg="x", condition=IfCondition("maybe")))
    assert status == 1 and "invalid condition expression 'maybe'" in out


def test_a_scoped_group_keeps_its_settings_to_itself(run: Run) -> None:
    found = []
    look = act.OpaqueFunction(function=lambda context: found.append(context.environment.get("LAUNCH_TEST")))
    inside = [act.SetLaunchConfiguration("word", "inner"), act.SetEnvironmentVariable("LAUNCH_TEST", "set")]
    out = run(act.GroupAction([*inside, SHOW, look]), SHOW, look)[1]
    assert words(out) == ["inner", "unset"] and found == ["set", None]
    assert words(run(act.GroupAction(inside[:1], scoped=False), SHOW)[1]) == ["inner"]


def test_a_timer_fires_once_after_its_period_unless_the_launch_ends_before(run: Run) -> None:
    began = time.monotonic()
    assert words(run(act.TimerAction(period=0.3, actions=[SHOW]))[1]) == ["unset"]
    assert time.monotonic() - began >= 0.3
    out = run(act.TimerAction(period=50.0, actions=[SHOW]), act.Shutdown(reason="enough"))[1]
    assert not words(out) and time.monotonic() - began < 10.0


def test_an_opaque_function_sees_the_context_and_may_return_actions(run: Run) -> None:
    def function(context: LaunchContext) -> list[act.LogInfo]:
        return [act.LogInfo(msg="word is " + context.launch_configurations["a"])]

    out = run(act.SetLaunchConfiguration("a", "x"), act.OpaqueFunction(function=function))[1]
    assert words(out) == ["x"]


def test_an_error_in_an_action_ends_processes_in_good_order(run: Run) -> None:
    def fail(context: LaunchContext) -> None:
        raise RuntimeError("this went wrong")

    sleep = act.ExecuteProcess(cmd=["sleep", "60"])
    status, out = run(sleep, act.TimerAction(period=0.3, actions=[act.OpaqueFunction(function=fail)]))
    assert status == 1 and sleep.return_code == -2
    assert "[ERROR] [launch]: Caught exception in launch (see debug for traceback): this went wrong" in out


def test_an_included_file_gets_its_arguments(run: Run, tmp_path: Path) -> None:
    inner, outer = tmp_path / "inner.launch.py", tmp_path / "outer.launch.py"
    inner.write_text(INNER)
    outer.write_text(OUTER.replace("INNER", str(inner)))
    source = PythonLaunchDescriptionSource([str(tmp_path), "/inner.launch.py"])
    arguments = {"word": "hello"}.items()
    assert words(run(act.IncludeLaunchDescription(source, launch_arguments=arguments))[1]) == ["hello"]
    assert words(run(act.IncludeLaunchDescription(str(outer)))[1]) == ["nested"]
    status, out = run(act.IncludeLaunchDescription(source))
    assert status == 1 and 'Required launch argument "word" was not provided.' in out


def test_a_file_that_is_no_launch_file_is_named(run: Run, tmp_path: Path) -> None:
    empty = tmp_path / "empty.launch.py"
    empty.write_text("")
    status, out = run(act.IncludeLaunchDescription(str(empty)))
    assert status == 1
    assert f"'{empty}' does not contain the required function 'generate_launch_description()'" in out
    out = run(act.IncludeLaunchDescription(str(tmp_path / "none.launch.py")))[1]
    assert f"launch file '{tmp_path}/none.launch.py' does not exist" in out


def test_arguments_of_a_description_include_those_of_groups_and_files(tmp_path: Path) -> None:
    inner = tmp_path / "inner.launch.py"
    inner.write_text(INNER)
    nested = act.DeclareLaunchArgument("nested", default_value="1")
    entities = [
        act.DeclareLaunchArgument("plain", description="A plain one"),
        act.GroupAction([nested], condition=IfCondition("false")),
        act.DeclareLaunchArgument("plain", description="Hidden by the first"),
        act.IncludeLaunchDescription(str(inner)),
    ]
    arguments = LaunchDescription(entities).get_launch_arguments()
    assert [argument.name for argument in arguments] == ["plain", "nested", "word"]
    assert arguments[0].description == "A plain one"


def test_substitutions_give_text() -> None:
    context = LaunchContext()
    context.launch_configurations["name"] = "value"
    assert Configuration(["na", "me"]).perform(context) == "value"
    assert Configuration("unset", default=["5", Configuration("name")]).perform(context) == "5value"
    assert PathJoinSubstitution(["/a", Configuration("name"), "c"]).perform(context) == "/a/value/c"
    with pytest.raises(RuntimeError, match="launch configuration 'unset' does not exist"):
        Configuration("unset").perform(context)
    with pytest.raises(TypeError, match="expected text or a substitution"):
        PathJoinSubstitution(["/a", ["b", "c"]])
