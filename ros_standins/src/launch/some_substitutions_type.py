# SPDX-License-Identifier: Apache-2.0
"""The type of an argument that may be text, a substitution or a list of both."""

from __future__ import annotations

from launch.substitution import SomeSubstitutionsType

__all__ = ["SomeSubstitutionsType"]
