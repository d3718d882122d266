# SPDX-License-Identifier: Apache-2.0
"""Packages that Python imports from a source checkout (editable install, PYTHONPATH)."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from urllib.parse import unquote, urlparse
from xml.etree import ElementTree


def package_name_of(manifest: Path) -> str | None:
    """Return the `<name>` of a package.xml, or None where the file is missing or unreadable."""
    try:
        return ElementTree.parse(manifest).getroot().findtext("name", "").strip() or None
    except (OSError, ElementTree.ParseError):
        return None


def find_checkout(package_name: str) -> Path | None:
    """Return the folder with the package's package.xml beside its Python package, or None.

    An editable install copies no share files, so the checkout is the only place that has them.
    Only the location of the Python package is looked up, nothing of it is executed.
    """
    if not package_name.isidentifier():
        return None
    try:
        spec = importlib.util.find_spec(package_name)
    except (ImportError, ValueError):
        return None
    for location in (spec.submodule_search_locations or []) if spec else []:
        root = Path(location).resolve().parent
        if package_name_of(root / "package.xml") == package_name:
            return root
    return None


def editable_packages() -> dict[str, Path]:
    """Return name and folder of every package that pip installed editable."""
    import importlib.metadata  # slow to import, and only a list of all packages needs it

    found = {}
    for distribution in importlib.metadata.distributions():
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        if origin.get("dir_info", {}).get("editable"):
            root = Path(unquote(urlparse(origin["url"]).path))
            name = package_name_of(root / "package.xml")
            if name is not None:
                found[name] = root
    return found
