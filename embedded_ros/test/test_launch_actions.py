# SPDX-License-Identifier: Apache-2.0
"""Actions, substitutions and events of launch, run in this process with small programs."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity, LaunchService
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
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
from launch.event_handlers import OnProcessExit, OnProcessStart, OnShutdown
from launch.events import Shutdown as ShutdownEvent
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import (
    EnvironmentVariable,
    LaunchConfiguration,
    PathJoinSubstitution,
    PythonExpression,
    TextSubstitution,
    ThisLaunchFileDir,
)
from ros2_command import is_running

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that launches entities and gives exit status and printed text."""
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))

    def run_entities(*entities: LaunchDescriptionEntity) -> tuple[int, str]:
        service = LaunchService()
        service.include_launch_description(LaunchDescription(entities))
        status = service.run()
        return status, capsys.readouterr().out

    return run_entities


def shell(script: str, **kwargs: object) -> ExecuteProcess:
    """Return an action that runs a shell script and shows its output."""
    return ExecuteProcess(cmd=["sh", "-c", script], **{"output": "screen", "name": "sh", **kwargs})


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


def test_substitutions_give_text(tmp_path: Path) -> None:
    context = LaunchContext()
    context.launch_configurations["name"] = "value"

    def text(substitution: object) -> str:
        return substitution.perform(context)

    assert text(TextSubstitution(text="plain")) == "plain"
    assert text(LaunchConfiguration(["na", "me"])) == "value"
    assert text(LaunchConfiguration("unset", default=["a", 1])) == "a1"
    assert text(PathJoinSubstitution(["/a", TextSubstitution(text="b"), "c"])) == "/a/b/c"
    assert text(EnvironmentVariable("HOME")) == os.environ["HOME"]
    with pytest.raises(RuntimeError, match="launch configuration 'unset' does not exist"):
        text(LaunchConfiguration("unset"))
    with pytest.raises(RuntimeError, match="environment variable 'NOT_SET_HERE' does not exist"):
        text(EnvironmentVariable("NOT_SET_HERE"))
    with pytest.raises(TypeError, match="expected text or a substitution"):
        PathJoinSubstitution(["/a", ["b", "c"]])
    with pytest.raises(RuntimeError, match="outside of a launch file"):
        text(ThisLaunchFileDir())


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", "7"),
        ("'true' == 'true' and not False", "True"),
        ("sqrt(4) if 3 > 2 else pi", "2.0"),
        ("math.floor(2.5)", "2"),
        ("'a,b'.split(',')[1].upper()", "B"),
        ("[2 * i for i in range(3)]", "[0, 2, 4]"),
        ("f'{1:03d}'", "001"),
    ],
)
def test_python_expressions_calculate(expression: str, value: str) -> None:
    assert PythonExpression(expression).perform(LaunchContext()) == value


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "().__class__.__mro__",
        "open('/etc/passwd').read()",
        "(lambda: 1)()",
        "'{0.__class__}'.format(1)",
        "1 +",
        "import os",
    ],
)
def test_python_expressions_do_not_run_foreign_code(expression: str) -> None:
    with pytest.raises(ValueError, match="the expression"):
        PythonExpression(expression).perform(LaunchContext())


def test_python_expressions_may_use_the_modules_that_the_launch_file_lists() -> None:
    join = PythonExpression("os.path.join('a', 'b')", python_modules=["os"])
    assert join.perform(LaunchContext()) == "a/b"


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
