# SPDX-License-Identifier: Apache-2.0
"""Calculate the Python expressions of launch files without running foreign code.

Launch arguments end up inside expressions, so a plain `eval` would run whatever a caller typed.
Here an expression is literals, arithmetic, comparisons, conditionals, subscripts, calls of the
functions below, of methods of text and collections, and names of the modules that the launch file
lists. Attributes that begin with an underscore are refused.
"""

from __future__ import annotations

import ast
import importlib
import math
from collections.abc import Iterable

_FUNCTIONS = {
    function.__name__: function
    for function in (
        *(abs, all, any, bool, dict, divmod, enumerate, float, int, len, list, max, min, pow),
        *(range, repr, reversed, round, set, sorted, str, sum, tuple, zip),
    )
}
_NODES = (
    *(ast.Expression, ast.Constant, ast.Name, ast.Load, ast.Store, ast.Attribute, ast.Call),
    *(ast.BoolOp, ast.boolop, ast.BinOp, ast.operator, ast.UnaryOp, ast.unaryop, ast.Compare),
    *(ast.cmpop, ast.IfExp, ast.Subscript, ast.Slice, ast.Tuple, ast.List, ast.Set, ast.Dict),
    *(ast.JoinedStr, ast.FormattedValue, ast.keyword, ast.Starred),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.comprehension),
)


def evaluate(expression: str, module_names: Iterable[str] = ()) -> object:
    """Return the value of an expression; names of the module `math` need no prefix.

    Raises ValueError for an expression with anything else than described above.
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except SyntaxError as error:
        raise ValueError(f"cannot read the expression '{expression}': {error.msg}") from None
    for node in ast.walk(tree):
        _refuse_foreign(node, expression)
    names: dict[str, object] = {"__builtins__": {}, **_FUNCTIONS}
    for module_name in module_names:
        if module_name == "math":
            names.update({k: v for k, v in vars(math).items() if not k.startswith("_")})
        names[module_name] = importlib.import_module(module_name)
    try:
        return eval(compile(tree, "<launch expression>", "eval"), names)  # checked node by node
    except NameError as error:
        raise ValueError(f"cannot calculate the expression '{expression}': {error}") from None


def _refuse_foreign(node: ast.AST, expression: str) -> None:
    """Raise ValueError for a node that is not plain calculation."""
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    if not isinstance(node, _NODES) or name.startswith("_") or name in ("format", "format_map"):
        what = f"'{name}'" if name else type(node).__name__
        raise ValueError(f"the expression '{expression}' contains {what}, which is not allowed")
