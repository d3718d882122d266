# SPDX-License-Identifier: Apache-2.0
"""Make the reference pages from the code: parameters, messages and services, launch files, commands, Python.

    python docs/generate.py FOLDER     # write them there, to look at

`mkdocs` calls this while it builds the site (docs/site_hooks.py), so these pages are never committed. Nothing
here needs ROS, torch or mkdocs: options and commands are imported, everything else is read as text.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import python_reference

from ace_ros.cli.parser import build_parser
from ace_ros.config import PRESETS, TrainingConfig, help_text
from ace_ros.nodes import options as node_options

ROOT = Path(__file__).resolve().parent.parent
# The nodes that users start, in the order of the page. Which options a node has is read from its source.
NODES = ("mapper", "localizer", "player")
INTERFACE_FOLDERS = ("msg", "srv", "action")


def pages() -> dict[str, str]:
    """Return the Markdown of every generated page by its path in the documentation."""
    return {
        "reference/parameters.md": parameters_page(),
        "reference/messages.md": interfaces_page(),
        "reference/command_line.md": command_line_page(),
        "reference/python.md": python_reference.page(),
    }


# Parameters


def parameters_page() -> str:
    """Return the page of ROS parameters, launch arguments and training options."""
    parts = [
        "# Parameters\n",
        "These tables are made from the code. `ros2 param describe` prints the same texts. *Live* parameters "
        "can be changed while the node runs; the others are read when it starts.\n",
    ]
    for node in NODES:
        parts.append(f"## {node}\n")
        for kind in option_classes(node):
            parts += [f"{one_line(kind.__doc__)}\n", options_table(kind, live=True)]
    parts.append("## Launch files\n")
    parts += [launch_table(path) for path in sorted((ROOT / "launch").glob("*.launch.py"))]
    parts += ["## Training\n", one_line(TrainingConfig.__doc__), "\n"]
    parts.append(options_table(TrainingConfig, live=False))
    parts += ["### Presets\n", "What a preset sets; everything else keeps its default.\n", presets_table()]
    return "\n".join(parts)


def option_classes(node: str) -> list[type]:
    """Return the classes that declare a node's parameters, as its source lists them."""
    source = (ROOT / "ace_ros" / "nodes" / f"{node}.py").read_text()
    found = re.search(r"Parameters\(\s*self,\s*([\w,\s]+?),?\s*\)", source)
    if not found:
        raise ValueError(f"ace_ros/nodes/{node}.py: expected a call Parameters(self, SomeConfig, ...)")
    return [getattr(node_options, name.strip()) for name in found[1].split(",")]


def options_table(kind: type, live: bool) -> str:
    """Return the table of a class of options."""
    names = ["name", "default", "range", *(["live"] if live else []), "what it sets"]
    rows = []
    for f in fields(kind):
        about = f.metadata
        mark = ["yes" if about["live"] else ""] if live else []
        rows.append([f"`{f.name}`", f"`{value(f.default)}`", limits(f), *mark, help_text(f)])
    return table(names, rows)


def limits(f: Field[Any]) -> str:
    """Return the values that an option takes, in words."""
    about = f.metadata
    if about["choices"]:
        return ", ".join(f"`{choice}`" for choice in about["choices"])
    if isinstance(f.default, bool):
        return "true, false"
    low, high = (None if x is None else value(x) for x in (about["low"], about["high"]))
    if low is None and high is None:
        return ""
    if low is None or high is None:
        return f"at least {low}" if high is None else f"at most {high}"
    return f"{low} to {high}"


def presets_table() -> str:
    """Return what each preset sets."""
    names = sorted({name for changes in PRESETS.values() for name in changes}, key=_order_in_config)
    defaults = {f.name: f.default for f in fields(TrainingConfig)}
    rows = [
        [f"`{name}`", *(f"`{value(changes.get(name, defaults[name]))}`" for changes in PRESETS.values())]
        for name in names
    ]
    return table(["", *PRESETS], rows)


def _order_in_config(name: str) -> int:
    return [f.name for f in fields(TrainingConfig)].index(name)


def launch_table(path: Path) -> str:
    """Return the arguments of a launch file, read from its text: launch itself need not be installed."""
    rows = [[f"`{name}`", f"`{default}`", text] for name, default, text in launch_arguments(path)]
    return "\n".join([f"### {path.name}\n", table(["argument", "default", "what it sets"], rows)])


