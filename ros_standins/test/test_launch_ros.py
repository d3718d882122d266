# SPDX-License-Identifier: Apache-2.0
"""Nodes: how they are found and what their command line says."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from launch import LaunchContext
from launch.actions import GroupAction
from launch.substitutions import LaunchConfiguration, TextSubstitution
from launch_ros.actions import Node, PushRosNamespace, SetParameter
from launch_ros.executables import find_executable, list_executables
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue, evaluate_parameters
from launch_ros.substitutions import FindPackagePrefix, FindPackageShare

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
    get_package_share_path,
    get_packages_with_prefixes,
)


def make_package(prefix: Path, name: str, script: str = "") -> Path:
    """Install a package with the program `talker` as pip does: without a run bit."""
    share, programs = prefix / "share" / name, prefix / "lib" / name
    share.mkdir(parents=True)
    programs.mkdir(parents=True)
    (share / "package.xml").write_text(f"<package><name>{name}</name></package>")
    (programs / "talker").write_text(f"#!/usr/bin/env python3\n{script}\n")
    return prefix


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a sourced prefix with the package `demo`."""
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "prefix"))
    return make_package(tmp_path / "prefix", "demo")


@pytest.fixture
def context() -> LaunchContext:
    """Return a context with the launch configurations number, word and text."""
    context = LaunchContext()
    context.launch_configurations.update(number="5", word="hello", text="a: b: c")
    return context


def command(context: LaunchContext, node: Node) -> list[str]:
    """Return a node's command line after the program."""
    return node.expand_command(context)[1][2:]


def parameters_in(arguments: list[str]) -> dict[str, Any]:
    """Return the content of the last parameter file of a command line."""
    return yaml.safe_load(Path(arguments[arguments.index("--params-file") + 1]).read_text())


def test_a_sourced_prefix_has_the_package(prefix: Path) -> None:
    assert get_package_prefix("demo") == str(prefix)
    assert get_package_share_directory("demo") == str(prefix / "share" / "demo")
    assert get_package_share_path("demo") == prefix / "share" / "demo"
    assert get_packages_with_prefixes()["demo"] == str(prefix)
    context = LaunchContext()
    assert FindPackageShare("demo").perform(context) == str(prefix / "share" / "demo")
    assert FindPackagePrefix(["de", "mo"]).perform(context) == str(prefix)


