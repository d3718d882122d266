# SPDX-License-Identifier: Apache-2.0
"""Where packages are, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch.substitution import SomeSubstitutionsType, Substitution
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

from ament_index_python.packages import get_package_prefix, get_package_share_directory

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

__all__ = ["FindPackagePrefix", "FindPackageShare"]


class _FindPackage(Substitution):
    """A folder of a package."""

    def __init__(self, package: SomeSubstitutionsType) -> None:
        self.package = normalize_to_list_of_substitutions(package)

    def find(self, package_name: str) -> str:
        """Return the folder; raise PackageNotFoundError."""
        raise NotImplementedError

    def describe(self) -> str:
        """Return the package's name."""
        package = " + ".join(part.describe() for part in self.package)
        return f"{type(self).__name__}(pkg={package})"

    def perform(self, context: LaunchContext) -> str:
        """Return the folder."""
        return self.find(perform_substitutions(context, self.package))


class FindPackagePrefix(_FindPackage):
    """The prefix that a package is installed in."""

    def find(self, package_name: str) -> str:
        """Return the prefix."""
        return get_package_prefix(package_name)


class FindPackageShare(_FindPackage):
    """The share directory of a package."""

    def find(self, package_name: str) -> str:
        """Return the share directory."""
        return get_package_share_directory(package_name)
