"""What a reader's kernel function has forgotten: a ``yield from`` before a call, a ``yield`` before a step, a return.

The checks say so beside what goes wrong: what they see by running is the consequence, often somewhere else.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any


def forgotten(function: Callable[..., Any], *, value: bool = False) -> str:
    """One sentence about what *function* has forgotten, or "" if nothing is seen; call it when an answer is wrong.

    Args:
        function: a generator function of a reader's.
        value: whether it should return something.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):  # its text is not at hand
        return ""
    names = {**function.__globals__, **inspect.getclosurevars(function).nonlocals}
    yielded = {id(it.value) for it in ast.walk(tree) if isinstance(it, ast.Yield | ast.YieldFrom)}
    delegated = {id(it.value) for it in ast.walk(tree) if isinstance(it, ast.YieldFrom)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and id(node) not in delegated:
            if inspect.isgeneratorfunction(names.get(node.func.id)):
                return f"'{ast.unparse(node)}' stands without yield from, so nothing of it runs."
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and id(node.value) not in yielded and _names_a_step(node.value):
            return f"'{ast.unparse(node)}' stands without yield: it names a step, and does not take it."
    if value and not any(isinstance(it, ast.Return) and it.value is not None for it in ast.walk(tree)):
        return "It returns nothing; who calls it needs what it should return."
    return ""


def _names_a_step(value: ast.expr) -> bool:
    """Whether *value* is a field, or an operation on one: ``avc.vma``, ``pte.xchg(None)``."""
    return isinstance(value.func if isinstance(value, ast.Call) else value, ast.Attribute)