def test_the_first_sourced_prefix_wins(
    prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overlay = make_package(tmp_path / "overlay", "demo")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{overlay}{os.pathsep}{prefix}")
    assert get_package_prefix("demo") == str(overlay)
    assert get_packages_with_prefixes()["demo"] == str(overlay)


def test_a_pip_installed_package_is_below_the_interpreters_prefix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    monkeypatch.setattr(sys, "prefix", str(make_package(tmp_path / "venv", "pip_demo")))
    assert get_package_share_directory("pip_demo") == str(tmp_path / "venv/share/pip_demo")
    assert list_executables("pip_demo") == ["talker"]


def test_a_source_checkout_is_found_by_its_python_package(
    prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "checkout_demo").mkdir(parents=True)
    (checkout / "checkout_demo" / "__init__.py").write_text("raise RuntimeError('executed')")
    (checkout / "package.xml").write_text("<package><name>checkout_demo</name></package>")
    (checkout / "scripts").mkdir()
    (checkout / "scripts" / "talker").write_text("#!/usr/bin/env python3\n")
    (checkout / "scripts" / "notes.txt").write_text("no program")
    monkeypatch.syspath_prepend(str(checkout))
    assert get_package_share_directory("checkout_demo") == str(checkout)
    assert list_executables("checkout_demo") == ["talker"]
    program = str(checkout / "scripts" / "talker")
    assert find_executable("checkout_demo", "talker") == [sys.executable, program]


def test_an_unknown_package_is_named_with_the_places_searched(prefix: Path) -> None:
    with pytest.raises(PackageNotFoundError) as error:
        get_package_share_directory("no_such_package")
    assert error.value.args[0].startswith("package 'no_such_package' not found, searching: [")
    assert str(prefix) in error.value.args[0]
    with pytest.raises(ValueError, match=r"'\.\./demo' is not a valid package name"):
        get_package_prefix("../demo")


def test_python_scripts_run_under_this_interpreter_even_without_a_run_bit(prefix: Path) -> None:
    program = prefix / "lib" / "demo" / "talker"
    assert not os.access(program, os.X_OK)
    assert find_executable("demo", "talker") == [sys.executable, str(program)]


def test_other_programs_run_as_they_are(prefix: Path) -> None:
    program = prefix / "lib" / "demo" / "binary"
    program.write_text("#!/bin/sh\n")
    assert list_executables("demo") == ["talker"]
    program.chmod(0o755)
    assert list_executables("demo") == ["binary", "talker"]
    assert find_executable("demo", "binary") == [str(program)]


def test_an_unknown_executable_is_named(prefix: Path) -> None:
    with pytest.raises(FileNotFoundError, match="executable 'walker' not found on the libexec dir"):
        find_executable("demo", "walker")


def test_the_runtimes_own_transform_publisher_is_a_module() -> None:
    found = find_executable("tf2_ros", "static_transform_publisher")
    assert found == [sys.executable, "-m", "tf2_ros.static_transform_publisher"]


def test_a_node_gets_name_namespace_remappings_and_arguments(
    prefix: Path, context: LaunchContext
) -> None:
    node = Node(
        package="demo",
        executable="talker",
        name="speaker",
        namespace=["rob", LaunchConfiguration("number")],
        arguments=["--flag", LaunchConfiguration("word")],
        ros_arguments=["--log-level", "debug"],
        remappings=[("chatter", ["/", LaunchConfiguration("word")])],
    )
    assert command(context, node) == [
        *("--flag", "hello", "--ros-args", "--log-level", "debug"),
        *("--ros-args", "-r", "__node:=speaker", "-r", "__ns:=/rob5", "-r", "chatter:=/hello"),
    ]
    assert node.node_name == "/rob5/speaker"


def test_namespaces_nest_and_absolute_ones_do_not(prefix: Path, context: LaunchContext) -> None:
    def namespace(*pushed: str, own: str | None = None) -> str:
        context.launch_configurations.pop("ros_namespace", None)
        for name in pushed:
            PushRosNamespace(name).execute(context)
        node = Node(package="demo", executable="talker", name="n", namespace=own)
        command(context, node)
        return node.node_name

    assert namespace() == "<node_namespace_unspecified>/n"
    assert namespace(own="/") == "/n"
    assert namespace("a", "b") == "/a/b/n"
    assert namespace("a", "/b", own="c") == "/b/c/n"
    assert namespace("a", own="/c") == "/c/n"


def test_parameters_are_written_to_a_file_for_the_node(
    prefix: Path, context: LaunchContext
) -> None:
    parameters = {"rate": LaunchConfiguration("number"), "nested": {"flag": True, "list": [1, 2.5]}}
    named = Node(
        package="demo", executable="talker", name="n", namespace="ns", parameters=[parameters]
    )
    values = {"rate": 5, "nested.flag": True, "nested.list": [1.0, 2.5]}
    assert parameters_in(command(context, named)) == {"/ns/n": {"ros__parameters": values}}
    unnamed = Node(package="demo", executable="talker", parameters=[{"a": "x"}])
    assert parameters_in(command(context, unnamed)) == {"/**": {"ros__parameters": {"a": "x"}}}


def test_parameter_files_are_passed_on_in_order(
    prefix: Path, context: LaunchContext, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [prefix / "a.yaml", prefix / "b.yaml"]
    for file in files:
        file.write_text("{}")
    missing = str(prefix / "missing.yaml")
    parameters = [str(files[0]), ParameterFile([TextSubstitution(text=str(files[1]))]), missing]
    node = Node(package="demo", executable="talker", parameters=parameters)
    arguments = command(context, node)
    expected = ["--ros-args", "--params-file", str(files[0]), "--params-file", str(files[1])]
    assert arguments == expected
    assert f"Parameter file path is not a file: {missing}" in capsys.readouterr().out


def test_global_parameters_reach_the_nodes_of_their_scope(
    prefix: Path, context: LaunchContext
) -> None:
    SetParameter("use_sim_time", True).execute(context)
    SetParameter("label", LaunchConfiguration("word")).execute(context)
    arguments = command(context, Node(package="demo", executable="talker"))
    assert arguments == ["--ros-args", "-p", "use_sim_time:=true", "-p", "label:=hello"]
    group = GroupAction([SetParameter("inner", 1)]).execute(context)
    for action in group:
        action.execute(context)
    assert len(context.launch_configurations["global_params"]) == 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (LaunchConfiguration("number"), 5),
        (LaunchConfiguration("word"), "hello"),
        (["pre_", LaunchConfiguration("number")], "pre_5"),
        ("5", "5"),
        (ParameterValue(LaunchConfiguration("number"), value_type=str), "5"),
        (ParameterValue(LaunchConfiguration("number"), value_type=float), 5.0),
        (ParameterValue(LaunchConfiguration("text"), value_type=str), "a: b: c"),
        (ParameterValue("1"), "1"),
        (["a", "b"], ["a", "b"]),
        ([True, False], [True, False]),
        ([[LaunchConfiguration("number")], ["6"]], [5, 6]),
    ],
)
def test_parameter_values_have_the_type_that_ros_gives_them(
    context: LaunchContext, value: object, expected: object
) -> None:
    result = evaluate_parameters(context, {"p": value})["p"]
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (LaunchConfiguration("text"), "for a string, wrap it in .*ParameterValue"),
        ([1, "a"], "the list of parameter 'p' mixes types"),
        (None, "parameter 'p' has the value None"),
        (ParameterValue(LaunchConfiguration("word"), value_type=int), "invalid literal for int"),
        (ParameterValue(5, value_type=str), "value '5' is not an instance of"),
    ],
)
def test_parameter_values_that_have_no_type_are_refused(
    context: LaunchContext, value: object, message: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        evaluate_parameters(context, {"p": value})
