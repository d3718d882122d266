# SPDX-License-Identifier: Apache-2.0
"""`ros2 interface`: the definitions of messages and services."""

from __future__ import annotations

import argparse
import importlib
import re
from pathlib import Path

from rosbags.typesys import Stores, get_typestore

from embedded_ros.definitions import InterfaceError, definition, find_file
from embedded_ros.interfaces import SOURCE
from ros2cli.verbs import add_verb, add_verbs

_TITLES = {"msg": "Messages", "srv": "Services"}
# A field whose type is a message, e.g. "std_msgs/Header header" or "Point32[4] corners".
_NESTED = re.compile(r"\s*((?:\w+/(?:msg/)?)?[A-Z]\w*)(?:\[[^\]]*\])?\s+[a-zA-Z]")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs of `ros2 interface`."""
    verbs = add_verbs(parser)
    verb = add_verb(verbs, "list", "List all interface types available", list_interfaces)
    verb.add_argument("-m", "--only-msgs", action="store_true", help="Only messages")
    verb.add_argument("-s", "--only-srvs", action="store_true", help="Only services")
    verb = add_verb(verbs, "show", "Output the interface definition", show_interface)
    verb.add_argument("type", help="Interface, e.g. std_msgs/msg/String")
    group = verb.add_mutually_exclusive_group()
    group.add_argument("--all-comments", action="store_true", help="Show comments of nested ones")
    group.add_argument("--no-comments", action="store_true", help="Show no comments at all")


def list_interfaces(args: argparse.Namespace) -> None:
    """Print the names of all known interfaces."""
    kinds = [kind for kind in _TITLES if getattr(args, f"only_{kind}s")] or list(_TITLES)
    for kind in kinds:
        print(f"{_TITLES[kind]}:")
        for package in _packages(kind):
            for name in dir(importlib.import_module(f"{package}.{kind}")):
                print(f"    {package}/{kind}/{name}")


def show_interface(args: argparse.Namespace) -> str | None:
    """Print a definition, the fields of nested messages indented below their fields."""
    try:
        lines = _lines(args.type, not args.no_comments, args.all_comments)
    except (InterfaceError, ValueError) as error:
        return str(error)
    print("\n".join(lines))
    return None


def _lines(name: str, comments: bool, nested_comments: bool) -> list[str]:
    """Return the lines of a definition and of what is nested in it."""
    package, kind, base = _parts(name)
    result = []
    for line in _text(package, kind, base).splitlines():
        shown = line.rstrip() if comments else line.partition("#")[0].rstrip()
        if shown or comments:
            result.append(shown)
        nested = _NESTED.match(line.partition("#")[0])
        if nested:
            inner = nested[1] if "/" in nested[1] else f"{package}/{nested[1]}"
            owner, *_, type_name = inner.split("/")
            deeper = _lines(f"{owner}/msg/{type_name}", nested_comments, nested_comments)
            result += [f"\t{line}" if line else "" for line in deeper]
    return result


def _text(package: str, kind: str, base: str) -> str:
    """Return the text of an interface file.

    Of the standard messages only the fields are known, so their text has no comments.
    """
    try:
        importlib.import_module(f"{package}.{kind}")  # a source checkout is found by its module
    except ModuleNotFoundError:
        raise ValueError(f"Unknown package '{package}'") from None
    try:
        return find_file(package, kind, base).read_text(encoding="utf-8")
    except InterfaceError:
        definition(f"{package}/{kind}/{base}")  # raises where the name is unknown
    store = get_typestore(Stores.ROS2_JAZZY)
    text, _ = store.generate_msgdef(f"{package}/{kind}/{base}", ros_version=2)
    return text.partition("=" * 80)[0].rstrip()


def _parts(name: str) -> list[str]:
    """Return package, kind and name of an interface; raise ValueError for a malformed one."""
    parts = name.split("/")
    if len(parts) != 3 or parts[1] not in _TITLES:
        raise ValueError(
            f"Invalid name '{name}'. Expected three parts separated by '/', "
            "e.g. std_msgs/msg/String"
        )
    return parts


def _packages(kind: str) -> list[str]:
    """Return the packages with messages or services that this runtime can load."""
    modules = Path(SOURCE).glob(f"*/{kind}.py")
    return sorted(
        module.parent.name for module in modules if "embedded_ros.interfaces" in module.read_text()
    )
