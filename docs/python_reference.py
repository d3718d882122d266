# SPDX-License-Identifier: Apache-2.0
"""Make the page of the Python interface: examples, then signatures and docstrings of what users call."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "docs" / "reference" / "python_examples.md"
# What users call; everything public in these modules is on the page.
MODULES = (
    "ace_ros.data.scene",
    "ace_ros.geometry.camera",
    "ace_ros.mapping.map_scene",
    "ace_ros.maps.scene_map",
    "ace_ros.localization.relocalizer",
    "ace_ros.pnp.solve",
    "ace_ros.evaluation.evaluate",
    "ace_ros.atlas.folder",
    "ace_ros.atlas.finder",
    "ace_ros.network.encoder_file",
)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def page() -> str:
    """Return the page in Markdown."""
    parts = [EXAMPLES.read_text(), "## Signatures\n"]
    for module in MODULES:
        tree = ast.parse((ROOT / (module.replace(".", "/") + ".py")).read_text())
        parts.append(f"### {module}\n")
        parts += [f"```python\n{signature(node)}\n```\n" for node in tree.body if _is_public(node)]
    return "\n".join(parts)


def signature(node: Any) -> str:
    """Return a function or class with its docstring, fields and public methods, without any code."""
    if isinstance(node, FUNCTIONS):
        return ast.unparse(_without_code(node))
    shown = [part for part in node.body if _is_shown(part)]
    body = [_without_code(part) if isinstance(part, FUNCTIONS) else part for part in shown]
    return ast.unparse(_with_body(node, body))


def _is_public(node: ast.stmt) -> bool:
    return isinstance(node, (*FUNCTIONS, ast.ClassDef)) and not node.name.startswith("_")


def _is_shown(node: ast.stmt) -> bool:
    """Return whether a part of a class is of interest: docstring, fields, public methods, how it is made."""
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    constructor = isinstance(node, FUNCTIONS) and node.name == "__init__"
    return docstring or constructor or isinstance(node, ast.AnnAssign) or _is_public(node)


def _without_code(node: Any) -> Any:
    documented = ast.get_docstring(node) is not None
    return _with_body(node, node.body[:1] if documented else [ast.Expr(ast.Constant(...))])


def _with_body(node: Any, body: list[Any]) -> Any:
    values = {name: getattr(node, name) for name in node._fields}
    return ast.fix_missing_locations(type(node)(**{**values, "body": body}))
