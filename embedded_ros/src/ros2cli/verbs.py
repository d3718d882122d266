# SPDX-License-Identifier: Apache-2.0
"""Commands with verbs: `ros2 COMMAND VERB`."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def add_verb(
    subparsers: argparse._SubParsersAction,
    name: str,
    description: str,
    main: Callable[[argparse.Namespace], int | str | None],
) -> argparse.ArgumentParser:
    """Add a verb; its `main` returns an exit status, an error message, or None."""
    parser = subparsers.add_parser(name, help=description, description=description + ".")
    parser.set_defaults(main=main)
    return parser


def add_verbs(parser: argparse.ArgumentParser) -> argparse._SubParsersAction:
    """Prepare a command for its verbs; without one it prints its help."""

    def show_help(args: argparse.Namespace) -> int:
        parser.print_help()
        return 0

    parser.set_defaults(main=show_help)
    return parser.add_subparsers(metavar="verb", title="Verbs")
