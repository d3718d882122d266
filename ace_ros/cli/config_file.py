# SPDX-License-Identifier: Apache-2.0
"""Config files: options as `name: value` in YAML, or the same names in a JSON object."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from ace_ros.config import CheckedConfig, complaint, help_text, suggestion
from ace_ros.errors import ConfigError

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
            raise ConfigError(f"{path}: there is no option {name!r}; {suggestion(str(name), known)}")
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
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not a text file in UTF-8") from error
    found = _from_json(path, text) if path.suffix.lower() == ".json" else _from_yaml(path, text)
    if not isinstance(found, Mapping):
        raise ConfigError(
            f"{path}: expected options as NAME: VALUE, found {json.dumps(found, default=str)[:80]}"
        )
    return found


def _from_json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{path}: is not valid JSON: {error}") from error


def _from_yaml(path: Path, text: str) -> Any:
    try:
        import yaml
    except ImportError as error:  # optional, as the core needs none of it
        raise ConfigError(
            f"{path}: reading YAML needs PyYAML: install it with pip install 'ace_ros[extras]', or write the "
            "options as JSON into a file that ends in .json"
        ) from error
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from error
    return {} if found is None else found


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
