# SPDX-License-Identifier: Apache-2.0
"""Command line options made from the options of a config dataclass."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import Field, fields
from typing import Any

from ace_ros.config import CheckedConfig, complaint, help_text

METAVARS = {int: "N", float: "X", str: "TEXT"}


def add_options(group: Any, options: Iterable[Field[Any]]) -> None:
    """Add `--some-name` for every option `some_name`; None stands for one that is not given.

    Args:
        group: A parser or an argument group.
        options: Fields of a CheckedConfig.
    """
    for f in options:
        flag, text = flag_of(f.name), help_text(f).replace("%", "%%")
        if isinstance(f.default, bool):
            text = f"{text} (default: {'on' if f.default else 'off'})"
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
        else:
            shown = f.default if f.default != "" else "empty"
            group.add_argument(
                flag,
                type=_reader(f),
                choices=f.metadata["choices"] or None,
                metavar=None if f.metadata["choices"] else _metavar(f),
                help=f"{text} (default: {shown})",
            )


def given_options(options: argparse.Namespace, kind: type[CheckedConfig]) -> dict[str, Any]:
    """Return what was given on the command line of a config's options, by name."""
    found = {f.name: getattr(options, f.name) for f in fields(kind)}  # type: ignore[arg-type]
    return {name: value for name, value in found.items() if value is not None}


def flag_of(name: str) -> str:
    """Return the command line option of an option's name."""
    return f"--{name.replace('_', '-')}"


def _metavar(f: Field[Any]) -> str:
    return f.metadata["unit"].upper() or METAVARS[type(f.default)]


def _reader(f: Field[Any]) -> Callable[[str], Any]:
    """Return the function that turns an argument into a value of an option, or says what is wrong with it."""

    def read(text: str) -> Any:
        value: Any = f.default
        try:
            value = type(value)(text)
        except ValueError:
            value = text  # the complaint says which kind was expected
        if said := complaint(f, value):
            raise argparse.ArgumentTypeError(said)
        return value

    return read
