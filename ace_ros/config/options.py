# SPDX-License-Identifier: Apache-2.0
"""How an option is declared, described, checked and changed."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import Field, field, fields, replace
from typing import Any, TypeVar

from ace_ros.errors import ConfigError
from ace_ros.files.names import frame_name

Config = TypeVar("Config", bound="CheckedConfig")
MAX_FLOAT = sys.float_info.max  # a whole number may be larger
KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def option(
    default: Any,
    help: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
    common: bool = False,
) -> Any:
    """Declare one option of a CheckedConfig.

    Args:
        default: Its default; its type is the option's.
        help: One or two sentences: what it sets, and when to change it.
        unit: Its unit, empty where it has none.
        low: The smallest value allowed, None for any.
        high: The largest value allowed, None for any.
        choices: The values allowed, empty for any.
        live: Whether it may change while a node runs.
        common: Whether it is listed among those that many users change.
    """
    limits = {"low": low, "high": high, "choices": choices}
    return field(
        default=default, metadata={"help": help, "unit": unit, **limits, "live": live, "common": common}
    )


def help_text(f: Field[Any]) -> str:
    """Return an option's help, with its unit after what it sets."""
    text, unit = str(f.metadata["help"]), f.metadata["unit"]
    if not unit:
        return text
    what, stop, when = text.partition(". ")
    return f"{what.removesuffix('.')} [{unit}]{stop or '.'}{when}"


class CheckedConfig:
    """A frozen dataclass whose values are checked against their declarations when it is made.

    Names of frames lose leading slashes, as in tf. Raises ConfigError, which names the option.
    """

    def __post_init__(self) -> None:
        for f in fields(self):  # type: ignore[arg-type]
            if f.name.endswith("_frame") and isinstance(getattr(self, f.name), str):
                object.__setattr__(self, f.name, frame_name(getattr(self, f.name)))
            if said := complaint(f, getattr(self, f.name)):
                raise ConfigError(f"{f.name} {said}")


def complaint(f: Field[Any], value: Any) -> str:
    """Return what is wrong with a value of an option ("must be ..., got ..."), empty where nothing is."""
    default: Any = f.default
    kind, about = type(default), f.metadata
    number = kind in (int, float)
    accepted = (int, float) if kind is float else kind
    if not isinstance(value, accepted) or (isinstance(value, bool) and number):
        return f"must be {KINDS[kind]}, got {value!r:.80}"
    if number and not abs(value) <= MAX_FLOAT:
        return f"must be a finite number, got {value!r:.80}"
    unit = f" {about['unit']}" if about["unit"] else ""
    if about["low"] is not None and value < about["low"]:
        return f"must be at least {about['low']}{unit}, got {value}"
    if about["high"] is not None and value > about["high"]:
        return f"must be at most {about['high']}{unit}, got {value}"
    if about["choices"] and value not in about["choices"]:
        return f"must be one of {', '.join(about['choices'])}, got {value!r:.80}"
    return ""


def override(config: Config, changes: Mapping[str, Any]) -> Config:
    """Return a copy of a config with some options changed. Raises ConfigError for an unknown name."""
    known = [f.name for f in fields(config)]  # type: ignore[arg-type]
    for name in changes:
        if name not in known:
            raise ConfigError(f"there is no option {name!r:.80}; {suggestion(name, known)}")
    return replace(config, **changes)  # type: ignore[type-var]


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return what to say of a name that does not exist: the one most like it, or all where none is."""
    names = sorted(known)
    alike = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {alike[0]!r}?" if alike else f"known are {', '.join(names)}"
