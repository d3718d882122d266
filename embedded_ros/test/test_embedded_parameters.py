# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import array

import pytest
from rclpy.exceptions import (
    InvalidParameterException,
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterAlreadyDeclaredException,
    ParameterImmutableException,
    ParameterNotDeclaredException,
    ParameterUninitializedException,
)
from rclpy.parameter import Parameter, get_parameter_value, parameter_value_to_python

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)


@pytest.fixture
def node(ros):
    return ros.node("n")


def test_a_declared_parameter_has_its_default(node) -> None:
    assert node.declare_parameter("rate", 5.0).value == 5.0
    assert node.get_parameter("rate").value == 5.0
    assert node.has_parameter("rate") and not node.has_parameter("other")
    assert node.get_parameter_or("other", Parameter("other", value=3)).value == 3


@pytest.mark.parametrize(
    "value", [True, 3, 2.5, "text", [True, False], [1, 2], [0.5], ["a", "b"], [b"\1"]]
)
def test_every_kind_of_value_survives_its_message(value) -> None:
    parameter = Parameter("x", value=value)
    back = Parameter.from_parameter_msg(parameter.to_parameter_msg())
    assert (back.name, back.type_) == ("x", parameter.type_)
    assert (list(back.value) if isinstance(back.value, array.array) else back.value) == value


def test_numbers_that_were_set_are_an_array(node) -> None:
    node.declare_parameter("numbers", [1, 2])
    node.declare_parameter("shares", [0.5])
    assert isinstance(node.get_parameter("numbers").value, list)
    for name, value in (("numbers", [3, 4]), ("shares", [0.25])):
        message = Parameter(name, value=value).to_parameter_msg()
        node.set_parameters([Parameter.from_parameter_msg(message)])
    assert node.get_parameter("numbers").value == array.array("q", [3, 4])
    assert node.get_parameter("shares").value == array.array("d", [0.25])
    assert parameter_value_to_python(node.get_parameter("numbers").get_parameter_value()) == [3, 4]


def test_an_override_comes_before_the_default(ros) -> None:
    node = ros.node("m", ["--ros-args", "-p", "rate:=7.5"])
    assert node.declare_parameter("rate", 5.0).value == 7.5
    given = ros.node("k", parameter_overrides=[Parameter("rate", value=8.5)])
    assert given.declare_parameter("rate", 5.0).value == 8.5


def test_an_override_of_another_type_is_refused(ros) -> None:
    node = ros.node("m", ["--ros-args", "-p", "rate:=7"])
    with pytest.raises(InvalidParameterTypeException, match="expecting type 'DOUBLE'"):
        node.declare_parameter("rate", 5.0)


def test_undeclared_parameters_raise(node) -> None:
    with pytest.raises(ParameterNotDeclaredException):
        node.get_parameter("nothing")
    with pytest.raises(ParameterNotDeclaredException):
        node.set_parameters([Parameter("nothing", value=1)])
    with pytest.raises(ParameterNotDeclaredException):
        node.undeclare_parameter("nothing")


def test_declaring_twice_or_badly_raises(node) -> None:
    node.declare_parameter("a", 1)
    with pytest.raises(ParameterAlreadyDeclaredException):
        node.declare_parameter("a", 1)
    with pytest.raises(InvalidParameterException):
        node.declare_parameter("", 1)
    with pytest.raises(ValueError, match="PARAMETER_NOT_SET"):
        node.declare_parameter("b", None, ParameterDescriptor())


def test_a_parameter_with_a_type_and_no_value_is_uninitialized(node) -> None:
    node.declare_parameter("topic", Parameter.Type.STRING)
    with pytest.raises(ParameterUninitializedException):
        node.get_parameter("topic")
    assert node.set_parameters([Parameter("topic", value="x")])[0].successful
    assert node.get_parameter("topic").value == "x"


def test_the_type_of_a_parameter_stays(node) -> None:
    node.declare_parameter("count", 1)
    result = node.set_parameters([Parameter("count", value="one")])[0]
    assert not result.successful and "Wrong parameter type" in result.reason
    assert node.get_parameter("count").value == 1


def test_dynamic_typing_lets_the_type_change(node) -> None:
    node.declare_parameter("any", None, ParameterDescriptor(dynamic_typing=True))
    assert node.set_parameters([Parameter("any", value="one")])[0].successful
    assert node.set_parameters([Parameter("any", value=1)])[0].successful


def test_read_only_parameters_are_not_set(node) -> None:
    node.declare_parameter("fixed", 1, ParameterDescriptor(read_only=True))
    result = node.set_parameters([Parameter("fixed", value=2)])[0]
    assert not result.successful and "read-only" in result.reason
    with pytest.raises(ParameterImmutableException):
        node.undeclare_parameter("fixed")


@pytest.mark.parametrize(
    ("value", "ok"), [(1.0, True), (0.0, True), (1.01, False), (float("nan"), False)]
)
def test_floating_point_ranges_are_checked(node, value: float, ok: bool) -> None:
    bounds = FloatingPointRange(from_value=0.0, to_value=1.0)
    node.declare_parameter("x", 0.5, ParameterDescriptor(floating_point_range=[bounds]))
    assert node.set_parameters([Parameter("x", value=value)])[0].successful is ok


@pytest.mark.parametrize(("value", "ok"), [(2, True), (10, True), (3, False), (12, False)])
def test_integer_ranges_and_steps_are_checked(node, value: int, ok: bool) -> None:
    bounds = IntegerRange(from_value=0, to_value=10, step=2)
    node.declare_parameter("n", 4, ParameterDescriptor(integer_range=[bounds]))
    assert node.set_parameters([Parameter("n", value=value)])[0].successful is ok


def test_a_default_out_of_range_raises(node) -> None:
    bounds = IntegerRange(from_value=0, to_value=10)
    with pytest.raises(InvalidParameterValueException, match="out of range"):
        node.declare_parameter("n", 11, ParameterDescriptor(integer_range=[bounds]))


def test_callbacks_refuse_before_and_hear_after(node) -> None:
    heard: list[object] = []

    def check(parameters: list[Parameter]) -> SetParametersResult:
        even = all(p.value % 2 == 0 for p in parameters)
        return SetParametersResult(successful=even, reason="" if even else "odd")

    node.declare_parameters("group", [("a", 0), ("b", 0)])
    node.add_on_set_parameters_callback(check)
    node.add_post_set_parameters_callback(lambda ps: heard.extend(p.value for p in ps))
    pair = [Parameter("group.a", value=2), Parameter("group.b", value=3)]
    assert node.set_parameters_atomically(pair).reason == "odd"
    assert node.get_parameter("group.a").value == 0 and heard == []
    assert [r.successful for r in node.set_parameters(pair)] == [True, False]
    assert heard == [2]
    with pytest.raises(InvalidParameterValueException, match="odd"):
        node.declare_parameter("c", 1)


def test_names_are_listed_by_prefix_and_depth(node) -> None:
    node.declare_parameters("", [("a", 1), ("b.c", 1), ("b.d.e", 1)])
    assert set(node.list_parameters([], 0).names) == {"a", "b.c", "b.d.e", "use_sim_time"}
    assert node.list_parameters(["b"], 1).names == ["b.c"]
    assert node.list_parameters(["b"], 0).prefixes == ["b", "b.d"]


def test_text_becomes_a_parameter_value() -> None:
    assert parameter_value_to_python(get_parameter_value("[1.5, 2.5]")) == [1.5, 2.5]
    assert parameter_value_to_python(get_parameter_value("{not: a value}")) == "{not: a value}"
