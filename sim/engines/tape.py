"""A tape: what each thread of a world does, whoever else is there; only when it does so is left open.

In the workloads of this project a page costs a thread the same steps as the page before, and those steps do not depend
on the order in which threads come; that order decides their *times*, and at a trylock which of two ways is taken.  So a
few pages are run once, one thread after the other, and each thread's steps are noted: those that concern it alone by
the rows of the table of costs that they are charged for, the others (a lock that others take, an interrupt, a copy)
as operations.  A second recording, in which every trylock of such a lock fails, gives the other way.  Comparing it
with a recording of one page less shows what comes again with each page.

Nothing of this is taken on trust: whoever replays a tape (:mod:`sim.engines.replay`) first compares it with a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, repeat
from typing import Any, Final, NamedTuple, cast

from sim import locks
from sim.engines.costs import DEFAULT, row_of
from sim.engines.counts import POINTS, counted, pages_migrated
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

#: Pages of each thread in the two recordings.
FEW, SOME = 2, 3

#: The longest that comes again with each page (steps), and how far ahead is looked to see that it does.
_LONGEST: Final = 600
_AHEAD: Final = 24

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


class Segment(NamedTuple):
    """Private steps up to the next one that is shared; None after the last."""

    private: tuple[Private, ...]
    shared: Shared | None


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


class Tape:
    """What the threads of *world* do under *variant*.

    Attributes:
        machine: one that has run :data:`FEW` pages, for its tasks and their CPUs.
        handlers: the interrupt handler that takes the requests of a queue.
        locks: by name, the locks that several threads take, and those of anon_vmas.
        copied, targets: as of :class:`Noted`.
        migrated: how many pages have moved when :data:`FEW` were run.

    Raises:
        Untaped: if it depends on the order of the threads what they do, or not every page is as the one before.
    """

    def __init__(self, world: World, variant: Variant, values: Mapping[str, int]) -> None:
        make = _Recorder(world, variant, values)
        few = make.record(FEW)
        self.machine, self.copied, self.targets = few.machine, few.copied, few.targets
        self.handlers, self.locks = make.handlers, make.locks
        self.migrated = pages_migrated(self.machine.setup.memory, self.machine.memory)
        alike: dict[tuple[Item, ...], list[int]] = {}
        for i, items in few.items.items():
            alike.setdefault(tuple(items), []).append(i)
        self._kinds = [(its, _Kind(list(items), make, its[0])) for items, its in alike.items()]

    def threads(self, pages: int) -> Iterator[tuple[list[int], list[tuple[list[Segment], int]]]]:
        """For each kind of thread their numbers, and what they do with *pages* pages: parts, and how often each."""
        for its, kind in self._kinds:
            yield its, kind.parts(pages)


class _Recorder:
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
            noted.items[i] = [self._item(noted, i, *it) for it in its]
        return noted

    def _run(self, machine: Machine, ledger: Ledger, i: int, failing: bool) -> list[tuple[Any, ...]]:
        """Let thread *i* run to its end, and each of its interrupts be answered at once."""
        steps = []
        while (op := machine.ops[i]) is not None:
            if not enabled(op, machine.memory, machine.contexts[i]):
                raise Untaped(f"{machine.tasks[i].task} waits for something that no other thread changes by itself")
            stack = machine.stack(machine.tasks[i].task) if self.locks and isinstance(op, (*_LOCKING, Until)) else ()
            if failing and isinstance(op, TryAcquire) and str(op.lock) in self.locks:
                before = machine.memory.get(op.lock, op.lock.default)
                machine.memory[op.lock] = locks.take(before, _SOMEBODY, EXCLUSIVE)
                ledger.step(i, op, 0)
                machine.memory[op.lock] = before
            else:
                ledger.step(i, op, 0)
            rows = (row_of(cast("Step", op)), *machine.points)
            if type(op) is UserWrite and ledger.answer:
                rows += (ledger.memset_row(i, op),)
            changes = tuple(ledger.changes) if type(op) is SendIpi else ()
            steps.append((op, rows, ledger.answer, changes, stack))
            for handler in [self.handlers[it.field] for it in changes if it.field in self.handlers]:
                ledger.handle(handler, 0)
            if machine.violation is not None:
                raise Untaped(f"it ends by a violation: {machine.violation}")
        return steps

    def _item(
        self, noted: Noted, i: int, op: Op, rows: tuple[str, ...], answer: Any, changes: Sequence[Change], stack: Any
    ) -> Item:
        """A step as it stands on the tape."""
        counts = tuple(POINTS[name] for name in rows[1:] if name in POINTS)
        name = counted(op, answer)
        counts += (name,) if name is not None and not isinstance(op, TryAcquire) else ()
        cpu = noted.machine.tasks[i].cpu
        if isinstance(op, _ORDERED) or (isinstance(op, Write) and op.field is cpu.irqs_off):
            raise Untaped(f"{op!r} depends on the order of the threads, or on the time")
        if isinstance(op, _LOCKING):
            if str(op.lock) not in self.locks:
                return rows, counts
            what: tuple[Any, ...] = (str(op.lock), op.mode, getattr(op, "nested", False))
            return Shared(type(op), what, rows[1:], counts, stack)
        if isinstance(op, Until):
            if op.field is not cpu.csd_pending:
                raise Untaped(f"a thread waits until {op.field} is {op.value}")
            return Shared(Until, (), rows[1:], counts, stack)
        if isinstance(op, SendIpi):
            targets = tuple(self.handlers[it.field] for it in changes if it.field in self.handlers)
            _the_same("interrupts other CPUs", noted.targets.setdefault(i, targets), targets)
            return Shared(SendIpi, (), rows[1:], counts)
        if isinstance(op, CopyPage):
            first = noted.copied.setdefault(i, op)
            _the_same("copies between other nodes", *(self._nodes(noted.machine, it) for it in (first, op)))
            return Shared(CopyPage, (), rows[1:], counts)
        return rows, counts

    @staticmethod
    def _nodes(machine: Machine, op: CopyPage) -> tuple[int, int]:
        return machine.memory.get(op.src.node, 0), machine.memory.get(op.dst.node, 0)


def _the_same(what: str, first: object, other: object) -> None:
    if first != other:
        raise Untaped(f"a thread {what} for one page than for another")


def _shared_locks(steps: Mapping[int, Sequence[tuple[Any, ...]]]) -> dict[str, Field]:
    """The locks that more than one thread takes, and those of anon_vmas."""
    users: dict[Field, set[int]] = {}
    for i, its in steps.items():
        for op, *_ in its:
            if isinstance(op, _LOCKING):
                users.setdefault(op.lock, set()).add(i)
    return {str(lock): lock for lock, its in users.items() if len(its) > 1 or isinstance(lock.ref, AnonVma)}


# --- what comes again with each page ---------------------------------------------------------------------


class _Again(NamedTuple):
    """*block*, which ends before item *at* of the longer recording, comes once more with each page, or once less."""

    at: int
    block: list[Item]
    more: bool


class _Kind:
    """What all threads do whose recordings with few pages are alike."""

    def __init__(self, few: list[Item], make: _Recorder, i: int) -> None:
        some = make.record(SOME, i).items[i]
        other = make.record(SOME, i, failing=True).items[i]
        self._items = _with_other_ways(some, other)
        found = _compare([_bare(it) for it in few], [_bare(it) for it in some], 0, 0)
        if found is None:
            raise Untaped("not every page is as the one before")
        self._again = [self._turned(it) for it in found]

    def _turned(self, it: _Again) -> _Again:
        """*it* with its block as it is on the tape, beginning after a shared step if there is one in it."""
        at, block = it.at, self._items[it.at - len(it.block) : it.at] if it.more else it.block
        if any(isinstance(item, Shared) for item in block):
            while not isinstance(block[-1], Shared):
                if self._items[at - 1] != block[-1]:
                    raise Untaped("not every page is as the one before")
                at, block = at - 1, [block[-1], *block[:-1]]
        return _Again(at, block, it.more)

    def parts(self, pages: int) -> list[tuple[list[Segment], int]]:
        """What is done with *pages* pages: parts, and how often each."""
        times, at = pages - SOME, 0
        parts: list[tuple[list[Segment], int]] = []
        private: list[Item] = []
        for again in self._again:
            if not again.more:
                end = again.at - len(again.block) * times
                if end < at or self._items[end : again.at] != again.block * times:
                    raise Untaped(f"there is no telling what {pages} pages are like")
                private += self._items[at:end]
            elif any(isinstance(item, Shared) for item in again.block):
                parts.append((_segments([*private, *self._items[at : again.at]]), 1))
                parts.append((_segments(again.block), times))
                private = []
            else:
                private += self._items[at : again.at] + again.block * times
            at = again.at
        parts.append((_segments([*private, *self._items[at:], None]), 1))
        return parts


def _bare(item: Item) -> Item:
    """*item* without what one recording has and the other has not."""
    return item._replace(stack=(), other=((), 0)) if isinstance(item, Shared) else item


def _segments(items: Sequence[Item | None]) -> list[Segment]:
    """*items* as segments; None among them is the end."""
    segments: list[Segment] = []
    private: list[Private] = []
    for item in items:
        if item is None or isinstance(item, Shared):
            segments.append(Segment(tuple(private), item))
            private = []
        else:
            private.append(item)
    return segments


def _compare(few: list[Item], some: list[Item], i: int, j: int) -> list[_Again] | None:
    """What *some* has more often, or less often, than *few*, from item *j* and item *i* on; None if there is more."""
    while i < len(few) and j < len(some) and few[i] == some[j]:
        i, j = i + 1, j + 1
    if i == len(few) and j == len(some):
        return []
    for length in range(1, _LONGEST):
        for more in (True, False):
            its, at = (some, j) if more else (few, i)
            if at >= length and its[at : at + length] == its[at - length : at]:
                further = (i, j + length) if more else (i + length, j)
                if _goes_on(few, some, *further):
                    rest = _compare(few, some, *further)
                    if rest is not None:
                        return [_Again(j, its[at - length : at], more), *rest]
    return None


def _goes_on(few: list[Item], some: list[Item], i: int, j: int) -> bool:
    """Whether both are the same for a while from here on."""
    ahead = min(_AHEAD, len(few) - i, len(some) - j)
    return few[i : i + ahead] == some[j : j + ahead] and (ahead > 0 or (i == len(few) and j == len(some)))


def _with_other_ways(some: list[Item], other: list[Item]) -> list[Item]:
    """*some* with what each trylock of it leads to if it fails, as *other* has it, in which they all have failed."""
    ways, others = _after_each_trylock(some), _after_each_trylock(other)
    if len(ways) != len(others):
        raise Untaped("after a trylock that fails there is another than after one that does not")
    found, items = iter(zip(ways, others, strict=True)), []
    for item in some:
        if isinstance(item, Shared) and item.kind is TryAcquire:
            way, instead = next(found)
            same = _meeting(way, instead)
            left_out = sum(isinstance(it, Shared) for it in way[: len(way) - same])
            item = item._replace(other=(tuple(_segments(instead[: len(instead) - same])), left_out))
        items.append(item)
    return items


def _meeting(way: list[Item], other: list[Item]) -> int:
    """How many items both ways have in common at their end, from after a shared one on."""
    same = 0
    while same < min(len(way), len(other)) and way[-1 - same] == other[-1 - same]:
        same += 1
    while same and not all(len(it) == same or isinstance(it[-1 - same], Shared) for it in (way, other)):
        same -= 1
    if not same and not (way and other and isinstance(way[-1], Shared) and isinstance(other[-1], Shared)):
        raise Untaped("after a trylock that fails nothing is as after one that does not")
    return same


def _after_each_trylock(items: list[Item]) -> list[list[Item]]:
    """What follows each trylock, up to the next and with it."""
    found: list[list[Item]] = []
    for item in items:
        if found:
            found[-1].append(item)
        if isinstance(item, Shared) and item.kind is TryAcquire:
            found.append([])
    return found


def played(parts: Sequence[tuple[list[Any], int]]) -> Iterator[Any]:
    """What stands on *parts*, in order, each as often as it says."""
    return chain.from_iterable(chain.from_iterable(repeat(its, times)) for its, times in parts)
