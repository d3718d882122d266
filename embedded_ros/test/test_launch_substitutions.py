# SPDX-License-Identifier: Apache-2.0
"""Text that is known only when the launch runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from launch import LaunchContext
from launch.substitutions import (
    EnvironmentVariable,
    LaunchConfiguration,
    PathJoinSubstitution,
    PythonExpression,
    TextSubstitution,
    ThisLaunchFileDir,
)


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
