# SPDX-License-Identifier: Apache-2.0
"""The modules `<package>.msg` and `<package>.srv`: classes made when they are asked for."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import definitions
from .message import message_class, service_class

SOURCE = Path(__file__).resolve().parents[1]


def module(name: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of an interface module such as "std_msgs.msg".

    Raises ImportError where a real ROS 2 is in front: its rclpy cannot publish our classes.
    """
    package, kind = name.split(".")
    refuse_mixture(package, kind)

    def get(attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        full = f"{package}/{kind}/{attribute}"
        half = kind == "srv" and attribute.endswith(("_Request", "_Response"))
        try:
            value = service_class(full) if kind == "srv" and not half else message_class(full)
        except definitions.InterfaceNotFoundError as error:
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}") from error
        setattr(sys.modules[name], attribute, value)
        return value

    return get, lambda: definitions.names(package, kind)


def refuse_mixture(package: str, kind: str) -> None:
    """Raise ImportError if `import rclpy` finds another ROS 2 than this one."""
    found = importlib.util.find_spec("rclpy")
    origin = Path(found.origin).resolve() if found and found.origin else None
    if origin is None or SOURCE not in origin.parents:
        raise ImportError(
            f"{package}.{kind} of the embedded runtime was found beside another rclpy ({origin}): "
            f"a ROS 2 is sourced that lacks {package}; install or build {package} for it"
        )
