"""What a reader's kernel function has forgotten: a ``yield from`` before a call, a ``yield`` before a step, a return.

The checks say so beside what goes wrong: what they see by running is the consequence, often somewhere else.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any

from course.kit import Finding, Report
from sim.ops import Op
from sim.structs import Struct, declare


def forgotten(function: Callable[..., Any], *, value: bool = False) -> str:
    """One sentence about what *function* has forgotten, or "" if nothing is seen; call it when an answer is wrong.

    Args:
        function: a generator function of a reader's.
        value: whether it should return something.
    """
    made = _parsed(function)
    if made is None:
        return ""
    names = {**function.__globals__, **inspect.getclosurevars(function).nonlocals}
    nodes = list(ast.walk(made))
    yielded = {id(it.value) for it in nodes if isinstance(it, ast.Yield | ast.YieldFrom)}
    for said in (_calls(nodes, names), _named(nodes, names, yielded), _tested(nodes), _through(nodes)):
        if found := next(said, ""):
            return found
    if value and not any(isinstance(it, ast.Return) and it.value is not None for it in nodes):
        return "It returns nothing; who calls it needs what it should return."
    return ""


def _parsed(function: Callable[..., Any]) -> ast.stmt | None:
    """The statement that makes *function*; None if its text is not at hand."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, TypeError, SyntaxError):
        return None


def slips(*functions: Callable[..., Any], value: bool = False) -> tuple[Finding, ...]:
    """What :func:`forgotten` sees in each of *functions*, as findings that go before what it leads to."""
    return tuple(Finding(False, it) for it in (forgotten(one, value=value) for one in functions) if it)


def _calls(nodes: Sequence[ast.AST], names: Mapping[str, Any]) -> Iterator[str]:
    """Calls of generators of which nothing runs."""
    delegated = {id(it.value) for it in nodes if isinstance(it, ast.YieldFrom)}
    for node in nodes:
        called = node.func if isinstance(node, ast.Call) and id(node) not in delegated else None
        if isinstance(called, ast.Name) and inspect.isgeneratorfunction(names.get(called.id)):
            yield f"'{ast.unparse(node)}' stands without yield from, so nothing of it runs."


def _named(nodes: Sequence[ast.AST], names: Mapping[str, Any], yielded: Set[int]) -> Iterator[str]:
    """Steps that are named, as a value or in a line of their own, and not taken."""
    for node in nodes:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            named = node.value is not None and id(node.value) not in yielded and _names_a_step(node.value)
        else:
            named = isinstance(node, ast.Expr) and (_is_operation(node.value) or _is_made(node.value, names))
        if named:
            yield f"'{ast.unparse(node)}' stands without yield: it names a step, and does not take it."


def _tested(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """Steps whose name is asked in place of what they answer."""
    for node in nodes:
        for part in _asked(node.test) if isinstance(node, ast.If | ast.While | ast.IfExp) else ():
            if _names_a_step(part):
                yield f"'{ast.unparse(part)}' is asked without yield: it names a step, and is no answer."


def _through(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """Steps whose name is asked for a part of what they answer: ``anon_vma.root.rwsem``."""
    called = {id(it.func) for it in nodes if isinstance(it, ast.Call)}
    for node in nodes:
        if isinstance(node, ast.Attribute) and id(node) not in called and _names_a_step(node.value):
            step = ast.unparse(node.value)
            yield f"'{ast.unparse(node)}' goes through '{step}' without yield: that names a step, and is no answer."


def _is_made(value: ast.expr, names: Mapping[str, Any]) -> bool:
    """Whether *value* makes an operation, as ``Invlpg(mm, start)`` does."""
    made = names.get(value.func.id) if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) else None
    return isinstance(made, type) and issubclass(made, Op)


def without_steps(name: str, *functions: Callable[..., Any]) -> Report:
    """The report on exercise *name* if one of *functions* is no generator: not begun, or begun without a yield."""
    these = [it for it in functions if not inspect.isgeneratorfunction(it) and begun(it)]
    told = [forgotten(it) or f"'{it.__name__}' has no yield, so it makes no step." for it in these]
    return Report(name, tuple(Finding(False, it) for it in told))


def begun(function: Callable[..., Any]) -> bool:
    """Whether more stands in it than a docstring and ``...``."""
    made = _parsed(function)
    body = made.body if isinstance(made, ast.FunctionDef) else []
    return any(not isinstance(it, ast.Pass) and not isinstance(getattr(it, "value", None), ast.Constant) for it in body)


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
