# SPDX-License-Identifier: Apache-2.0
"""JSON from outside, and what may be said of a value in it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from ace_ros.errors import AceError
from ace_ros.files.limits import MAX_DEPTH, MAX_NUMBER_LENGTH, MAX_WHOLE
from ace_ros.files.outside import refusing


def parse_json(text: str | bytes, place: object, kind: type[AceError], finite: bool = True) -> Any:
    """Return the value of a JSON text; its size is the caller's to limit.

    Objects may name a key once and be nested MAX_DEPTH deep, whole numbers have 64 bits; others must
    be finite, unless the text is one of ours, which may say NaN of a figure. Raises `kind`
    naming `place`.
    """
    real = _finite if finite else float
    with refusing(kind, place, "is not valid JSON"):
        value = json.loads(
            text, object_pairs_hook=_object, parse_int=_whole, parse_float=real, parse_constant=real
        )
        _check_depth(value)
    return value


def is_whole(value: Any, low: int = -MAX_WHOLE, high: int = MAX_WHOLE) -> bool:
    """Return whether a value is a whole number within limits; 1.0 and true are none."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_number(value: Any, low: float = -math.inf, high: float = math.inf) -> bool:
    """Return whether a value is a finite number within limits."""
    if is_whole(value):
        return bool(low <= value <= high)
    return isinstance(value, float) and math.isfinite(value) and low <= value <= high


def are_numbers(values: Any, count: int) -> bool:
    """Return whether a value is a list of so many finite numbers."""
    return isinstance(values, list) and len(values) == count and all(map(is_number, values))


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        refuse_twice([name for name, _ in pairs])
    return made


def refuse_twice(names: Sequence[str]) -> None:
    """Raise ValueError where a name occurs twice: one of its values would be ignored."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"the key {name[:80]!r} occurs twice")
        seen.add(name)


def _whole(text: str) -> int:
    if len(text) > MAX_NUMBER_LENGTH or abs(int(text)) > MAX_WHOLE:
        raise ValueError(f"the number {text[:20]}... has more than 64 bits")
    return int(text)


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:20]} is not a finite number")
    return value


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level := [v for v in level if isinstance(v, (dict, list))]:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} deep")
        level = [child for v in level for child in (v.values() if isinstance(v, dict) else v)]
