# SPDX-License-Identifier: Apache-2.0
"""`ros2 service`: which services there are, and calling them."""

from __future__ import annotations

import argparse

from ros2cli.cli import add_verbs
from ros2cli.graph import add_spin_time, cli_node, print_names, result_of, settle
from ros2cli.messages import from_yaml, get_interface


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs of `ros2 service`."""
    listing, _ = add_verbs(
        parser,
        ("list", list_services, ""),
        ("call", call_service, "service_name service_type [values]"),
    )
    listing.add_argument("-t", "--show-types", action="store_true", help="Also show the service type")
    add_spin_time(listing)


def list_services(args: argparse.Namespace) -> None:
    """Output a list of available services."""
    with cli_node() as node:
        settle(node, args.spin_time)
        print_names(node.get_service_names_and_types(), args.show_types)


def call_service(args: argparse.Namespace) -> None:
    """Call a service with a request in YAML, such as '{data: true}', and print the response."""
    service_type = get_interface(args.service_type, "srv")
    request = from_yaml(service_type.Request, args.values)
    with cli_node() as node:
        client = node.create_client(service_type, args.service_name)
        if not client.wait_for_service(timeout_sec=5.0):
            print("waiting for service to become available...")
            client.wait_for_service()
        print(f"requester: making request: {request!r}\n")
        print(f"response:\n{result_of(node, client.call_async(request))!r}\n")
