# SPDX-License-Identifier: Apache-2.0
"""Nodes: how they are found and what their command line says.

The behaviour is that of ROS 2's launch_ros as its own tests have it: test_launch_ros/actions/test_node.py
of github.com/ros2/launch_ros.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from launch import LaunchContext
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.executables import find_executable
from launch_ros.parameter_descriptions import ParameterValue, evaluate_parameters
from launch_ros.substitutions import FindPackageShare

TALKER = {"package": "demo", "executable": "talker"}


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the executables' folder of a sourced package `demo` with the program `talker`."""
    marker = tmp_path / "share" / "ament_index" / "resource_index" / "packages" / "demo"
    folder = tmp_path / "lib" / "demo"
    for path in (marker, tmp_path / "share" / "demo" / "package.xml", folder / "talker"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    return folder


@pytest.fixture
def context() -> LaunchContext:
    """Return a context with the launch configurations number, word, text and flag."""
    context = LaunchContext()
    context.launch_configurations.update(number="5", word="hello", text="a: b: c", flag="true")
    return context


def command(context: LaunchContext, node: Node) -> list[str]:
    """Return a node's command line after the program."""
    return node.expand_command(context)[1][1:]


def test_packages_and_their_programs_are_found(programs: Path, context: LaunchContext) -> None:
    prefix = programs.parents[1]
    assert FindPackageShare(["de", "mo"]).perform(context) == str(prefix / "share" / "demo")
    assert find_executable("demo", "talker") == str(programs / "talker")
    (programs / "data").touch(mode=0o644)
    for name in ("data", "nope"):
        with pytest.raises(FileNotFoundError, match=f"executable '{name}' not found on the libexec dir"):
            find_executable("demo", name)
    with pytest.raises(KeyError, match="package 'nope' not found, searching: "):
        Node(package="nope", executable="talker").expand_command(context)


def test_a_node_gets_name_namespace_remappings_and_arguments(programs: Path, context: LaunchContext) -> None:
    node = Node(
        **TALKER,
        name="speaker",
        namespace=["rob", LaunchConfiguration("number")],
        arguments=["--flag", LaunchConfiguration("word")],
        remappings=[("chatter", ["/", LaunchConfiguration("word")])],
    )
    assert command(context, node) == [
        *("--flag", "hello", "--ros-args", "-r", "__node:=speaker"),
        *("-r", "__ns:=/rob5", "-r", "chatter:=/hello"),
    ]
    assert command(context, Node(**TALKER)) == ["--ros-args"]


@pytest.mark.parametrize(("given", "expected"), [("a/b", "/a/b"), ("/a/", "/a"), ("/", "/"), ("", "/")])
def test_a_namespace_is_absolute(programs: Path, context: LaunchContext, given: str, expected: str) -> None:
    assert command(context, Node(**TALKER, namespace=given)) == ["--ros-args", "-r", f"__ns:={expected}"]


def test_parameters_are_given_in_order(programs: Path, context: LaunchContext, capsys: Any) -> None:
    def given(arguments: list[str]) -> list[dict[str, Any]]:
        files = [arguments[i + 1] for i, part in enumerate(arguments) if part == "--params-file"]
        return [yaml.safe_load(Path(path).read_text()) for path in files]

    own = programs / "a.yaml"
    own.write_text("/**: {}")
    parameters = {"rate": LaunchConfiguration("number"), "flag": True, "list": [1.5, 2.5]}
    node = Node(**TALKER, name="n", namespace="ns", parameters=[str(own), parameters, "/missing.yaml"])
    values = {"rate": 5, "flag": True, "list": [1.5, 2.5]}
    assert given(command(context, node)) == [{"/**": {}}, {"/ns/n": {"ros__parameters": values}}]
    assert "Parameter file path is not a file: /missing.yaml" in capsys.readouterr().out
    for names, whom in (({"name": "n", "namespace": "/"}, "/n"), ({"name": "n"}, "/**"), ({}, "/**")):
        node = Node(**TALKER, **names, parameters=[{"a": "x"}])
        assert given(command(context, node)) == [{whom: {"ros__parameters": {"a": "x"}}}]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (LaunchConfiguration("number"), 5),
        (["pre_", LaunchConfiguration("number")], "pre_5"),
        ("5", "5"),
        (ParameterValue(LaunchConfiguration("number"), value_type=str), "5"),
        (ParameterValue(LaunchConfiguration("number"), value_type=float), 5.0),
        (ParameterValue(LaunchConfiguration("text"), value_type=str), "a: b: c"),
        (["a", "b"], ["a", "b"]),
        (ParameterValue(LaunchConfiguration("flag"), value_type=bool), True),
    ],
)
def test_values_have_the_type_ros_gives_them(context: LaunchContext, value: object, expected: object) -> None:
    result = evaluate_parameters(context, {"p": value})["p"]
    assert result == expected and type(result) is type(expected)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (LaunchConfiguration("text"), "'p': cannot read .* for a string, wrap it in ParameterValue"),
        ([1, "a"], r"parameter 'p': value \[1, 'a'\] is not bool, int, float, str or a list of one"),
        (None, "parameter 'p': value None is not bool"),
        (ParameterValue(LaunchConfiguration("word"), value_type=int), "invalid literal for int"),
        (ParameterValue(5, value_type=str), "value 5 is not str"),
    ],
)
def test_values_that_have_no_type_are_refused(context: LaunchContext, value: object, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        evaluate_parameters(context, {"p": value})