def launch_arguments(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield name, default and description of each argument: of a dict ARGUMENTS, and of each declaration."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ARGUMENTS":
            assert isinstance(node.value, ast.Dict), path
            for key, entry in zip(node.value.keys, node.value.values, strict=True):
                assert isinstance(key, ast.Constant) and isinstance(entry, ast.Tuple), path
                yield key.value, _default(entry.elts[0]), ast.literal_eval(entry.elts[1])
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "DeclareLaunchArgument":
            given = {k.arg: k.value for k in node.keywords}
            if node.args and isinstance(node.args[0], ast.Constant):
                description = ast.literal_eval(given["description"])
                yield node.args[0].value, _default(given["default_value"]), description


def _default(node: ast.expr) -> str:
    """Return a default as a person reads it: a file of the package by its path."""
    if isinstance(node, ast.Constant):
        return value(node.value)
    return "/".join(ast.literal_eval(part) for part in ast.walk(node) if _is_path_part(part))


def _is_path_part(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value != "ace_ros"


# Messages and services


def interfaces_page() -> str:
    """Return the page of messages, services and actions, from their files and the comments there."""
    parts = ["# Messages and services\n", "These tables are made from the definitions and their comments.\n"]
    for folder in INTERFACE_FOLDERS:
        for path in sorted((ROOT / folder).glob(f"*.{folder}")):
            parts += [f"## ace_ros/{folder}/{path.stem}\n", interface(path)]
    return "\n".join(parts)


def interface(path: Path) -> str:
    """Return an interface as tables: its sections, and in them constants and fields."""
    sections = path.read_text().split("\n---\n")
    titles = {1: [""], 2: ["Request", "Response"], 3: ["Goal", "Result", "Feedback"]}[len(sections)]
    parts = []
    for title, text in zip(titles, sections, strict=True):
        about, rows = parse_definition(text)
        heading = f"**{title}**\n\n" if title else ""
        parts.append(heading + (f"{about}\n\n" if about else "") + table(["type", "name", "meaning"], rows))
    return "\n".join(parts)


def parse_definition(text: str) -> tuple[str, list[list[str]]]:
    """Return the description of a definition, and a row (type, name, meaning) for each constant and field.

    Comment lines before the first declaration, up to an empty line, are the description; later ones are rows
    of their own, because they introduce what follows.
    """
    about: list[str] = []
    rows: list[list[str]] = []
    in_description = True
    for line in text.splitlines():
        declared, _, comment = (part.strip() for part in line.partition("#"))
        if not declared:
            if comment and in_description:
                about.append(comment)
            elif comment:
                rows.append(["", "", f"**{sentence(comment)}**"])
            in_description = in_description and bool(comment or not about)
            continue
        in_description = False
        kind, name = declared.split(None, 1)
        rows.append([f"`{kind}`", f"`{name.strip()}`", sentence(comment)])
    return " ".join(about), rows


# The command line


def command_line_page() -> str:
    """Return the page of the command `ace_ros`, from its parser."""
    parts = [
        "# Command line\n",
        "This page is made from the parser; `ace_ros COMMAND --help` prints the same. `python -m ace_ros` is "
        "the same program. Exit codes: 0 done, 2 an error that you can correct (one sentence on standard "
        "error), 130 interrupted by Ctrl-C, 143 by SIGTERM.\n",
    ]
    for name, about, parser in commands(build_parser()):
        parts += [f"## ace_ros {name}\n", f"{about}\n", f"```text\n{_usage(parser)}\n```\n"]
        rows = [row for action in parser._actions if (row := _argument_row(action))]
        parts.append(table(["argument", "default", "what it sets"], rows))
    return "\n".join(parts)


def commands(parser: argparse.ArgumentParser, prefix: str = "") -> Iterator[tuple[str, str, Any]]:
    """Yield name, help and parser of every command and of the actions of those that have some."""
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        helps = {entry.dest: entry.help for entry in action._choices_actions}
        for name, own in action.choices.items():
            full = f"{prefix}{name}"
            if any(isinstance(a, argparse._SubParsersAction) for a in own._actions):
                yield from commands(own, f"{full} ")
            else:
                yield full, helps.get(name) or "", own


def _usage(parser: argparse.ArgumentParser) -> str:
    arguments = [a for a in parser._actions if not a.option_strings or a.required]
    shown = " ".join(_argument_name(a) for a in arguments)
    return f"{parser.prog} {shown} [OPTION ...]"


def _argument_name(action: argparse.Action) -> str:
    """Return an argument as it is typed."""
    metavar = str(action.metavar or "").strip() or action.dest.upper()
    if not action.option_strings:
        return f"{metavar} ..." if action.nargs in ("+", "*") else metavar
    return action.option_strings[0] if action.nargs == 0 else f"{action.option_strings[0]} {metavar}"


def _argument_row(action: argparse.Action) -> list[str] | None:
    if action.dest == "help":
        return None
    flags = ", ".join(action.option_strings) or _argument_name(action)
    choices = ", ".join(f"`{c}`" for c in action.choices or ())
    has_default = action.option_strings and action.default not in (None, argparse.SUPPRESS, "")
    text = (action.help or "") % vars(action)
    # Options of a config have their default in the help only: without a value they were not given.
    stated = re.search(r" \(default: ([^)]*)\)$", text)
    default = value(action.default) if has_default else stated[1] if stated and action.default is None else ""
    text = text[: stated.start()] if stated else text
    return [f"`{flags}`", f"`{default}`" if default else "", text or choices]


# Text


def table(names: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [names, ["---"] * len(names), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in lines)


def value(x: Any) -> str:
    """Return a value as it stands in a YAML file; whole floats without a long tail."""
    if isinstance(x, bool):
        return str(x).lower()
    if isinstance(x, str):
        return f'"{x}"' if not x or " " in x else x
    return f"{x:g}" if isinstance(x, float) and x == int(x) and abs(x) >= 1e6 else str(x)


def sentence(text: str) -> str:
    """Return a comment that begins with a capital letter."""
    return text[:1].upper() + text[1:]


def one_line(docstring: str | None) -> str:
    """Return a docstring's words in one line."""
    return " ".join((docstring or "").split())


def main() -> None:
    """Write all pages below a folder."""
    parser = argparse.ArgumentParser(description="Write the reference pages, to look at.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for name, text in pages().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(path)


if __name__ == "__main__":
    main()
