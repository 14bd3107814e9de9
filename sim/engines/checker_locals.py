"""Learned automata: one task's coroutine as numbered local states.

A task's local state is a function of the answers that it was sent.  Here it gets a name, a :class:`Local`, and
an edge for each answer seen; the generator itself runs only when an answer is new, and then only this one task's.
Locals that can no longer matter are left out (:mod:`sim.engines.liveness`), so that ways which meet again are
one local state.  The sound reference is a key of all answers so far (``merge=False``): a test holds the two
against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from types import BuiltinFunctionType, FunctionType, GeneratorType, NoneType
from typing import Any, Final

from sim import guard
from sim.context import Context
from sim.engines.liveness import site
from sim.invariants import Memory
from sim.machine import Frame, advance, stack_of
from sim.ops import Field, Op
from sim.setup import TaskInfo
from sim.structs import Struct

Advance = Callable[[Any, Any, Memory, list[str]], Op | None]


class Local:
    """A local state of one task.

    Attributes:
        op: what it does next; None if it has finished.
        parent: the local state from which it was first reached, by ``answer``; None at the start.
        consts: constant fields of objects that were allocated on the way, which it read in that step.
        edges: by answer, what follows.
    """

    __slots__ = ("answer", "consts", "edges", "op", "parent")

    def __init__(self, op: Op | None, parent: Local | None, answer: Any, consts: Memory) -> None:
        self.op = op
        self.parent = parent
        self.answer = answer
        self.consts = consts
        self.edges: dict[Any, Edge] = {}


class Edge:
    """What follows an answer, for each set of values of the *fields*, which are constants read on the way."""

    __slots__ = ("fields", "targets")

    def __init__(self, fields: tuple[Field, ...]) -> None:
        self.fields = fields
        self.targets: dict[tuple[Any, ...], tuple[Local, tuple[str, ...]]] = {}


class Automaton:
    """The local states of one task, learned as they are asked for."""

    def __init__(self, info: TaskInfo, context: Context, start: Memory, *, guarded: bool, merge: bool) -> None:
        self._info = info
        self._context = context
        self._start = start
        self._memory = dict(start)  # for replays
        self._merge = merge
        self._advance: Advance = guard.watched(advance) if guarded else advance
        self._known: dict[Hashable, Local] = {}
        self._parked: dict[Local, Any] = {}  # coroutines that stand in a local state and may go on from there
        self.finished = Local(None, None, None, {})
        points: list[str] = []
        coroutine = guard.start(info.body, context)
        op = self._advance(coroutine, None, self._memory, points)
        self.first = self._local(coroutine, op, None, None, {})
        self.first_points = tuple(points)

    def follow(self, local: Local, answer: Any, memory: Memory) -> tuple[Local, tuple[str, ...]]:
        """The local state after *answer*, and the tracepoints passed on the way to it."""
        edge = local.edges.get(answer)
        if edge is not None:
            values = tuple(memory.get(it, it.default) for it in edge.fields)
            if values in edge.targets:
                return edge.targets[values]
        consts = _Consts(self._start, memory)
        points: list[str] = []
        coroutine = self._coroutine_at(local)
        op = self._advance(coroutine, answer, consts, points)
        if edge is None or not consts.keys() <= set(edge.fields):
            edge = local.edges[answer] = Edge((*(edge.fields if edge else ()), *consts))
        values = tuple(memory.get(it, it.default) for it in edge.fields)
        target = edge.targets[values] = self._local(coroutine, op, local, answer, dict(consts)), tuple(points)
        return target

    def stack(self, local: Local) -> tuple[Frame, ...]:
        """The call stack of the task in *local*, outermost first; empty if it has finished."""
        if local.op is None:
            return ()
        coroutine = self._coroutine_at(local)
        self._parked.setdefault(local, coroutine)
        return stack_of(coroutine)

    def _local(self, coroutine: Any, op: Op | None, parent: Local | None, answer: Any, consts: Memory) -> Local:
        """The local state in which *coroutine* stands."""
        if op is None:
            return self.finished
        key = self._key(coroutine, op) if self._merge else None
        if key is None:
            key = (parent, answer, tuple(consts.items()))
        local = self._known.get(key)
        if local is None:
            local = self._known[key] = Local(op, parent, answer, consts)
        self._parked.setdefault(local, coroutine)
        return local

    def _key(self, coroutine: Any, op: Op) -> Hashable:
        """What tells this local state from others; None if that cannot be seen."""
        frames: list[Hashable] = []
        seen: dict[int, int] = {}
        while type(coroutine) is GeneratorType:
            frame = coroutine.gi_frame
            where = site(frame) if frame is not None else None
            if frame is None or where is None:
                return None
            frames.append(where)
            variables = frame.f_locals
            try:
                frames.extend([freeze(variables.get(name, _UNBOUND), seen) for name in where.live])
            except Opaque:
                return None
            coroutine = coroutine.gi_yieldfrom
        return (op, *frames) if coroutine is None else None

    def _coroutine_at(self, local: Local) -> Any:
        """A coroutine that stands in *local*: one that was left there, or a new one that is sent all the answers."""
        coroutine = self._parked.pop(local, None)
        if coroutine is not None:
            return coroutine
        way = []
        while local.parent is not None:
            way.append(local)
            local = local.parent
        coroutine = guard.start(self._info.body, self._context)
        self._advance(coroutine, None, self._memory, [])
        for it in reversed(way):
            self._memory.update(it.consts)
            self._advance(coroutine, it.answer, self._memory, [])
        return coroutine


class _Consts(dict[Field, Any]):
    """A memory for reading constants in passing; it keeps those that are not from the start."""

    def __init__(self, start: Memory, memory: Memory) -> None:
        super().__init__()
        self._start = start
        self._memory = memory

    def get(self, field: Field, default: Any = None) -> Any:
        if field in self._start:
            return self._start[field]
        value = self[field] = self._memory.get(field, default)
        return value


# --- values of local variables ---------------------------------------------------------------------------


class Opaque(Exception):
    """A value whose equality does not say whether it will behave the same."""


class _Unbound:
    """The value of a variable that has none."""


_UNBOUND: Final = _Unbound
_ATOMS: Final = frozenset({int, str, bytes, NoneType, BuiltinFunctionType, Field, Context, type, range})


def freeze(value: Any, seen: dict[int, int]) -> Hashable:
    """*value* as a key: equal keys, same behaviour.

    *seen* numbers the lists and closures met so far, since two names for one list are not two equal lists.

    Raises:
        Opaque: if that cannot be said of it.
    """
    kind = type(value)
    if kind in _ATOMS or isinstance(value, (Struct, Op, type)) or (kind is FunctionType and not value.__closure__):
        return value  # type: ignore[no-any-return]
    if kind is bool or kind is float:
        return kind, value  # True is not 1 here
    if isinstance(value, tuple):
        return kind, *(freeze(it, seen) for it in value)
    if kind is partial:
        return partial, freeze(value.func, seen), freeze(value.args, seen), *freeze_items(value.keywords, seen)
    if kind is list or kind is FunctionType:
        if id(value) in seen:
            return kind, seen[id(value)]
        seen[id(value)] = len(seen)
        if kind is list:
            return list, -1, *(freeze(it, seen) for it in value)
        return value.__code__, *(freeze(it.cell_contents, seen) for it in value.__closure__)
    if getattr(getattr(kind, "__dataclass_params__", None), "frozen", False):
        return kind, *(freeze(getattr(value, it), seen) for it in kind.__dataclass_fields__)
    raise Opaque(f"a {kind.__name__}")


def freeze_items(items: dict[str, Any], seen: dict[int, int]) -> list[Hashable]:
    """The items of a dict with names as keys, in its order."""
    return [part for name, value in items.items() for part in (name, freeze(value, seen))]
