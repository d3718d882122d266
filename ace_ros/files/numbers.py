# SPDX-License-Identifier: Apache-2.0
"""Numbers in text files from outside: plain decimals, as C and Python both read them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ace_ros.errors import AceError
from ace_ros.files.limits import MAX_NUMBER_LENGTH


def real(text: str) -> float:
    """Return a number, which may be `nan` or `inf`. Raises ValueError, for 1_000 and foreign digits too."""
    try:
        if len(text) <= MAX_NUMBER_LENGTH and "_" not in text and text.isascii():
            return float(text)
    except ValueError:
        pass
    raise ValueError(f"{text[:20]!r} is no number")


def whole(text: str, high: int) -> int:
    """Return a whole number from 0 to `high`. Raises ValueError."""
    if not (text.isascii() and text.isdecimal() and len(text) <= MAX_NUMBER_LENGTH and int(text) <= high):
        raise ValueError(f"{text[:20]!r} is no whole number up to {high}")
    return int(text)


def finite_numbers(
    words: Sequence[str], counts: tuple[int, ...], expected: str, place: object, kind: type[AceError]
) -> list[float]:
    """Return words as finite numbers, as many as one of `counts`. Raises `kind` naming `place`."""
    try:
        values = [real(word) for word in words]
    except ValueError as error:
        raise kind(f"{place}: {error}, expected {expected}") from error
    if len(values) not in counts:
        raise kind(f"{place}: holds {len(words)} numbers, expected {expected}")
    if not all(map(math.isfinite, values)):
        raise kind(f"{place}: holds numbers that are not finite, expected {expected}")
    return values
