# SPDX-License-Identifier: Apache-2.0
"""`ros2 service`: which services there are, and calling them."""

from __future__ import annotations

import argparse
import time

import rclpy
import yaml

from ros2cli.graph import (
    absolute,
    add_discovery_argument,
    cli_node,
    discover,
    is_hidden,
    spin_for_result,
    wait_for,
)
from ros2cli.messages import fill, get_interface
from ros2cli.verbs import add_verb, add_verbs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs of `ros2 service`."""
    verbs = add_verbs(parser)
    verb = add_verb(verbs, "list", "Output a list of available services", list_services)
    verb.add_argument("-t", "--show-types", action="store_true", help="Also show the service type")
    verb.add_argument("-c", "--count-services", action="store_true", help="Only show their number")
    verb.add_argument("--include-hidden-services", action="store_true", help="Show hidden ones")
    add_discovery_argument(verb)
    verb = add_verb(verbs, "type", "Output a service's type", show_type)
    verb.add_argument("service_name", help="Name of the service, e.g. /add_two_ints")
    add_discovery_argument(verb)
    verb = add_verb(verbs, "call", "Call a service", call_service)
    verb.add_argument("service_name", help="Name of the service, e.g. /add_two_ints")
    verb.add_argument("service_type", help="Type, e.g. std_srvs/srv/Empty")
    verb.add_argument("values", nargs="?", default="{}", help="Request as YAML, e.g. '{a: 1}'")
    verb.add_argument("-r", "--rate", type=float, metavar="N", help="Repeat the call at N Hz")


def list_services(args: argparse.Namespace) -> None:
    """Print the names of all services."""
    with cli_node() as node:
        discover(node, args.spin_time)
        services = [
            (name, types)
            for name, types in sorted(node.get_service_names_and_types())
            if args.include_hidden_services or not is_hidden(name)
        ]
    if args.count_services:
        print(len(services))
        return
    for name, types in services:
        print(f"{name} [{', '.join(types)}]" if args.show_types else name)


def show_type(args: argparse.Namespace) -> int:
    """Print a service's type; return 1 where it is unknown."""
    name = absolute(args.service_name)
    with cli_node() as node:
        timeout = max(args.spin_time, 1.0)
        types = wait_for(node, lambda: dict(node.get_service_names_and_types()).get(name), timeout)
    types = types or []
    for type_name in types:
        print(type_name)
    return 0 if types else 1


def call_service(args: argparse.Namespace) -> str | None:
    """Call a service, once or at a rate, and print requests and responses."""
    if args.rate is not None and args.rate <= 0.0:
        return "rate must be greater than zero"
    try:
        service_type = get_interface(args.service_type, "srv")
    except ValueError:
        return "The passed service type is invalid"
    request = service_type.Request()
    try:
        fill(request, yaml.safe_load(args.values) or {})
    except (AssertionError, AttributeError, OverflowError, TypeError, ValueError) as error:
        return f"Failed to populate field: {error}"
    with cli_node() as node:
        client = node.create_client(service_type, args.service_name)
        if not client.wait_for_service(timeout_sec=0.5):
            print("waiting for service to become available...")
            client.wait_for_service()
        while rclpy.ok():
            began = time.monotonic()
            print(f"requester: making request: {request!r}\n")
            response = spin_for_result(node, client.call_async(request), args.service_name)
            print(f"response:\n{response!r}\n")
            if args.rate is None:
                return None
            time.sleep(max(0.0, began + 1.0 / args.rate - time.monotonic()))
    return None
