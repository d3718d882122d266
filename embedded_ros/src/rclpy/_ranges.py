# SPDX-License-Identifier: Apache-2.0
"""The ranges that descriptors set for values."""

from __future__ import annotations

import math

from rcl_interfaces.msg import FloatingPointRange, IntegerRange

from .parameter import Parameter


def outside_integers(parameter: Parameter, bounds: IntegerRange) -> str | None:
    """Return why an integer is not in a range, None if it is."""
    value = parameter.value
    low, high = sorted((bounds.from_value, bounds.to_value))
    if not low <= value <= high:
        return f"Parameter {parameter.name} out of range. Min: {low}, Max: {high}, value: {value}"
    if bounds.step and value != high and (value - low) % bounds.step:
        return (
            f"The parameter value for {parameter.name} is not a valid step. "
            f"Min: {low}, max: {high}, value: {value}, step: {bounds.step}"
        )
    return None


def outside_floats(parameter: Parameter, bounds: FloatingPointRange) -> str | None:
    """Return why a number is not in a range, None if it is."""
    value = parameter.value
    low, high = sorted((bounds.from_value, bounds.to_value))
    if _close(value, low) or _close(value, high):
        return None
    if not low <= value <= high:
        return f"Parameter {parameter.name} out of range. Min: {low}, Max: {high}, value: {value}"
    if bounds.step:
        steps = round((value - low) / bounds.step)
        if not _close(low + steps * bounds.step, value):
            return (
                f"The parameter value for {parameter.name} is not close enough to a valid step. "
                f"Min: {low}, max: {high}, value: {value}, step: {bounds.step}"
            )
    return None


def _close(left: float, right: float) -> bool:
    return math.isclose(left, right, rel_tol=1e-6)
