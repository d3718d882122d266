# SPDX-License-Identifier: Apache-2.0
"""Config files: options as `name: value` in YAML, or the same names in a JSON object."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from ace_ros.config import CheckedConfig, complaint, help_text, suggestion
from ace_ros.errors import ConfigError
from ace_ros.files.json_text import parse_json
from ace_ros.files.limits import MAX_CONFIG_BYTES
from ace_ros.files.outside import read_text
from ace_ros.files.yaml_text import parse_yaml

WIDTH = 100


def read_config(path: Path, kind: type[CheckedConfig]) -> dict[str, Any]:
    """Return the options that a file sets, by name.

    Args:
        path: A YAML file, or a JSON file whose name ends in `.json`.
        kind: The dataclass whose options they are.

    Raises:
        ConfigError: The file cannot be read, or one of its options does not exist or has a wrong value;
            the sentence names the file and the option.
    """
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    result = {}
    for name, value in _contents(path).items():
        if name not in known:
            raise ConfigError(
                f"{path}: there is no option {str(name)[:80]!r}; {suggestion(str(name)[:80], known)}"
            )
        value = _as_number(known[name], value)
        if said := complaint(known[name], value):
            raise ConfigError(f"{path}: {name} {said}")
        result[name] = value
    return result


def config_text(config: CheckedConfig) -> str:
    """Return a config as YAML that `read_config` reads back, each option below its help."""
    common = [f for f in fields(config) if f.metadata["common"]]  # type: ignore[arg-type]
    others = [f for f in fields(config) if not f.metadata["common"]]  # type: ignore[arg-type]
    lines: list[str] = []
    for f in [*common, *others]:
        lines += [f"# {line}" for line in textwrap.wrap(help_text(f), WIDTH)]
        lines.append(f"{f.name}: {_value_text(getattr(config, f.name))}")
    return "\n".join(lines)


def _contents(path: Path) -> Mapping[Any, Any]:
    text = read_text(path, MAX_CONFIG_BYTES, ConfigError)
    if path.suffix.lower() == ".json":
        found = parse_json(text, path, ConfigError)
    else:
        instead = ", or write the options as JSON into a file that ends in .json"
        found = parse_yaml(text, path, ConfigError, instead)
        found = {} if found is None else found  # an empty file
    if not isinstance(found, Mapping):
        raise ConfigError(f"{path}: expected options as NAME: VALUE, found {found!r:.80}")
    return found


def _as_number(f: Field[Any], value: Any) -> Any:
    """Return a whole number, or a text like `1e-3`, as float where the option is one.

    YAML 1.1 takes `1e-3` for text, because it has no point.
    """
    if not isinstance(f.default, float) or isinstance(value, bool) or not isinstance(value, (int, str)):
        return value
    try:
        return float(value)
    except (ValueError, OverflowError):
        return value


def _value_text(value: bool | int | float | str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + "".join(map(_escaped, value)) + '"'
    if isinstance(value, float) and "e" in repr(value) and "." not in repr(value):
        return repr(value).replace("e", ".0e")  # 1e-06 would be text in YAML
    return repr(value)


def _escaped(character: str) -> str:
    """Return a character of a double-quoted text in YAML."""
    if character in '"\\':
        return f"\\{character}"
    if " " <= character <= "~":
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
