"""Who touches which field while holding which locks, over every explored state of a world.

The checker's tables have every pair of a state and a task that can make a step there; each is looked at once, as far
as it can tell something new (states that agree in all that was looked at are one).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from sim.analysis.roles import Links, Ways, roles
from sim.engines.checker import Search
from sim.engines.checker_tables import Noting, Outcome, Row, Tables
from sim.ops import (
    EXCLUSIVE,
    Acquire,
    Add,
    AddUnless,
    Alloc,
    Choose,
    CopyPage,
    Field,
    Free,
    Op,
    RcuReadLock,
    RcuReadUnlock,
    Release,
    TryAcquire,
    Until,
    Write,
    Wrprotect,
    Xchg,
)
from sim.setup import Setup
from sim.structs import RCU, Cpu, Struct, Task
from sim.variants import Variant

T = TypeVar("T")

#: What an access does: an ordinary load or store, an atomic read-modify-write, or what user code, the MMU, TLBs and
#: the interrupt controller store, which take no locks.
READ, WRITE, ATOMIC, HARDWARE = "read", "write", "atomic", "hardware"
#: The role of a read section of RCU, which its readers share and no writer ever has alone.
RCU_SECTION = "rcu"
#: Fields of these guards are no data that a lock would protect.
_NO_DATA = ("ghost", "task", "itself", "const")


class Hold(NamedTuple):
    """A lock that is held: which, whether for one task alone, and its roles for the object that is touched."""

    lock: Field
    alone: bool
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class Access:
    """One way in which a task touches a field.

    Attributes:
        field: which.
        kind: ``read``, ``write``, ``atomic`` or ``hardware``.
        task: who.
        function: the kernel function, innermost.
        holds: the locks held, and what is as good as one: a read section of RCU, an address space without users.
        private: whether nobody else could find the object: it is not yet published, or unlinked already.
        first: whether it replaces the value that a field has before it is written.
        cpu: where the task runs.
    """

    field: Field
    kind: str
    task: Task
    function: str
    holds: tuple[Hold, ...]
    private: bool
    first: bool
    cpu: Cpu


@dataclass(frozen=True, slots=True)
class Observed:
    """Every access in a world under a variant; *complete* says whether every state was met."""

    world: str
    variant: str
    accesses: tuple[Access, ...]
    states: int
    complete: bool


def observe(
    setup: Setup, variant: Variant, limit: int, progress: Callable[[int, int], object] | None = None
) -> Observed:
    """Explore a world, and collect what is touched and under which locks."""
    tables = Tables(setup, variant)
    search = Search(tables)
    search.run(limit, progress, all_kinds=True)
    observer = _Observer(tables)
    for state in search.seen:
        observer.look(state)
    return Observed(setup.world, variant.name, tuple(observer.accesses), len(search.seen), search.complete)


class _Learned(Generic[T]):
    """A function of the memory, worked out once for all states that agree in what it looks at."""

    def __init__(self, tables: Tables, work_out: Callable[[Noting], T]) -> None:
        self._tables = tables
        self._work_out = work_out
        self._known: dict[int, T] = {}
        self.mask = 0  #: the bits that it looks at, as far as is known

    def __call__(self, state: int) -> T:
        try:
            return self._known[state & self.mask]
        except KeyError:
            memory = Noting(self._tables, state)
            value = self._work_out(memory)
            for slot in memory.touched:
                self.mask |= slot.mask
            self._known[state & self.mask] = value
            return value


class _Observer:
    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.accesses: dict[Access, None] = {}  # in the order in which they were met
        rows = [row for its in tables.rows for row in its.values() if type(row.local.op) is Alloc]
        allocated = {it.answer for row in rows for found in row.outcomes.values() for it in found}
        self._links = Links(tables.values(), allocated)
        self._seen: dict[Row, tuple[int, set[int]]] = {}
        self._functions: dict[Row, str] = {}
        self._ways: dict[Struct, _Learned[Ways]] = {}
        self._found: dict[Struct, _Learned[bool]] = {}

    def look(self, state: int) -> None:
        """Collect what the next step of each task touches in *state*."""
        all_seen = self._seen
        for rows, (own, _, _) in zip(self.tables.rows, self.tables.lanes, strict=True):
            row = rows[state & own]
            known = all_seen.get(row)
            if known is None or state & known[0] not in known[1]:
                mask, seen = known or (0, set())
                mask |= self._collect(row, state)
                seen.add(state & mask)
                all_seen[row] = mask, seen

    def _collect(self, row: Row, state: int) -> int:
        """Note the accesses; return the bits that they depend on."""
        info = self.tables.tasks[row.task]
        memory = Noting(self.tables, state)
        outcomes = self.tables.outcomes(state, row.task)
        touched = {} if not outcomes or row.local.op is None else _touched(row.local.op, outcomes)
        held = memory.get(info.task.held, ())
        if memory.get(info.mm.mm_users, 1) == 0:  # nobody else uses the address space: as good as any lock of it
            held = (*held, (info.mm.mm_users, EXCLUSIVE))
        in_rcu = memory.get(info.task.rcu, None) is not None
        mask = row.mask
        for (field, kind), old in touched.items():
            if field.guard in _NO_DATA or field.lock is not None:
                continue
            if kind == WRITE and field.guard == "flag":
                kind = ATOMIC
            holds = [Hold(RCU.readers, False, frozenset({RCU_SECTION}))] if in_rcu else []
            if held:
                # a store may make, or break, the very way by which its lock is found
                states = {state, *(state + it.delta for it in outcomes if kind in (WRITE, ATOMIC))}
                near = [self._ways_from(field.ref)(it) for it in states]
                holds += [
                    Hold(lock, mode == EXCLUSIVE, frozenset().union(*(roles(it, lock) for it in near)))
                    for lock, mode in held
                ]
                mask |= self._ways_from(field.ref).mask
            private = not self._is_found(field.ref)(state)
            mask |= self._is_found(field.ref).mask
            function, first = self._function(row), old == field.default
            self.accesses[Access(field, kind, info.task, function, tuple(holds), private, first, info.cpu)] = None
        for slot in memory.touched:
            mask |= slot.mask
        return mask

    def _ways_from(self, ref: Struct) -> _Learned[Ways]:
        if ref not in self._ways:
            self._ways[ref] = _Learned(self.tables, lambda memory: self._links.ways(ref, memory))
        return self._ways[ref]

    def _is_found(self, ref: Struct) -> _Learned[bool]:
        if ref not in self._found:
            self._found[ref] = _Learned(self.tables, lambda memory: self._links.can_be_found(ref, memory))
        return self._found[ref]

    def _function(self, row: Row) -> str:
        if row not in self._functions:
            self._functions[row] = self.tables.automata[row.task].stack(row.local)[-1].function
        return self._functions[row]


def _touched(op: Op, outcomes: tuple[Outcome, ...]) -> dict[tuple[Field, str], Any]:
    """The fields that a step touches and how, each with its old value if it changes it."""
    changed = {it.field: it.old for outcome in outcomes for it in outcome.changes}
    match op:
        case Field():
            return {(op, READ): None}
        case Until(field):
            return {(field, READ): None}
        case Write(field):
            return {(field, WRITE): changed.get(field, field.default)}
        case Add(field) | AddUnless(field) | Xchg(field) | Wrprotect(field):
            return {(field, ATOMIC): changed.get(field, field.default)}
        case CopyPage(dst, src):
            return {(src.data, READ): None, (dst.data, WRITE): changed.get(dst.data)}
        case Acquire() | TryAcquire() | Release() | Alloc() | Free() | Choose() | RcuReadLock() | RcuReadUnlock():
            return {}  # a new object is its allocator's alone
        case _:
            return {(field, HARDWARE): old for field, old in changed.items()}
