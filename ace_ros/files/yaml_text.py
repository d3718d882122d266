# SPDX-License-Identifier: Apache-2.0
"""YAML from outside: plain values only, with limits on what a few lines can grow to."""

from __future__ import annotations

from typing import Any

from ace_ros.errors import AceError
from ace_ros.files.json_text import refuse_twice
from ace_ros.files.limits import MAX_DEPTH, MAX_YAML_VALUES
from ace_ros.files.outside import refusing


def parse_yaml(text: str, place: object, kind: type[AceError], instead: str = "") -> Any:
    """Return the value of a YAML text; its size is the caller's to limit. Raises `kind` naming `place`.

    Tags make no objects. A key may occur once; aliases may not grow to more than MAX_YAML_VALUES values,
    or contain themselves. `instead` says what else to do where there is no PyYAML.
    """
    try:
        import yaml
    except ImportError as error:  # optional, as the core needs none of it
        needed = "reading YAML needs PyYAML: install it with pip install 'ace_ros[extras]'"
        raise kind(f"{place}: {needed}{instead}") from error
    with refusing(kind, place, "is not valid YAML"):
        try:
            loader = yaml.SafeLoader(text)
            node = loader.get_single_node()
            if node is None:
                return None
            _check(node)
            return loader.construct_document(node)
        except yaml.YAMLError as error:
            raise kind(f"{place}: is not valid YAML: {' '.join(str(error).split())[:300]}") from error


def _check(node: Any) -> None:
    """Raise ValueError before values are made of nodes: `<<` copies, so that ten lines could take 10 GB."""
    level, depth, count = [node], 0, 1
    while level:
        depth += 1
        below = []
        for parent in level:
            below += _children(parent)
            if depth > MAX_DEPTH or count + len(below) > MAX_YAML_VALUES:
                raise ValueError(f"more than {MAX_YAML_VALUES} values, or nested more than {MAX_DEPTH} deep")
        level, count = below, count + len(below)


def _children(node: Any) -> list[Any]:
    if isinstance(node.value, str):
        return []
    if all(isinstance(child, tuple) for child in node.value):
        refuse_twice([key.value for key, _ in node.value if isinstance(key.value, str)])
        return [child for pair in node.value for child in pair]
    return list(node.value)
