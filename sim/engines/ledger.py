"""Making steps and keeping the books: what each step costs, what is counted, what is recorded.

The same for whoever decides who goes next: the clock (:mod:`sim.engines.timed`) or a given schedule
(:mod:`sim.engines.charge`).
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias, cast

from sim.engines.costs import Costs, row_of
from sim.engines.counts import COUNTS, POINTS, TIMED_COUNTS, counted
from sim.engines.shared import Shared
from sim.machine import BLOCKED, Change, Event, Machine
from sim.ops import Acquire, Choose, CopyPage, Field, HandleIpi, Op, Release, SendIpi, Step, TryAcquire, UserWrite
from sim.schedule import Turn

#: Operations that are counted.
_COUNTED: Final = frozenset((Acquire, TryAcquire, CopyPage, HandleIpi))

_NONE: Final[list[Change]] = []

#: Reads made at one go.
_MOST_READS: Final = 256

#: One step as it is noted while the clock runs: when, whose turn, the operation, its answer, changes, tracepoints.
Recorded: TypeAlias = tuple[int, Turn, Op, Any, list[Change], tuple[str, ...]]


class Ledger:
    """The books of one run.

    Attributes:
        machine: what makes the steps.
        costs: what they cost.
        counts: what was counted so far.
        changes: the fields that the last step changed; answer: what it was answered.
        due: when the next step is due after those of :meth:`read_on`.
        recorded: each step, if *record* is set.
    """

    def __init__(
        self, machine: Machine, costs: Costs, *, seed: int = 0, record: bool = False, schedule: bool = False
    ) -> None:
        self.machine = machine
        self._perform, self._points = machine.perform, machine.points
        self.costs = costs
        self.counts = dict.fromkeys((*COUNTS, *TIMED_COUNTS), 0)
        self.changes: list[Change] = []
        self.answer: Any = None
        self.recorded: list[Recorded] = []
        self.due = 0
        self._turns: list[tuple[int, int | None]] = []
        self._record, self._schedule = record, schedule and not record
        self._turn = [Turn(i) for i in range(len(machine.tasks))]
        self._ns: dict[type[Op], int] = {}
        self._point_ns: dict[str, int] = {}
        self._more_for_remote = costs["copy_page_remote"] - costs["copy_page"]
        self._read_ns = costs["read"]
        self._shared = Shared(machine, costs)
        self._target = costs["ipi_target"]
        self._more: dict[type[Op], Callable[[int, Any, Any, int], int]] = {
            Acquire: self._count,
            TryAcquire: self._count,
            Release: self._count,
            CopyPage: self._copy_page,
            SendIpi: self._send_ipi,
            UserWrite: self._user_write,
        }
        self._seed = seed
        self._dice = [random.Random(f"{seed}/{info.task}") for info in machine.tasks]

    def start(self, i: int) -> int:
        """When task *i* makes its first step: after the tracepoints on its way; with a seed, later by chance."""
        late = self._dice[i].randrange(self.costs["start_spread"] + 1) if self._seed else 0
        return late + self._pass_points(self.machine.starts[i])

    def step(self, i: int, op: Op, at: int, chosen: int | None = None) -> int:
        """Let task *i* do *op*, which is its next and which it can, at time *at*; return what it costs.

        A decision is answered with *chosen*, or by the seed.
        """
        kind = type(op)
        changes: list[Change] = []
        self.changes = changes
        turn = self._turn[i] if kind is not Choose else self._decide(i, op, chosen)
        self.answer = answer = self._perform(i, changes, turn[1] or 0)
        ns = self._ns.get(kind)
        if ns is None:
            ns = self._ns[kind] = self.costs[row_of(cast("Step", op))]
        if kind in _COUNTED and (name := counted(op, answer)) is not None and self.machine.violation is None:
            self.counts[name] += 1
        if (more := self._more.get(kind)) is not None and self.machine.violation is None:
            ns += more(i, op, answer, at)
        points: tuple[str, ...] = ()
        if self._points:
            points = tuple(self._points)
            ns += self._pass_points(points)
        if self._record:
            self.recorded.append((at, turn, op, answer, changes or _NONE, points))
        elif self._schedule:
            self._turns.append(turn)
        return ns

    def read_on(self, i: int, at: int, until: float) -> int:
        """Let task *i* make its next steps as long as they are reads: the first at time *at*, none at *until* or later.

        Returns how many it made, none if its next is not to read a field of an object that was not freed; when the
        one after them is due stands in ``due``.
        """
        ns = self._read_ns
        made = self.machine.reads(i, min(_MOST_READS, max(1, int(until - at + ns - 1) // ns)) if ns else _MOST_READS)
        if not made:
            return 0
        points = tuple(self._points)
        if self._record:
            turn, append, time = self._turn[i], self.recorded.append, at
            for op, answer in made:
                append((time, turn, op, answer, _NONE, ()))
                time += ns
            if points:
                self.recorded[-1] = (*self.recorded[-1][:5], points)
        elif self._schedule:
            self._turns += [self._turn[i]] * len(made)
        self.due = at + ns * len(made) + (self._pass_points(points) if points else 0)
        return len(made)

    def handle(self, i: int, at: int) -> tuple[int, Field, int]:
        """Let interrupt handler *i* answer one request at time *at*.

        Returns what it costs, the count of answers that the sender waits for, and how many of these are left.
        """
        op = self.machine.ops[i]
        assert op is not None
        ns = self.step(i, op, at)
        pending, _, left = self.changes[-1]
        return ns, pending, left

    def _decide(self, i: int, op: Op, chosen: int | None) -> Turn:
        assert isinstance(op, Choose)
        return Turn(i, self._dice[i].randrange(op.options) if chosen is None else chosen)

    def blocked(self, i: int, op: Op, at: int, sleeps: bool) -> None:
        """Task *i* begins to wait: for whoever watches (:mod:`sim.engines.watching`)."""

    def unblocked(self, i: int, op: Op, since: int, at: int, sleeps: bool) -> None:
        """Task *i* runs again."""

    def end(self, elapsed: int) -> None:
        """The run is over."""

    # What some operations cost beyond their row of the table.

    def _count(self, i: int, op: Acquire | TryAcquire | Release, _: Any, at: int) -> int:
        return self._shared.count(i, op, at)

    def _copy_page(self, i: int, op: CopyPage, _: None, at: int) -> int:
        memory, node = self.machine.memory, self.machine.contexts[i].node
        local = memory.get(op.src.node, 0) == memory.get(op.dst.node, 0) == node
        return self._shared.copy(op, at) + (0 if local else self._more_for_remote)

    def _send_ipi(self, _: int, __: SendIpi, targets: int, ___: int) -> int:
        return targets * self._target

    def _user_write(self, i: int, op: UserWrite, hit: bool, __: int) -> int:
        if not hit:
            return 0
        ns = self.costs[self.memset_row(i, op)]
        return round(ns * self._dice[i].uniform(0.5, 1.5)) if self._seed else ns

    def memset_row(self, i: int, op: UserWrite) -> str:
        """The row that says what user code of task *i* does for the store *op*, which has hit."""
        me, memory = self.machine.contexts[i], self.machine.memory
        remote = memory.get(memory[me.cpu.tlb[me.mm, op.vpn]].page.node, 0) != me.node  # on another node than this CPU
        return "memset_page_remote" if remote else "memset_page"

    def _pass_points(self, points: Iterable[str]) -> int:
        """Count the tracepoints that were passed, and say what they cost."""
        ns = 0
        for name in points:
            if name in POINTS:
                self.counts[POINTS[name]] += 1
            if name not in self._point_ns:
                self._point_ns[name] = self.costs.point(name)
            ns += self._point_ns[name]
        return ns

    @property
    def turns(self) -> list[tuple[int, int | None]]:
        """The schedule, if steps or schedule were to be kept."""
        return [turn for _, turn, *_ in self.recorded] if self._record else self._turns

    @property
    def times(self) -> list[int]:
        """When each recorded step began."""
        return [at for at, *_ in self.recorded]

    def events(self) -> list[Event]:
        """The recorded steps as events."""
        tasks, events = self.machine.tasks, []
        for number, (_, (i, choice), op, answer, changes, points) in enumerate(self.recorded, 1):
            outcome = "blocked" if answer is BLOCKED else "done"
            events.append(Event(number, tasks[i].task, op, choice, answer, outcome, tuple(changes), points))
        if self.machine.violation is not None and events:
            events[-1] = events[-1]._replace(outcome="bug", violation=self.machine.violation)
        return events


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause Python's search for garbage in cycles: a run makes millions of small objects and next to no cycles."""
    paused = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if paused:
            if not gc.get_freeze_count():  # what was made counts as old from the start, and is not searched at once
                gc.freeze()
                gc.unfreeze()
            gc.enable()
