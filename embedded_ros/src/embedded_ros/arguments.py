# SPDX-License-Identifier: Apache-2.0
"""The part of a command line between --ros-args and --, and parameter files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

FLAGS = {
    f"--{state}-{what}-logs"
    for state in ("enable", "disable")
    for what in ("stdout", "rosout", "external-lib")
}


class ArgumentError(ValueError):
    """A ROS argument or parameter file that cannot be used."""


class Remap(NamedTuple):
    """A rule from:=to, for one node only if `node` is given."""

    node: str
    source: str
    target: str


@dataclass
class RosArguments:
    """What a command line says to ROS."""

    remaps: list[Remap] = field(default_factory=list)
    # (node pattern, parameter name, value)
    parameters: list[tuple[str, str, Any]] = field(default_factory=list)
    log_levels: list[tuple[str, str]] = field(default_factory=list)  # logger ("" is all), level

    def node_rule(self, name: str, special: str) -> str | None:
        """Return the new name or namespace (`special`: "__node", "__ns") for a node, if any."""
        accepted = {special, "__name"} if special == "__node" else {special}
        for rule in self.remaps:
            if rule.source in accepted and rule.node in ("", name):
                return rule.target
        return None

    def overrides(self, full_name: str) -> dict[str, Any]:
        """Return the parameter values given for a node; what comes later wins."""
        values: dict[str, Any] = {}
        for pattern, name, value in self.parameters:
            if matches(pattern, full_name):
                values[name] = value
        return values


def split(args: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return (arguments to ROS, the others)."""
    ros: list[str] = []
    others: list[str] = []
    inside = False
    for arg in args:
        if arg == "--ros-args":
            inside = True
        elif inside and arg == "--":
            inside = False
        else:
            (ros if inside else others).append(arg)
    return ros, others


def parse(args: Sequence[str]) -> RosArguments:
    """Read a whole command line; raise ArgumentError on an unknown or malformed ROS argument."""
    result = RosArguments()
    queue = iter(split(args)[0])
    for flag in queue:
        if flag in FLAGS:
            continue
        if flag in ("-r", "--remap"):
            result.remaps.append(_remap(_value(flag, queue)))
        elif flag in ("-p", "--param"):
            result.parameters.append(_parameter(_value(flag, queue)))
        elif flag == "--params-file":
            result.parameters += read_parameter_file(Path(_value(flag, queue)))
        elif flag == "--log-level":
            logger, _, level = _value(flag, queue).rpartition(":=")
            result.log_levels.append((logger, level))
        elif flag in ("-e", "--enclave"):
            _value(flag, queue)
        else:
            raise ArgumentError(f"unknown ROS argument {flag!r} after --ros-args")
    return result


def read_parameter_file(path: Path) -> list[tuple[str, str, Any]]:
    """Return (node pattern, parameter name, value) of a parameter file, in its order."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, yaml.YAMLError) as error:
        raise ArgumentError(f"parameter file {path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ArgumentError(f"parameter file {path}: expected a mapping of node names at the top")
    found = list(_sections(content, ""))
    if content and not found:
        raise ArgumentError(f"parameter file {path}: no node has a key 'ros__parameters'")
    return [(node, name, value) for node, values in found for name, value in flatten(values)]


def flatten(values: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Yield nested parameters by their dotted names."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from flatten(value, f"{name}.")
        else:
            yield name, _same_kind(name, value)


def parse_value(text: str) -> Any:
    """Return the value that a parameter's text on the command line stands for."""
    try:
        value = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ArgumentError(f"parameter value {text!r} is not YAML: {error}") from error
    return text if value is None else value


def matches(pattern: str, full_name: str) -> bool:
    """Return whether a node pattern (*: one level, **: any) matches "/namespace/node"."""
    if not pattern.startswith("/"):
        pattern = f"/{pattern}"
    regex = re.escape(pattern).replace(r"/\*\*", r"(/\w+)*").replace(r"\*", r"\w+")
    return re.fullmatch(regex, full_name) is not None


def _value(flag: str, queue: Iterable[str]) -> str:
    for value in queue:
        return value
    raise ArgumentError(f"ROS argument {flag} needs a value")


def _remap(text: str) -> Remap:
    source, separator, target = text.partition(":=")
    if not separator or not source or not target:
        raise ArgumentError(f"remap rule {text!r} is not of the form from:=to")
    node, colon, rest = source.partition(":")
    return Remap(node, rest, target) if colon else Remap("", source, target)


def _parameter(text: str) -> tuple[str, str, Any]:
    name, separator, value = text.partition(":=")
    if not separator or not name:
        raise ArgumentError(f"parameter rule {text!r} is not of the form name:=value")
    node, colon, rest = name.partition(":")
    pattern, name = (f"/**/{node}", rest) if colon else ("/**", name)
    return pattern, name, _same_kind(name, parse_value(value))


def _sections(content: dict[str, Any], prefix: str) -> Iterable[tuple[str, dict[str, Any]]]:
    for key, value in content.items():
        if key == "ros__parameters":
            if isinstance(value, dict):
                yield prefix or "/**", value
        elif isinstance(value, dict):
            separator = "" if not prefix or str(key).startswith("/") else "/"
            yield from _sections(value, f"{prefix}{separator}{key}")


def _same_kind(name: str, value: Any) -> Any:
    """Return a value that a parameter can hold; numbers of a mixed list become floats."""
    if isinstance(value, list):
        kinds = {type(item) for item in value}
        if kinds == {int, float}:
            return [float(item) for item in value]
        if len(kinds) > 1 or kinds - {bool, int, float, str}:
            raise ArgumentError(f"parameter {name}: a list must hold values of one simple type")
    elif not isinstance(value, (bool, int, float, str)):
        raise ArgumentError(f"parameter {name}: {value!r} is no value for a parameter")
    return value


class _Loader(yaml.SafeLoader):
    """YAML as ROS reads it: 1e-3 is a number and 2024-01-01 is text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if not tag.endswith((":timestamp", ":float"))]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"[-+]?(\d+\.\d*([eE][-+]?\d+)?|\.\d+([eE][-+]?\d+)?|\d+[eE][-+]?\d+"
        r"|\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)
