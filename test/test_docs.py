# SPDX-License-Identifier: Apache-2.0
"""The documentation says what the code has: parameters, commands, reasons, files, links."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from ace_ros.config import CheckedConfig
from ace_ros.nodes import options

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "docs"))

import generate
import site_hooks

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
GENERATED = generate.pages()
HOOKED = {
    name: site_hooks.moved_to_docs((ROOT / source).read_text())
    for source, name in site_hooks.ROOT_PAGES.items()
}
WRITTEN = {str(path.relative_to(DOCS)): path.read_text() for path in sorted(DOCS.rglob("*.md"))}
PAGES = {**WRITTEN, **HOOKED, **GENERATED}
NODE_OPTIONS = [getattr(options, name) for name in options.__all__]
# Files of the repository are named by their path from its root; `ace_ros/srv/Train` is a name of ROS.
PATH = re.compile(
    r"(?<![\w/])(?!ace_ros/(?:msg/|srv/|action/|[A-Z]))"
    r"((?:ace_ros|bench|config|docs|launch|test|msg|srv)/[\w./-]*\w)"
)


def constants(definition: str, prefix: str = "") -> list[str]:
    """Return the names of the constants in a message or service."""
    return re.findall(rf"^uint8 ({prefix}[A-Z0-9_]+) = \d+", (ROOT / definition).read_text(), re.MULTILINE)


def section(page: str, heading: str) -> str:
    """Return the text below a heading of a page."""
    return WRITTEN[page].split(f"## {heading}\n")[1].split("\n## ")[0]


def first_column(text: str) -> set[str]:
    """Return the names in the first column of the tables of a text."""
    return set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))


@pytest.mark.parametrize("kind", NODE_OPTIONS, ids=lambda kind: kind.__name__)
def test_every_parameter_of_a_node_is_explained(kind: type[CheckedConfig]) -> None:
    documented = first_column(GENERATED["reference/parameters.md"])
    assert {f.name for f in fields(kind)} <= documented  # type: ignore[arg-type]


def test_every_node_lists_its_own_options() -> None:
    assert {kind for node in generate.NODES for kind in generate.option_classes(node)} == set(NODE_OPTIONS)


def test_every_launch_argument_is_explained() -> None:
    page = GENERATED["reference/parameters.md"]
    for path in (ROOT / "launch").glob("*.launch.py"):
        names = [name for name, _, _ in generate.launch_arguments(path)]
        assert names and names[-1] in page.split(f"### {path.name}\n")[1]


def test_every_flag_of_every_command_is_explained() -> None:
    page = GENERATED["reference/command_line.md"]
    commands = list(generate.commands(generate.build_parser()))
    assert {name.split()[0] for name, _, _ in commands} >= {"map", "eval", "localize", "info", "atlas"}
    for name, _, parser in commands:
        own = page.split(f"## ace_ros {name}\n")[1].split("\n## ")[0]
        for action in parser._actions:
            assert all(flag in own for flag in action.option_strings if flag not in ("-h", "--help")), name


def test_every_field_and_constant_of_an_interface_is_on_its_page() -> None:
    page = GENERATED["reference/messages.md"]
    for path in [*(ROOT / "msg").glob("*.msg"), *(ROOT / "srv").glob("*.srv")]:
        own = page.split(f"/{path.stem}\n")[1].split("\n## ")[0]
        declared = [line.split("#")[0].split() for line in path.read_text().splitlines()]
        for words in declared:
            assert len(words) < 2 or f"`{' '.join(words[1:])}`" in own, (path.name, words)


def test_troubleshooting_has_every_reason() -> None:
    reasons = constants("msg/LocalizationStatus.msg", "REASON_")
    assert len(reasons) >= 12
    assert first_column(section("troubleshooting.md", "Why an image gave no pose")) == set(reasons)


def test_troubleshooting_has_every_count_of_images() -> None:
    definition = (ROOT / "msg/MappingStatus.msg").read_text()
    counts = re.findall(r"^uint32 (skipped_\w+|dropped_\w+|without_\w+)", definition, re.MULTILINE)
    assert len(counts) >= 8
    assert first_column(section("troubleshooting.md", "Why the mapper drops images")) == set(counts)


@pytest.mark.parametrize("service, name", [("train", "Train"), ("load_map", "LoadMap")])
def test_troubleshooting_has_every_result(service: str, name: str) -> None:
    documented = first_column(section("troubleshooting.md", f"What `/ace/{service}` answers"))
    assert documented == set(constants(f"srv/{name}.srv"))


def test_the_ros_interface_has_every_topic_and_service() -> None:
    source = "\n".join(p.read_text() for name in ("mapper", "localizer") for p in node_sources(name))
    names = set(re.findall(r"create_(?:publisher|subscription|service)\(\s*\w+,\s*\"([\w/]+)\"", source))
    assert {"record", "train", "load_map", "pose", "localization_status"} <= names
    missing = {name for name in names if f"`{name}`" not in WRITTEN["reference/ros_interface.md"]}
    assert missing - {"/tf", "/tf_static"} == set()


def node_sources(name: str) -> Iterator[Path]:
    """Yield the files that a node's topics are made in."""
    yield from (ROOT / "ace_ros" / "nodes").glob(f"{name}*.py")
    yield ROOT / "ace_ros" / "nodes" / "publishing.py"


@pytest.mark.parametrize("page", sorted({**WRITTEN, **HOOKED}))
def test_every_file_that_a_page_names_exists(page: str) -> None:
    for span in re.findall(r"`([^`\n]+)`|^\$? ?(python .*|ace_ros .*)$", PAGES[page], re.MULTILINE):
        for path in PATH.findall(" ".join(span)):
            assert (ROOT / path).exists() or list(ROOT.glob(path)), f"{page}: {path}"


@pytest.mark.parametrize("page", sorted(PAGES))
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    for target, anchor in re.findall(r"\]\((?!http)([^)#\s]*)(?:#([^)\s]+))?\)", PAGES[page]):
        found = (DOCS / page).parent.joinpath(target).resolve() if target else DOCS / page
        name = site_hooks.ROOT_PAGES.get(os.path.relpath(found, ROOT), os.path.relpath(found, DOCS))
        assert name in PAGES or found.is_file(), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(PAGES[name]), f"{page}: {target}#{anchor}"


def test_the_security_policy_leads_to_the_threat_model() -> None:
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / "SECURITY.md").read_text())
    assert "docs/security.md" in links and all((ROOT / link).is_file() for link in links)


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as the site makes them."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE):
        named = re.search(r"\{ #([\w-]+) \}", heading)
        words = re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower()
        found.add(named[1] if named else re.sub(r"[-\s]+", "-", words))
    return found


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text().split("\nnav:\n")[1]
    listed = set(re.findall(r": ([\w/]+\.md)$", navigation, re.MULTILINE))
    assert listed == set(PAGES) - {"reference/python_examples.md"}
