# SPDX-License-Identifier: Apache-2.0
"""Launch tests: when they run, what is refused.

The behaviour is that of ROS 2's launch_pytest as its own tests have it: test/launch_pytest/test_plugin.py
and README.md of launch_pytest in github.com/ros2/launch.
"""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

HEAD = """
import signal
import pytest
import launch_pytest
from launch import LaunchDescription
from launch.actions import ExecuteProcess, OpaqueFunction

def program():
    return ExecuteProcess(cmd=["sleep", "60"])
"""


def outcomes(pytester: pytest.Pytester, code: str) -> tuple[dict[str, int], str]:
    """Run tests in a process of their own; return counts of outcomes and the output."""
    pytester.makepyfile(HEAD + code)
    installed = any(point.name == "launch_pytest" for point in entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", "launch_pytest.plugin"]
    result = pytester.runpytest_subprocess("-v", "-p", "no:cacheprovider", *plugin)
    return result.parseoutcomes(), result.stdout.str()


def test_tests_run_beside_their_launch_and_generators_after_its_end_too(pytester: pytest.Pytester) -> None:
    found, out = outcomes(
        pytester,
        """
ended = []

@pytest.fixture
def sleep():
    action = program()
    yield action
    ended.append(action.return_code)

@launch_pytest.fixture
def alone(sleep):
    return LaunchDescription([sleep]), "more"

@pytest.mark.launch(fixture=alone)
def test_function(alone, sleep):
    assert alone[1] == "more" and sleep.return_code is None

@pytest.mark.launch(fixture=alone)
def test_generator(sleep):
    assert sleep.return_code is None
    yield
    assert sleep.return_code == -signal.SIGINT

@pytest.mark.launch(fixture=alone)
class TestClass:
    def test_method(self, sleep):
        assert sleep.return_code is None

def test_no_process_is_left():
    assert ended == [-signal.SIGINT] * 3
""",
    )
    assert found == {"passed": 4}, out


def test_one_launch_serves_the_tests_of_its_scope(pytester: pytest.Pytester) -> None:
    found, out = outcomes(
        pytester,
        """
launched = []

@launch_pytest.fixture(scope="module", params=["a", "b"])
def shared(request):
    launched.append(request.param)
    return LaunchDescription([program()])

@pytest.mark.launch(fixture=shared)
def test_one():
    pass

@pytest.mark.launch(fixture=shared)
def test_two(shared):
    assert shared.entities[0].return_code is None

def test_launches():
    assert launched == ["a", "b"]
""",
    )
    assert found == {"passed": 5}, out


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("object()", "must return a launch description or a sequence that begins with one"),
        ("[object, 'a']", "must return a launch description or a sequence that begins with one"),
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
    ("mark", "test", "message"),
    [
        ("launch(fixture=fine)", "def test_case(): yield; yield", "must stop iteration after yielding once"),
        ("launch(fixture=fine)", "async def test_case(): pass", "not a coroutine"),
        ("launch(fixture=wide)", "def test_case(): yield", "needs a launch of function scope, not of module"),
        ("launch(fixture=fine, shutdown=True)", "def test_case(): pass", "got 'shutdown'"),
        ("launch", "def test_case(): pass", "'fixture' is required in pytest.mark.launch()"),
    ],
)
def test_launch_tests_that_cannot_run_fail(
    pytester: pytest.Pytester, mark: str, test: str, message: str
) -> None:
    code = "@launch_pytest.fixture\ndef fine():\n    return LaunchDescription()\n\n"
    code += "@launch_pytest.fixture(scope='module')\ndef wide():\n    return LaunchDescription()\n\n"
    found, out = outcomes(pytester, f"{code}@pytest.mark.{mark}\n{test}\n")
    assert set(found) & {"failed", "errors"} and "passed" not in found and message in out
