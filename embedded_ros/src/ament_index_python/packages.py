# SPDX-License-Identifier: Apache-2.0
"""Where packages are installed.

A package is found under the first of: the prefixes of AMENT_PREFIX_PATH; the source checkout that
Python imports it from; `sys.prefix`, where pip puts share files. In a checkout the folder of
package.xml stands for both the prefix and the share directory: `launch/` and `config/` lie in it.
"""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

from ament_index_python.checkout import editable_packages, find_checkout
from ament_index_python.search_paths import get_search_paths

_MARKERS = os.path.join("share", "ament_index", "resource_index", "packages")


class PackageNotFoundError(KeyError):
    """Raised when no prefix and no checkout has the package."""


def get_package_prefix(package_name: str) -> str:
    """Return the prefix that a package is installed in (its folder, for a source checkout).

    Raises ValueError for a malformed name and PackageNotFoundError for an unknown package.
    """
    return _locate(package_name)[0]


def get_package_share_directory(package_name: str, print_warning: bool = True) -> str:
    """Return the folder with a package's launch, config and package.xml files."""
    share = _locate(package_name)[1]
    if print_warning and not os.path.exists(share):
        warnings.warn(f"Share directory for {package_name} ({share}) does not exist.", stacklevel=2)
    return share


def get_package_share_path(package_name: str, print_warning: bool = True) -> Path:
    """Return `get_package_share_directory` as a Path."""
    return Path(get_package_share_directory(package_name, print_warning))


def get_packages_with_prefixes() -> dict[str, str]:
    """Return the installed packages and their prefixes, the first prefix of each name."""
    prefixes, sourced = get_search_paths(), _sourced_prefixes()
    found = {}
    for prefix in reversed([p for p in prefixes if p not in sourced]):
        found.update(_packages_in(prefix))
    found.update({name: str(root) for name, root in editable_packages().items()})
    for prefix in reversed([p for p in prefixes if p in sourced]):
        found.update(_packages_in(prefix))
    return found


def _packages_in(prefix: str) -> dict[str, str]:
    names = {marker.name for marker in Path(prefix, _MARKERS).glob("*")}
    names |= {path.parent.name for path in Path(prefix, "share").glob("*/package.xml")}
    return dict.fromkeys(names, prefix)


def _sourced_prefixes() -> list[str]:
    return [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]


def _locate(package_name: str) -> tuple[str, str]:
    """Return prefix and share directory of a package."""
    if re.fullmatch("[a-zA-Z0-9][a-zA-Z0-9_-]+", package_name, re.ASCII) is None:
        raise ValueError(f"'{package_name}' is not a valid package name")
    prefixes = get_search_paths()
    sourced = _sourced_prefixes()
    for prefix in prefixes:
        if prefix not in sourced:
            checkout = find_checkout(package_name)
            if checkout is not None:
                return str(checkout), str(checkout)
        share = os.path.join(prefix, "share", package_name)
        if os.path.isfile(os.path.join(prefix, _MARKERS, package_name)) or os.path.isfile(
            os.path.join(share, "package.xml")
        ):
            return prefix, share
    raise PackageNotFoundError(f"package '{package_name}' not found, searching: {prefixes}")
