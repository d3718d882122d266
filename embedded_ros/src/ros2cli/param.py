# SPDX-License-Identifier: Apache-2.0
"""`ros2 param`: parameters of running nodes."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import yaml
from rclpy.node import Node

from rcl_interfaces.msg import Parameter, ParameterDescriptor, ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters, SetParameters
from ros2cli.graph import add_discovery_argument, call, cli_node, discover, node_names, require_node
from ros2cli.verbs import add_verb, add_verbs

# type: (field of ParameterValue, name for `describe`, label for `get`)
_TYPES = {
    ParameterType.PARAMETER_BYTE_ARRAY: ("byte_array_value", "byte array", "Byte values are:")
}
for _field, _name in (
    ("bool", "boolean"),
    ("integer", "integer"),
    ("double", "double"),
    ("string", "string"),
):
    _scalar = getattr(ParameterType, f"PARAMETER_{_field.upper()}")
    _array = getattr(ParameterType, f"PARAMETER_{_field.upper()}_ARRAY")
    _label = _name.capitalize()
    _TYPES[_scalar] = (f"{_field}_value", _name, f"{_label} value is:")
    _TYPES[_array] = (f"{_field}_array_value", f"{_name} array", f"{_label} values are:")
_SCALARS = {
    bool: ParameterType.PARAMETER_BOOL,
    int: ParameterType.PARAMETER_INTEGER,
    float: ParameterType.PARAMETER_DOUBLE,
    str: ParameterType.PARAMETER_STRING,
}
_ARRAYS = {
    bool: ParameterType.PARAMETER_BOOL_ARRAY,
    int: ParameterType.PARAMETER_INTEGER_ARRAY,
    float: ParameterType.PARAMETER_DOUBLE_ARRAY,
    str: ParameterType.PARAMETER_STRING_ARRAY,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs of `ros2 param`."""
    verbs = add_verbs(parser)
    verb = add_verb(verbs, "list", "Output a list of available parameters", list_parameters)
    verb.add_argument("node_name", nargs="?", help="Only the parameters of this node")
    verb.add_argument("--include-hidden-nodes", action="store_true", help="Hidden nodes, too")
    verb.add_argument("--param-type", action="store_true", help="Show the types")
    add_discovery_argument(verb)
    verb = add_verb(verbs, "get", "Get parameter", get_parameter)
    verb.add_argument("node_name", help="Name of the node")
    verb.add_argument("parameter_name", help="Name of the parameter")
    verb.add_argument("--hide-type", action="store_true", help="Print only the value")
    add_discovery_argument(verb)
    verb = add_verb(verbs, "set", "Set parameter", set_parameter)
    verb.add_argument("node_name", help="Name of the node")
    verb.add_argument("parameter_name", help="Name of the parameter")
    verb.add_argument("value", help="Value of the parameter, as YAML")
    add_discovery_argument(verb)
    verb = add_verb(verbs, "describe", "Show descriptive information", describe_parameters)
    verb.add_argument("node_name", help="Name of the node")
    verb.add_argument("parameter_names", nargs="+", help="Names of the parameters")
    add_discovery_argument(verb)
    verb = add_verb(verbs, "dump", "Show all of the parameters of a node as YAML", dump_parameters)
    verb.add_argument("node_name", help="Name of the node")
    add_discovery_argument(verb)


def list_parameters(args: argparse.Namespace) -> None:
    """Print the names of parameters, of one node or of all."""
    with cli_node() as node:
        if args.node_name:
            targets = [require_node(node, args.node_name, args.spin_time)]
        else:
            discover(node, args.spin_time)
            targets = node_names(node, args.include_hidden_nodes)
        for target in targets:
            try:
                names = _names(node, target)
            except RuntimeError:
                print(
                    f"Wait for service timed out waiting for parameter services for node {target}"
                )
                continue
            if names and not args.node_name:
                print(f"{target}:")
            kinds = {}
            if args.param_type:
                kinds = {
                    d.name: f" (type: {_type_name(d)})" for d in _describe(node, target, names)
                }
            for name in names:
                print(f"  {name}{kinds.get(name, '')}")


