# SPDX-License-Identifier: Apache-2.0
"""Launch tests: when they run, what they can wait for, what is refused.

The behaviour is that of ROS 2's launch_pytest as its own tests have it: test/launch_pytest/test_plugin.py,
tools/test_process.py and examples, and README.md, of launch_pytest in github.com/ros2/launch.
"""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

HEAD = """
import signal
import pytest
import launch_pytest
from launch import LaunchDescription
from launch.actions import ExecuteProcess, OpaqueFunction, TimerAction
from launch_pytest.actions import ReadyToTest
from launch_pytest.tools import process as tools

def program(seconds):
    script = f"echo hello; echo world >&2; exec sleep {seconds}"
    return ExecuteProcess(cmd=["sh", "-c", script], cached_output=True)
"""


def outcomes(pytester: pytest.Pytester, code: str) -> tuple[dict[str, int], str]:
    """Run tests in a process of their own; return counts of outcomes and the output."""
    pytester.makepyfile(HEAD + code)
    installed = any(point.name == "launch_pytest" for point in entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", "launch_pytest.plugin"]
    result = pytester.runpytest_subprocess("-v", "-p", "no:cacheprovider", *plugin)
    return result.parseoutcomes(), result.stdout.str()


def test_processes_can_be_waited_for(pytester: pytest.Pytester) -> None:
    found, out = outcomes(
        pytester,
        """
@pytest.fixture
def dut():
    return program(2)

@launch_pytest.fixture
def description(dut):
    return LaunchDescription([TimerAction(period=0.5, actions=[dut])])

def says(word):
    def validate(output):
        assert output.splitlines() == [word]
    return validate

@pytest.mark.launch(fixture=description)
def test_sync(dut, launch_context):
    assert tools.wait_for_start_sync(launch_context, dut, timeout=10)
    tools.assert_output_sync(launch_context, dut, says("hello"), timeout=10)
    tools.assert_stderr_sync(launch_context, dut, says("world"), timeout=10)
    assert tools.wait_for_output_sync(launch_context, dut, lambda text: "hello" in text, timeout=10)
    assert not tools.wait_for_stderr_sync(launch_context, dut, lambda text: "never" in text, timeout=0.1)
    with pytest.raises(AssertionError):
        tools.assert_output_sync(launch_context, dut, says("never"), timeout=0.1)
    assert not tools.wait_for_start_sync(launch_context, dut, timeout=0.1)
    assert tools.wait_for_exit_sync(launch_context, dut, timeout=10)
    yield
    assert dut.return_code == 0

@pytest.mark.launch(fixture=description)
async def test_async(dut, launch_context):
    assert await tools.wait_for_start(launch_context, dut, timeout=10)
    await tools.assert_output(launch_context, dut, says("hello"), timeout=10)
    await tools.assert_stderr(launch_context, dut, says("world"), timeout=10)
    assert await tools.wait_for_exit(launch_context, dut, timeout=10)
""",
    )
    assert found == {"passed": 2}, out


def test_tests_run_beside_their_launch_or_after_its_end(pytester: pytest.Pytester) -> None:
    found, out = outcomes(
        pytester,
        """
order = []
sleeps = {}

@launch_pytest.fixture(scope="module", params=["a", "b"])
def shared(request):
    sleeps[request.param] = program(60)
    return LaunchDescription([sleeps[request.param], ReadyToTest()]), request.param

@pytest.mark.launch(fixture=shared, shutdown=True)
def test_after(shared, launch_service):
    order.append(f"after {shared[1]}")
    assert launch_service.event_loop is None
    assert sleeps[shared[1]].return_code == -signal.SIGINT

@pytest.mark.launch(fixture=shared)
def test_one(shared, launch_service, event_loop):
    order.append(f"one {shared[1]}")
    assert launch_service.event_loop is event_loop and sleeps[shared[1]].return_code is None

@pytest.mark.launch(fixture=shared)
async def test_two(shared):
    order.append(f"two {shared[1]}")

@launch_pytest.fixture
def alone():
    return LaunchDescription([program(60)])

@pytest.mark.launch(fixture=alone)
def test_generator(launch_service):
    assert launch_service.event_loop is not None
    yield
    assert launch_service.event_loop is None

def test_order():
    assert order == ["one a", "two a", "after a", "one b", "two b", "after b"]
""",
    )
    assert found == {"passed": 8}, out


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("object()", "must be either a launch description"),
        ("[object, 'a']", "must be either a launch description"),
        ("LaunchDescription([ReadyToTest(), ReadyToTest()])", "containing only one ReadyToTest action"),
        ("LaunchDescription([OpaqueFunction(function=len)])", "ended before it was ready"),
    ],
)
def test_what_cannot_be_launched_is_an_error_of_the_fixture(
    pytester: pytest.Pytester, returned: str, message: str
) -> None:
    code = f"@launch_pytest.fixture\ndef broken():\n    return {returned}\n\n"
    code += "@pytest.mark.launch(fixture=broken)\ndef test_case():\n    pass\n"
    found, out = outcomes(pytester, code)
    assert found["errors"] == 1 and "passed" not in found and message in out


@pytest.mark.parametrize(
    ("mark", "body", "message"),
    [
        ("pytest.mark.launch(fixture=fine)", "yield; yield", "must stop iteration after yielding once"),
        ("pytest.mark.launch(fixture=fine, shutdown=True)", "yield", "cannot be marked with shutdown=True"),
        ("pytest.mark.launch", "pass", "'fixture' is required in pytest.mark.launch()"),
    ],
)
def test_launch_tests_that_cannot_run_fail(
    pytester: pytest.Pytester, mark: str, body: str, message: str
) -> None:
    code = "@launch_pytest.fixture\ndef fine():\n    return LaunchDescription()\n\n"
    found, out = outcomes(pytester, f"{code}@{mark}\ndef test_case():\n    {body}\n")
    assert set(found) & {"failed", "errors"} and "passed" not in found and message in out
