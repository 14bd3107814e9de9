"""Running a lesson's cells without a notebook: for its transcript, and for slides."""

from __future__ import annotations

import ast
from typing import Any

from course.kit import Shown


def values_of(source: str, names: dict[str, Any]) -> list[Any]:
    """Run a cell among *names*; return what it prints, line by line, and then what it shows.

    What it asks is answered as by somebody who knows.
    """
    shown: list[Any] = []
    names["print"] = lambda *values: shown.append(" ".join(map(str, values)))
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "a cell", "exec"), names)
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), "a cell", "eval"), names)
        if isinstance(value, Shown) and hasattr(value, "answer_right"):
            value.answer_right()
        if value is not None:
            shown.append(value)
    return shown
