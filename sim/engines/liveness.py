"""Which locals of a suspended coroutine can still matter: live variables at each yield.

Two local states of a task are the same when their pending operation, their chain of frames and the values of
their *live* locals are the same.  A local is live at a yield if some way from there reads it before it is
assigned again.

The analysis reads the source, not the bytecode: bytecode differs between Python versions, and with it the
number of states would.  It fails closed.  Where a coroutine keeps something that its locals do not show (the
position of a ``for`` loop around a yield, the rest of a half-evaluated expression, an open ``try`` or ``with``,
a closure that changes), or where its source is not to be had, there is no answer, and the checker tells that
function's states apart by everything that it was ever sent.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Final, NamedTuple

from sim.engines.checker_source import Unclear, definition

_Names = frozenset[str]
_NONE: Final[_Names] = frozenset()
#: Whoever calls these may read any local.
_REFLECTION: Final = frozenset({"locals", "vars", "eval", "exec", "dir", "super"})
_NESTED: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
#: Statements that keep something beside the locals while they are open.
_CLOSED: Final = (ast.For, ast.AsyncFor, ast.With, ast.AsyncWith, ast.Try, ast.TryStar)


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """One yield of one function: its number in the source, and the locals that are live while it waits."""

    function: str
    number: int
    live: tuple[str, ...]


def site(frame: FrameType) -> Site | None:
    """Where the coroutine of *frame* is suspended, or None if its live locals are not known."""
    code = frame.f_code
    known = _KNOWN.get(id(code))
    if known is None:
        known = _KNOWN[id(code)] = _Known(code, _by_offset(code))
    return known.sites.get(frame.f_lasti)


def why_not(code: CodeType) -> str | None:
    """Why nothing is known about the function of *code*; None if it is."""
    try:
        analyse(code)
    except Unclear as why:
        return str(why)
    return None


def analyse(code: CodeType) -> dict[tuple[int, int], Site]:
    """The yields of a generator function by (line, column) of their first character.

    Raises:
        Unclear: if its source cannot be had, or keeps something that locals do not show.
    """
    function = definition(code)
    variables = _variables(function, code)
    flow = _Flow()
    flow.block(function.body, _NONE, None)
    return {
        (it.lineno, it.col_offset): Site(code.co_name, number, tuple(sorted(flow.live[it] & variables)))
        for number, it in enumerate(_yields(function.body))
        if it in flow.live
    }


class _Known(NamedTuple):
    code: CodeType  # kept alive, since its id is the key
    sites: Mapping[int, Site]


_KNOWN: Final[dict[int, _Known]] = {}


def _by_offset(code: CodeType) -> dict[int, Site]:
    try:
        sites = analyse(code)
    except Unclear:
        return {}
    found = {}
    for number, (line, _, column, _) in enumerate(code.co_positions()):
        if line is not None and column is not None and (line, column) in sites:
            found[2 * number] = sites[line, column]
    return found


# --- the variables of a function ---------------------------------------------------------------------------


def _variables(function: ast.FunctionDef, code: CodeType) -> _Names:
    """The variables of *function*, those of the functions around it included.

    Raises:
        Unclear: if the source does not show who reads and assigns them.
    """
    variables = frozenset({*code.co_varnames, *code.co_cellvars, *code.co_freevars})
    spelt: set[str] = set()
    for node in _inside([function]):
        if isinstance(node, ast.Global | ast.Nonlocal):
            raise Unclear(f"{code.co_name} assigns to variables outside")
        if isinstance(node, ast.Name) and node.id in _REFLECTION:
            raise Unclear(f"{code.co_name} uses {node.id}()")
        if isinstance(node, _NESTED) and node is not function:
            inner = {it for part in _inside([node], nested=True) for it in _spelt(part)} & variables
            if inner:
                raise Unclear(f"an inner function of {code.co_name} uses its variable {min(inner)}")
        spelt.update(_spelt(node))
    if hidden := [it for it in variables - spelt if not it.startswith(".")]:
        raise Unclear(f"{code.co_name} has a variable {min(hidden)} that its source does not show")
    return variables


def _inside(nodes: Iterable[ast.AST], *, nested: bool = False, without: ast.AST | None = None) -> Iterator[ast.AST]:
    """*nodes* and all below them, in no order; inner functions are entered only if *nested*, *without* never."""
    todo = [it for it in nodes if it is not without]
    entered = set(map(id, todo))
    while todo:
        node = todo.pop()
        yield node
        if nested or id(node) in entered or not isinstance(node, _NESTED):
            for name in node._fields:
                value = getattr(node, name, None)
                below = value if type(value) is list else (value,)
                todo += [it for it in below if isinstance(it, ast.AST) and it is not without]


def _spelt(node: ast.AST) -> Iterator[str]:
    """The names in *node* itself, of whatever."""
    return (it for it in (getattr(node, name, None) for name in node._fields) if isinstance(it, str))


def _yields(nodes: Iterable[ast.AST]) -> list[ast.Yield | ast.YieldFrom]:
    found = [it for it in _inside(nodes) if isinstance(it, ast.Yield | ast.YieldFrom)]
    return sorted(found, key=lambda it: (it.lineno, it.col_offset))


def _loads(node: ast.AST | None, *, without: ast.AST | None = None) -> _Names:
    """The names that *node* reads, inner functions included, apart from those in the part *without*."""
    if node is None:
        return _NONE
    names = (it for it in _inside([node], nested=True, without=without) if isinstance(it, ast.Name))
    return frozenset(it.id for it in names if not isinstance(it.ctx, ast.Store))


# --- live variables --------------------------------------------------------------------------------------


class _Loop(NamedTuple):
    after: _Names  # live where a break goes
    head: _Names  # live where a continue goes


class _Flow:
    """Backward over the statements: from what is live after each to what is live before it."""

    def __init__(self) -> None:
        self.live: dict[ast.AST, _Names] = {}

    def block(self, body: list[ast.stmt], after: _Names, loop: _Loop | None) -> _Names:
        for node in reversed(body):
            after = self.statement(node, after, loop)
        return after

    def statement(self, node: ast.stmt, after: _Names, loop: _Loop | None) -> _Names:
        match node:
            case ast.Expr(value):
                return self.expression(value, after)
            case ast.Assign(targets=targets, value=value):
                stored = _NONE.union(*(_stored(it) for it in targets))
                return self.expression(value, (after - stored).union(*(_loads(it) for it in targets)))
            case ast.AnnAssign(target=target, value=value):
                return after if value is None else self.expression(value, (after - _stored(target)) | _loads(target))
            case ast.AugAssign(target=target, value=value):
                self.refuse_yields(value)
                return after | _stored(target) | _loads(node)
            case ast.Return(value=value):
                return self.expression(value, _NONE)
            case ast.If(test, body, orelse):
                return self.expression(test, self.block(body, after, loop) | self.block(orelse, after, loop))
            case ast.While():
                return self.loop(node, after, loop)
            case ast.Match(subject, cases):
                return self.expression(subject, after.union(*(self.case(it, after, loop) for it in cases)))
            case ast.Break():
                return loop.after if loop else _NONE
            case ast.Continue():
                return loop.head if loop else _NONE
            case ast.Raise():
                self.refuse_yields(node)
                return _loads(node)
            case _:  # what holds no yield may be taken as a whole: it reads all it names and is sure to assign nothing
                self.refuse_yields(node)
                leaves = (loop.after | loop.head) if loop and isinstance(node, _CLOSED) else _NONE
                own = _stored(node.target) - _loads(node.iter) if type(node) is ast.For and not node.orelse else _NONE
                return after | (_loads(node) - own) | leaves

    def loop(self, node: ast.While, after: _Names, loop: _Loop | None) -> _Names:
        for_ever = isinstance(node.test, ast.Constant) and bool(node.test.value)
        end = _NONE if for_ever else self.block(node.orelse, after, loop)
        head = _NONE
        while True:  # until nothing more is found to be live
            body = self.block(node.body, head, _Loop(after, head))
            larger = head | self.expression(node.test, body | end)
            if larger == head:
                return head
            head = larger

    def case(self, case: ast.match_case, after: _Names, loop: _Loop | None) -> _Names:
        if case.guard is not None:
            self.refuse_yields(case.guard)
        binding = (it for it in _inside([case.pattern]) if isinstance(it, ast.pattern))
        captured = {name for it in binding for name in _spelt(it)}
        return (self.block(case.body, after, loop) | _loads(case.guard)) - captured | _loads(case.pattern)

    def expression(self, node: ast.expr | None, after: _Names) -> _Names:
        """What is live before *node*; if it holds a yield, that must be the first thing it does."""
        yields = [] if node is None else _yields([node])
        if not yields:
            return after | _loads(node)
        first = yields[0]
        if len(yields) > 1 or _leading(node) is not first:
            raise Unclear(f"line {first.lineno} of the function yields inside a half-evaluated expression")
        waiting = after | _loads(node, without=first)
        self.live[first] = self.live.get(first, _NONE) | waiting
        return waiting | _loads(first)

    def refuse_yields(self, node: ast.AST) -> None:
        if not isinstance(node, _NESTED) and _yields([node]):
            raise Unclear(f"a yield inside {type(node).__name__.lower()} at line {getattr(node, 'lineno', '?')}")


def _stored(target: ast.expr) -> _Names:
    """The variables that are sure to be assigned when *target* is."""
    match target:
        case ast.Name(name):
            return frozenset({name})
        case ast.Starred(value):
            return _stored(value)
        case ast.Tuple(parts) | ast.List(parts):
            return _NONE.union(*map(_stored, parts))
        case _:
            return _NONE


def _leading(node: ast.AST | None) -> ast.AST | None:
    """What is evaluated first in *node*, while nothing else waits on the stack."""
    while True:
        match node:
            case ast.UnaryOp(operand=inner) | ast.Compare(left=inner) | ast.BoolOp(values=[inner, *_]):
                node = inner
            case ast.Attribute(value=inner) | ast.Subscript(value=inner) | ast.NamedExpr(value=inner):
                node = inner
            case _:
                return node
