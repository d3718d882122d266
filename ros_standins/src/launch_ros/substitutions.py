# SPDX-License-Identifier: Apache-2.0
"""Where packages are, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ament_index_python.packages import get_package_share_directory
from launch.substitutions import (
    SomeSubstitutionsType,
    Substitution,
    describe_all,
    normalize_to_list_of_substitutions,
    perform_text,
)

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext


class FindPackageShare(Substitution):
    """The share directory of a package."""

    def __init__(self, package: SomeSubstitutionsType) -> None:
        self.package = normalize_to_list_of_substitutions(package)

    def describe(self) -> str:
        return f"FindPackageShare(pkg={describe_all(self.package)})"

    def perform(self, context: LaunchContext) -> str:
        """Return the folder; raise PackageNotFoundError."""
        return get_package_share_directory(perform_text(context, self.package))
