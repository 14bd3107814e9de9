"""Recording a tape: a few pages are run, one thread after the other, and each thread's steps are noted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, cast

from sim import locks
from sim.engines.costs import DEFAULT, row_of
from sim.engines.counts import POINTS, counted
from sim.engines.ledger import Ledger
from sim.errors import Untaped
from sim.machine import Change, Frame, Machine, enabled
from sim.ops import (
    EXCLUSIVE,
    Acquire,
    AskFlush,
    Choose,
    CopyPage,
    Field,
    FlushTlb,
    HandleIpi,
    Op,
    Release,
    SendIpi,
    Step,
    TryAcquire,
    Until,
    UserWrite,
    Write,
)
from sim.structs import AnonVma, Task
from sim.variants import Variant
from sim.worlds import World

#: A read, which most steps are, and how many are made at one go.
_READ: Final[tuple[tuple[str, ...], tuple[str, ...]]] = (("read",), ())
_AT_ONCE: Final = 256

#: Whoever else holds a lock while a trylock of it is made to fail.
_SOMEBODY: Final = Task("somebody")

_LOCKING: Final = (Acquire, TryAcquire, Release)
_ORDERED: Final = (Choose, AskFlush, FlushTlb)

#: A step that concerns its thread alone: the rows that it is charged for, and the counts that it adds to.
Private = tuple[tuple[str, ...], tuple[str, ...]]


class Shared(NamedTuple):
    """A step that others may notice, or that may have to wait for them.

    Attributes:
        kind: the type of the operation.
        what: for a lock (its name, mode, whether nested); nothing else distinguishes the operations of a kind.
        points: the tracepoints passed after it.
        counts: the counts that it adds to when it is done.
        stack: where the thread stands before it, outermost first.
        other: of a trylock, what is done instead if it fails, and how many shared steps that follow are left out.
    """

    kind: type[Op]
    what: tuple[Any, ...] = ()
    points: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    stack: tuple[Frame, ...] = ()
    other: tuple[tuple[Any, ...], int] = ((), 0)


Item = Private | Shared


class Noted(NamedTuple):
    """One recording.

    Attributes:
        machine: as it was at the end.
        items: of each thread, by its number.
        copied: for each thread that copies, its last copy; targets: whom it interrupts.
    """

    machine: Machine
    items: dict[int, list[Item]]
    copied: dict[int, CopyPage]
    targets: dict[int, tuple[int, ...]]


class _Step(NamedTuple):
    """A step as it was made; *rows* are those that it is charged for."""

    op: Op
    rows: tuple[str, ...]
    answer: Any
    changes: tuple[Change, ...]
    stack: tuple[Frame, ...]


class Recorder:
    """Runs a few pages, one thread after the other."""

    def __init__(self, world: World, variant: Variant, values: Mapping[str, int]) -> None:
        self._world, self._variant, self._values = world, variant, values
        self.handlers: dict[Field, int] = {}
        self.locks: dict[str, Field] = {}

    def record(self, pages: int, only: int | None = None, failing: bool = False) -> Noted:
        """A recording with *pages* pages; the first is of all threads, and says which locks are shared."""
        machine = Machine(self._world.setup({**self._values, "pages": pages}), self._variant)
        ledger = Ledger(machine, DEFAULT)
        threads = [i for i, op in enumerate(machine.ops) if not isinstance(op, HandleIpi)]
        if any(machine.tasks[i].daemon for i in threads):
            raise Untaped("a thread of it never ends")
        self.handlers = {info.cpu.call_single_queue: i for i, info in enumerate(machine.tasks) if i not in threads}
        steps = {i: self._run(machine, ledger, i, failing) for i in threads if only in (None, i)}
        if not self.locks:
            self.locks = _shared_locks(steps)
        noted = Noted(machine, {}, {}, {})
        for i, its in steps.items():
            noted.items[i] = [self._item(noted, i, it) if isinstance(it, _Step) else it for it in its]
        return noted

    def _run(self, machine: Machine, ledger: Ledger, i: int, failing: bool) -> list[Item | _Step]:
        """Let thread *i* run to its end, and each of its interrupts be answered at once."""
        steps: list[Item | _Step] = []
        while (op := machine.ops[i]) is not None:
            if made := machine.reads(i, _AT_ONCE):
                steps += [_READ] * len(made)
                if machine.points:
                    points = tuple(machine.points)
                    steps[-1] = ("read", *points), _counts(points)
            elif not enabled(op, machine.memory, machine.contexts[i]):
                raise Untaped(f"{machine.tasks[i].task} waits for something that no other thread changes by itself")
            else:
                steps.append(self._step(machine, ledger, i, op, failing))
            if machine.violation is not None:
                raise Untaped(f"it ends by a violation: {machine.violation}")
        return steps

    def _step(self, machine: Machine, ledger: Ledger, i: int, op: Op, failing: bool) -> _Step:
        """Let thread *i* do *op*, which it can; a trylock of a shared lock fails if *failing*."""
        stack = machine.stack(machine.tasks[i].task) if self.locks and isinstance(op, (*_LOCKING, Until)) else ()
        if failing and isinstance(op, TryAcquire) and str(op.lock) in self.locks:
            before = machine.memory.get(op.lock, op.lock.default)
            machine.memory[op.lock] = locks.take(before, _SOMEBODY, EXCLUSIVE)
            ledger.step(i, op, 0)
            machine.memory[op.lock] = before
        else:
            ledger.step(i, op, 0)
        points = tuple(machine.points)
        rows = (ledger.memset_row(i, op),) if type(op) is UserWrite and ledger.answer else ()
        found = _Step(op, (row_of(cast("Step", op)), *points, *rows), ledger.answer, tuple(ledger.changes), stack)
        if type(op) is SendIpi:
            for handler in self._asked(found):
                ledger.handle(handler, 0)
        return found

    def _asked(self, it: _Step) -> tuple[int, ...]:
        """The handlers that an interrupt is for."""
        return tuple(self.handlers[change.field] for change in it.changes if change.field in self.handlers)

    def _item(self, noted: Noted, i: int, it: _Step) -> Item:
        """A step as it stands on the tape."""
        op, points, cpu = it.op, it.rows[1:], noted.machine.tasks[i].cpu
        name = counted(op, it.answer)
        counts = (*_counts(points), name) if name is not None and type(op) is not TryAcquire else _counts(points)
        if isinstance(op, _ORDERED) or (isinstance(op, Write) and op.field is cpu.irqs_off):
            raise Untaped(f"{op!r} depends on the order of the threads, or on the time")
        if isinstance(op, _LOCKING):
            if str(op.lock) not in self.locks:
                return it.rows, counts
            what: tuple[Any, ...] = (str(op.lock), op.mode, getattr(op, "nested", False))
            return Shared(type(op), what, points, counts, it.stack)
        if isinstance(op, Until):
            if op.field is not cpu.csd_pending:
                raise Untaped(f"a thread waits until {op.field} is {op.value}")
            return Shared(Until, (), points, counts, it.stack)
        if isinstance(op, SendIpi):
            asked = self._asked(it)
            _the_same("interrupts other CPUs", noted.targets.setdefault(i, asked), asked)
            return Shared(SendIpi, (), points, counts)
        if isinstance(op, CopyPage):
            first = noted.copied.setdefault(i, op)
            _the_same("copies between other nodes", *(self._nodes(noted.machine, its) for its in (first, op)))
            return Shared(CopyPage, (), points, counts)
        return it.rows, counts

    @staticmethod
    def _nodes(machine: Machine, op: CopyPage) -> tuple[int, int]:
        return machine.memory.get(op.src.node, 0), machine.memory.get(op.dst.node, 0)


def _the_same(what: str, first: object, other: object) -> None:
    if first != other:
        raise Untaped(f"a thread {what} for one page than for another")


def _counts(points: Iterable[str]) -> tuple[str, ...]:
    """What passing *points* adds to."""
    return tuple(POINTS[name] for name in points if name in POINTS)


def _shared_locks(steps: Mapping[int, Iterable[Item | _Step]]) -> dict[str, Field]:
    """The locks that more than one thread takes, and those of anon_vmas."""
    users: dict[Field, set[int]] = {}
    for i, its in steps.items():
        for it in its:
            if isinstance(it, _Step) and isinstance(it.op, _LOCKING):
                users.setdefault(it.op.lock, set()).add(i)
    return {str(lock): lock for lock, its in users.items() if len(its) > 1 or isinstance(lock.ref, AnonVma)}
