# SPDX-License-Identifier: Apache-2.0
"""What mkdocs does besides: pages made from the code, and README and CONTRIBUTING as pages of the site."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(DOCS))

import generate

# Files at the root of the repository that are pages of the site.
ROOT_PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md"}
# Pages that are being written; until a file is there, the site has neither a place in the navigation nor links for it.
COMING = ("install.md", "interoperability.md", "images_do_not_arrive.md")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:)([^)#\s]+)(#[^)]*)?\)")


def coming() -> set[str]:
    """Return the pages of COMING that are not there yet."""
    return {name for name in COMING if not (DOCS / name).exists()}


def on_config(config: Any) -> Any:
    """Leave pages that are not there yet out of the navigation."""
    config.nav = _without(config.nav, coming())
    return config


def _without(nav: list[Any], names: set[str]) -> list[Any]:
    kept = []
    for entry in nav:
        ((title, below),) = entry.items()
        if isinstance(below, list):
            kept.append({title: _without(below, names)})
        elif below not in names:
            kept.append(entry)
    return kept


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Turn links to pages that are not there yet into their words."""

    def link(found: re.Match[str]) -> str:
        return found[1] if Path(found[2]).name in coming() else found[0]

    return LINK.sub(link, markdown)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are not files below docs/."""
    from mkdocs.structure.files import File

    own = {name: (ROOT / source).read_text() for source, name in ROOT_PAGES.items()}
    texts = {**generate.pages(), **{name: moved_to_docs(text) for name, text in own.items()}}
    for name, text in texts.items():
        files.append(File.generated(config, name, content=text))
    return files


def moved_to_docs(text: str) -> str:
    """Return a page of the root with links as they are seen from docs/; files outside of it become their names."""

    def link(found: re.Match[str]) -> str:
        words, target, anchor = found[1], found[2], found[3] or ""
        if target in ROOT_PAGES:
            return f"[{words}]({ROOT_PAGES[target]}{anchor})"
        if target.startswith("docs/"):
            return f"[{words}]({target.removeprefix('docs/')}{anchor})"
        return words if words.startswith("`") else f"{words} (`{target}`)"

    return LINK.sub(link, text.replace("](docs/images/", "](images/"))