def get_parameter(args: argparse.Namespace) -> str | None:
    """Print the value of a parameter."""
    with cli_node() as node:
        values = _values(
            node, require_node(node, args.node_name, args.spin_time), [args.parameter_name]
        )
    if not values:
        return "Parameter not set"
    value = to_python(values[0])
    label = "Parameter not set." if value is None else _TYPES[values[0].type][2]
    if args.hide_type:
        print(value)
    else:
        print(label) if value is None else print(label, value)
    return None


def set_parameter(args: argparse.Namespace) -> None:
    """Set a parameter and print whether the node took it."""
    parameter = Parameter(name=args.parameter_name, value=to_message(args.value))
    with cli_node() as node:
        target = require_node(node, args.node_name, args.spin_time)
        request = SetParameters.Request(parameters=[parameter])
        result = call(node, SetParameters, f"{target}/set_parameters", request).results[0]
    reason = f": {result.reason}" if result.reason else ""
    if result.successful:
        print(f"Set parameter successful{reason}")
    else:
        print(f"Setting parameter failed{reason}", file=sys.stderr)


def describe_parameters(args: argparse.Namespace) -> None:
    """Print type, description and limits of parameters."""
    with cli_node() as node:
        target = require_node(node, args.node_name, args.spin_time)
        for descriptor in _describe(node, target, args.parameter_names):
            _print_descriptor(descriptor)


def dump_parameters(args: argparse.Namespace) -> None:
    """Print all parameters of a node as a parameter file."""
    with cli_node() as node:
        target = require_node(node, args.node_name, args.spin_time)
        names = _names(node, target)
        values = [to_python(value) for value in _values(node, target, names)]
    tree: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        *groups, leaf = name.split(".")
        branch = tree
        for group in groups:
            branch = branch.setdefault(group, {})
        branch[leaf] = value
    print(yaml.safe_dump({target: {"ros__parameters": tree}}, default_flow_style=False))


def to_python(value: ParameterValue) -> Any:
    """Return a parameter's value, None where it is not set."""
    if value.type not in _TYPES:
        return None
    result = getattr(value, _TYPES[value.type][0])
    return result if isinstance(result, bool | int | float | str) else list(result)


def to_message(text: str) -> ParameterValue:
    """Return the value that YAML text stands for; what is no scalar or uniform list is a string."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    if isinstance(value, list) and len({type(item) for item in value}) == 1:
        kind = _ARRAYS.get(type(value[0]))
    else:
        kind = _SCALARS.get(type(value))
    if kind is None:
        kind, value = ParameterType.PARAMETER_STRING, text
    return ParameterValue(type=kind, **{_TYPES[kind][0]: value})


def _names(node: Node, target: str) -> list[str]:
    """Return the names of a node's parameters."""
    request = ListParameters.Request()
    return sorted(call(node, ListParameters, f"{target}/list_parameters", request).result.names)


def _values(node: Node, target: str, names: list[str]) -> list[ParameterValue]:
    """Return the values of a node's parameters."""
    request = GetParameters.Request(names=names)
    return list(call(node, GetParameters, f"{target}/get_parameters", request).values)


def _describe(node: Node, target: str, names: list[str]) -> list[ParameterDescriptor]:
    """Return the descriptors of a node's parameters."""
    request = DescribeParameters.Request(names=names)
    response = call(node, DescribeParameters, f"{target}/describe_parameters", request)
    return list(response.descriptors)


def _type_name(descriptor: ParameterDescriptor) -> str:
    return _TYPES[descriptor.type][1] if descriptor.type in _TYPES else "not set"


def _print_descriptor(descriptor: ParameterDescriptor) -> None:
    """Print one descriptor."""
    print("Parameter name:", descriptor.name)
    print("  Type:", _type_name(descriptor))
    if descriptor.description:
        print("  Description:", descriptor.description)
    print("  Constraints:")
    if descriptor.read_only:
        print("    Read only: true")
    for limits in [*descriptor.floating_point_range, *descriptor.integer_range][:1]:
        print("    Min value:", limits.from_value)
        print("    Max value:", limits.to_value)
        if limits.step:
            print("    Step:", limits.step)
    if descriptor.additional_constraints:
        print("    Additional constraints:", descriptor.additional_constraints)
