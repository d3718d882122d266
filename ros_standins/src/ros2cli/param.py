# SPDX-License-Identifier: Apache-2.0
"""`ros2 param`: parameters of running nodes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rcl_interfaces.msg import Parameter, ParameterDescriptor
from rclpy.parameter import Parameter as Types
from rclpy.parameter import get_parameter_value, parameter_value_to_python
from rclpy.parameter_client import AsyncParameterClient
from ros2cli.cli import add_verbs
from ros2cli.graph import absolute, add_spin_time, cli_node, node_names, result_of, settle


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs of `ros2 param`."""
    listing, get, *others = add_verbs(
        parser,
        ("list", list_parameters, "[node_name]"),
        ("get", get_parameter, "node_name parameter_name"),
        ("set", set_parameter, "node_name parameter_name value"),
        ("describe", describe_parameter, "node_name parameter_name"),
    )
    get.add_argument("--hide-type", action="store_true", help="Print only the value")
    add_spin_time(listing, get, *others)


def list_parameters(args: argparse.Namespace) -> None:
    """Output a list of available parameters, of one node or of all."""
    if args.node_name:
        with _parameters_of(args) as ask:
            print(*sorted(f"  {name}" for name in ask("list_parameters").result.names), sep="\n")
        return
    with cli_node() as node:
        settle(node, args.spin_time)
        for name in dict.fromkeys(node_names(node)):
            client = AsyncParameterClient(node, name)
            if client.wait_for_services(timeout_sec=1.0):
                found = result_of(node, client.list_parameters(prefixes=[])).result.names
                print(f"{name}:", *sorted(f"  {parameter}" for parameter in found), sep="\n")


def get_parameter(args: argparse.Namespace) -> str | None:
    """Get a parameter's value."""
    with _parameters_of(args) as ask:
        values = ask("get_parameters", [args.parameter_name]).values
    if not values or values[0].type == 0:
        return "Parameter not set"
    value = parameter_value_to_python(values[0])
    word, _, several = _type_name(values[0].type).capitalize().partition(" ")
    label = f"{word} values are:" if several else f"{word} value is:"
    value = list(value) if several else value
    print(value) if args.hide_type else print(label, value)
    return None


def set_parameter(args: argparse.Namespace) -> None:
    """Set a parameter to a value in YAML and say whether the node took it.

    Like the original it exits with 0 where the node refuses.
    """
    parameter = Parameter(name=args.parameter_name, value=get_parameter_value(args.value))
    with _parameters_of(args) as ask:
        result = ask("set_parameters", [parameter]).results[0]
    reason = f": {result.reason}" if result.reason else ""
    if result.successful:
        print(f"Set parameter successful{reason}")
    else:
        print(f"Setting parameter failed{reason}", file=sys.stderr)


def describe_parameter(args: argparse.Namespace) -> str | None:
    """Show type, description and limits of a parameter."""
    with _parameters_of(args) as ask:
        descriptors = ask("describe_parameters", [args.parameter_name]).descriptors
    if not descriptors or not descriptors[0].name:
        return "Parameter not set"
    _print_descriptor(descriptors[0])
    return None


@contextmanager
def _parameters_of(args: argparse.Namespace) -> Iterator[Callable[..., object]]:
    """Give a function that asks the node of a command line; raise RuntimeError where it is not found."""
    with cli_node() as node:
        client = AsyncParameterClient(node, absolute(args.node_name))
        if not client.wait_for_services(timeout_sec=args.spin_time):
            raise RuntimeError("Node not found")
        yield lambda method, names=(): result_of(node, getattr(client, method)(list(names)))


def _type_name(number: int) -> str:
    return Types.Type(number).name.lower().replace("bool", "boolean").replace("_", " ")


def _print_descriptor(descriptor: ParameterDescriptor) -> None:
    print("Parameter name:", descriptor.name)
    print("  Type:", _type_name(descriptor.type))
    if descriptor.description:
        print("  Description:", descriptor.description)
    print("  Constraints:")
    if descriptor.read_only:
        print("    Read only: true")
    for limits in [*descriptor.floating_point_range, *descriptor.integer_range]:
        print(f"    Min value: {limits.from_value}\n    Max value: {limits.to_value}")
        if limits.step:
            print("    Step:", limits.step)
    if descriptor.additional_constraints:
        print("    Additional constraints:", descriptor.additional_constraints)
