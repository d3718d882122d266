# SPDX-License-Identifier: Apache-2.0
"""The command `ace_ros`."""

from __future__ import annotations

import sys

from ace_ros.compute.interrupts import catch_interrupts, interrupted_status


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status; Ctrl-C ends it quietly from the first import on."""
    catch_interrupts()
    try:
        from ace_ros.cli import parser
    except BaseException:
        if not interrupted_status():
            raise
        print("ace_ros: interrupted; nothing was written", file=sys.stderr)
        return interrupted_status()
    return parser.main(arguments)


__all__ = ["main"]
