# SPDX-License-Identifier: Apache-2.0
"""What mkdocs does besides: pages made from the code, and README and CONTRIBUTING as pages of the site."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import generate

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
# Files at the root of the repository that are pages of the site.
ROOT_PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md"}
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:)([^)#\s]+)(#[^)]*)?\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Correct links that lead out of docs/."""
    here = (DOCS / page.file.src_uri).parent

    def link(found: re.Match[str]) -> str:
        words, target, anchor = found[1], Path(os.path.normpath(here / found[2])), found[3] or ""
        if target.is_relative_to(DOCS) or not target.is_relative_to(ROOT):
            return found[0]
        name = str(target.relative_to(ROOT))
        if name in ROOT_PAGES:
            return f"[{words}]({os.path.relpath(DOCS / ROOT_PAGES[name], here)}{anchor})"
        return words_for(words, name)

    return indented(LINK.sub(link, markdown))


def indented(markdown: str) -> str:
    """Return a page with numbered lists continued by four spaces, as this Markdown needs, not by three."""
    lines, fenced = [], False
    for line in markdown.splitlines():
        fenced ^= line.startswith("```")
        lines.append(line if fenced or not line.startswith("   ") else f" {line}")
    return "\n".join(lines)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are not files below docs/."""
    from mkdocs.structure.files import File

    own = {name: (ROOT / source).read_text() for source, name in ROOT_PAGES.items()}
    texts = {**generate.pages(), **{name: moved_to_docs(text) for name, text in own.items()}}
    for name, text in texts.items():
        files.append(File.generated(config, name, content=text))
    return files


def moved_to_docs(text: str) -> str:
    """Return a page of the root with links as seen from docs/; files outside of it become their names."""

    def link(found: re.Match[str]) -> str:
        words, target, anchor = found[1], found[2], found[3] or ""
        if target in ROOT_PAGES:
            return f"[{words}]({ROOT_PAGES[target]}{anchor})"
        if target.startswith("docs/"):
            return f"[{words}]({target.removeprefix('docs/')}{anchor})"
        return words_for(words, target)

    return LINK.sub(link, text.replace("](docs/images/", "](images/"))


def words_for(words: str, path: str) -> str:
    """Return what stands in the place of a link to a file that is not on the site."""
    return words if path.endswith(words.strip("`")) else f"{words} (`{path}`)"
