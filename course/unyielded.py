"""What a reader's kernel function has forgotten: a ``yield from`` before a call, a ``yield`` before a step, a return.

The checks say so beside what goes wrong: what they see by running is the consequence, often somewhere else.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

from sim.structs import Struct, declare


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
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and _is_operation(node.value):
            return f"'{ast.unparse(node)}' stands without yield: it names a step, and does not take it."
        for part in _asked(node.test) if isinstance(node, ast.If | ast.While | ast.IfExp) else ():
            if _names_a_step(part):
                return f"'{ast.unparse(part)}' is asked without yield: it names a step, and is no answer."
    if value and not any(isinstance(it, ast.Return) and it.value is not None for it in ast.walk(tree)):
        return "It returns nothing; who calls it needs what it should return."
    return ""


def _asked(test: ast.expr) -> list[ast.expr]:
    """The parts of a condition whose truth or value counts."""
    if isinstance(test, ast.BoolOp):
        return [part for it in test.values for part in _asked(it)]
    if isinstance(test, ast.Compare):
        return [part for it in (test.left, *test.comparators) for part in _asked(it)]
    return _asked(test.operand) if isinstance(test, ast.UnaryOp) else [test]


def _is_operation(value: ast.expr, named: tuple[str, ...] = ("set", "xchg", "cmpxchg", "add_unless")) -> bool:
    """Whether *value* is an operation on a field, which is no step of a plain set or list: ``pte.xchg(None)``."""
    called = value.func if isinstance(value, ast.Call) else None
    return isinstance(called, ast.Attribute) and called.attr in named


def _names_a_step(value: ast.expr) -> bool:
    """Whether *value* is a field that may change, or an atomic operation on one: ``avc.vma``, ``pte.xchg(None)``."""
    field = isinstance(value, ast.Attribute) and value.attr in _fields(Struct)
    return field or _is_operation(value, ("xchg", "cmpxchg", "add", "add_unless"))


def _fields(struct: type[Struct]) -> set[str]:
    """The names of the fields of *struct* and all that are made from it, without the constant ones and the locks."""
    own = {name for name, it in vars(struct).items() if isinstance(it, declare) and it.guard not in ("const", "itself")}
    return own.union(*(_fields(it) for it in struct.__subclasses__()))
