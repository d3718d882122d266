# SPDX-License-Identifier: Apache-2.0
"""Names of nodes, topics and services: what is valid, and what a short name stands for."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SUBSTITUTION = re.compile(r"\{(\w+)\}")


class InvalidNameError(ValueError):
    """An invalid name, with the place in it that is wrong."""

    def __init__(self, message: str, index: int) -> None:
        super().__init__(message)
        self.message = message
        self.index = index


def check_node_name(name: str) -> None:
    """Raise InvalidNameError unless `name` is a valid node name."""
    if not name:
        raise InvalidNameError("node name must not be empty", 0)
    _check_token(name, 0, "node name")


def check_namespace(namespace: str) -> None:
    """Raise InvalidNameError unless `namespace` is absolute and valid."""
    if namespace == "/":
        return
    if not namespace.startswith("/"):
        raise InvalidNameError("namespace must be absolute, it must lead with a '/'", 0)
    _check_parts(namespace, "namespace")


def expand(name: str, node: str, namespace: str, what: str = "topic name") -> str:
    """Return the absolute name that `name` stands for in a node of a namespace.

    "scan" is "/ns/scan", "~/scan" is "/ns/node/scan", "/scan" stays. Raises InvalidNameError.
    """
    if not name:
        raise InvalidNameError(f"{what} must not be empty string", 0)
    prefix = namespace.rstrip("/")
    known = {"node": node, "ns": prefix, "namespace": prefix}
    for match in _SUBSTITUTION.finditer(name):
        if match[1] not in known:
            raise InvalidNameError(f"{what} has an unknown substitution", match.start())
    full = _SUBSTITUTION.sub(lambda match: known[match[1]], name)
    if full == "~" or full.startswith("~/"):
        full = f"{prefix}/{node}{full[1:]}"
    elif not full.startswith("/"):
        full = f"{prefix}/{full}"
    _check_parts(full, what)
    return full


def _check_parts(name: str, what: str) -> None:
    if name.endswith("/"):
        raise InvalidNameError(f"{what} must not end with a forward slash", len(name) - 1)
    position = 1
    for part in name[1:].split("/"):
        if not part:
            raise InvalidNameError(f"{what} must not contain repeated '/'", position - 1)
        _check_token(part, position, what)
        position += len(part) + 1


def _check_token(token: str, position: int, what: str) -> None:
    match = _TOKEN.match(token)
    if match is None and token[0].isdigit():
        raise InvalidNameError(f"{what} token must not start with a number", position)
    end = match.end() if match else 0
    if end < len(token):
        raise InvalidNameError(
            f"{what} must not contain characters other than alphanumerics, '_', '~', '{{', or '}}'",
            position + end,
        )
