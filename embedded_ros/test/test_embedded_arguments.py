# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
from rclpy.exceptions import InvalidNodeNameException, InvalidTopicNameException
from rclpy.logging import LoggingSeverity, get_logger, set_logger_level
from rclpy.utilities import remove_ros_args

from embedded_ros import arguments, names
from embedded_ros.arguments import ArgumentError
from std_msgs.msg import String


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("scan", "/ns/scan"),
        ("/scan", "/scan"),
        ("~/scan", "/ns/node/scan"),
        ("a/b", "/ns/a/b"),
        ("{node}/x", "/ns/node/x"),
    ],
)
def test_names_are_expanded(name: str, full: str) -> None:
    assert names.expand(name, "node", "/ns") == full


@pytest.mark.parametrize("name", ["", "a//b", "a/", "1a", "a b", "a-b", "/", "~a", "{odd}/x"])
def test_invalid_names_are_refused(name: str) -> None:
    with pytest.raises(names.InvalidNameError):
        names.expand(name, "node", "/ns")


def test_a_node_refuses_invalid_names(ros) -> None:
    node = ros.node("good")
    with pytest.raises(InvalidTopicNameException, match="must not contain characters"):
        node.create_publisher(String, "bad topic", 10)
    with pytest.raises(InvalidNodeNameException):
        ros.node("bad/name")


def test_remapping_applies_to_topics_name_and_namespace(ros) -> None:
    args = "--ros-args -r image:=/camera/image -r ~/out:=result -r __ns:=/robot -r __node:=me"
    node = ros.node("original", args.split())
    assert node.get_fully_qualified_name() == "/robot/me"
    assert node.get_logger().name == "robot.me"
    assert node.resolve_topic_name("image") == "/camera/image"
    assert node.resolve_topic_name("~/out") == "/robot/result"
    assert node.resolve_topic_name("other") == "/robot/other"
    assert node.create_publisher(String, "image", 1).topic_name == "/camera/image"


def test_a_rule_for_another_node_does_not_apply(ros) -> None:
    node = ros.node("a", "--ros-args -r b:x:=y -r a:z:=w".split())
    assert node.resolve_topic_name("x") == "/x"
    assert node.resolve_topic_name("z") == "/w"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1), ("1.0", 1.0), ("1e-3", 1e-3), ("true", True), ("hello", "hello"), ("'1'", "1"),
        ("[1, 2]", [1, 2]), ("[1, 2.5]", [1.0, 2.5]), ("2024-01-01", "2024-01-01"), ("", ""),
        (".inf", float("inf")), ("a: b", None),
    ],
)  # fmt: skip
def test_parameter_values_are_read_as_yaml(text: str, value: object) -> None:
    if value is None:
        with pytest.raises(ArgumentError):
            arguments.parse(["--ros-args", "-p", f"x:={text}"])
        return
    found = arguments.parse(["--ros-args", "-p", f"x:={text}"]).overrides("/n")["x"]
    assert found == value and type(found) is type(value)


def test_a_parameter_file_reaches_the_nodes_that_it_names(ros, tmp_path: Path) -> None:
    file = tmp_path / "parameters.yaml"
    file.write_text(
        "/**:\n  ros__parameters: {everywhere: 1, ransac: {hypotheses: 64}}\n"
        "mapper:\n  ros__parameters: {rate: 5.0}\n"
        "/robot/mapper:\n  ros__parameters: {rate: 7.0}\n"
        "robot:\n  mapper:\n    ros__parameters: {nested: [a, b]}\n"
        "/*/mapper:\n  ros__parameters: {level: one}\n"
        "other:\n  ros__parameters: {rate: 9.0}\n"
    )
    args = ["--ros-args", "--params-file", str(file), "-p", "everywhere:=2"]
    node = ros.node(
        "mapper", args, namespace="/robot", automatically_declare_parameters_from_overrides=True
    )
    values = {name: p.value for name, p in node.get_parameters_by_prefix("").items()}
    del values["use_sim_time"]
    assert values == {
        "everywhere": 2, "ransac.hypotheses": 64, "rate": 7.0, "nested": ["a", "b"], "level": "one",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["- 1\n", "a: {b: 1}\n", "a: [\n"])
def test_a_bad_parameter_file_is_named(text: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(ArgumentError, match=r"bad\.yaml"):
        arguments.parse(["--ros-args", "--params-file", str(file)])
    with pytest.raises(ArgumentError, match="missing"):
        arguments.parse(["--ros-args", "--params-file", str(tmp_path / "missing.yaml")])


@pytest.mark.parametrize("args", [["-r", "x"], ["-p", "y"], ["--odd"], ["-r"]])
def test_malformed_ros_arguments_are_refused(args: list[str]) -> None:
    with pytest.raises(ArgumentError):
        arguments.parse(["--ros-args", *args])


def test_the_program_keeps_its_own_arguments() -> None:
    line = ["prog", "a", "--ros-args", "-r", "x:=y", "--", "b"]
    assert remove_ros_args(line) == ["prog", "a", "b"]


def test_log_levels_and_filters(ros, capsys: pytest.CaptureFixture[str]) -> None:
    node = ros.node("speaker", "--ros-args --log-level speaker:=debug".split())
    logger = node.get_logger()
    logger.debug("fine")
    for i in range(3):
        logger.warning(f"often {i}", throttle_duration_sec=60.0)
        logger.info(f"once {i}", once=True)
        logger.error(f"later {i}", skip_first=True)
    set_logger_level("speaker", LoggingSeverity.ERROR)
    logger.info("hidden")
    with pytest.raises(TypeError):
        logger.info("odd", throttle=1)
    texts = [line.split("]: ")[1] for line in capsys.readouterr().err.splitlines()]
    assert texts == ["fine", "often 0", "once 0", "later 1", "later 2"]


def test_log_lines_have_the_format_of_ros(capsys: pytest.CaptureFixture[str]) -> None:
    import re

    get_logger("a").get_child("b").warn("text")
    line = capsys.readouterr().err
    assert re.fullmatch(r"\[WARN\] \[\d{10}\.\d{9}\] \[a\.b\]: text\n", line)
