# SPDX-License-Identifier: Apache-2.0
"""Plain names: what a map, a recording or a place may be called, so that a name is never a path."""

from __future__ import annotations

import re

from ace_ros.errors import ConfigError

PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def check_name(name: str, what: str) -> str:
    """Return a plain name. Raises ConfigError where it could be a path, is empty or too long."""
    if PLAIN_NAME.fullmatch(name) is None:
        raise ConfigError(
            f"{what} {name[:80]!r} is no plain name; expected 1 to 64 letters, digits, '_' or '-'"
        )
    return name
