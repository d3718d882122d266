# SPDX-License-Identifier: Apache-2.0
"""The base of everything whose text is known only when the launch runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class Substitution:
    """Text that is computed from the context when the action that holds it is executed."""

    def describe(self) -> str:
        """Return a short text for `--show-args`."""
        return type(self).__name__

    def perform(self, context: LaunchContext) -> str:
        """Return the text."""
        raise NotImplementedError


SomeSubstitutionsType = Union[str, Substitution, Iterable[Union[str, Substitution]]]  # noqa: UP007
