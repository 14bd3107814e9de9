"""Making steps and keeping the books: what each step costs, what is counted, what is recorded.

The same for whoever decides who goes next: the clock (:mod:`sim.engines.timed`) or a given schedule
(:mod:`sim.engines.charge`).
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, NamedTuple, cast

from sim.engines.costs import Costs, Step, row_of
from sim.engines.counts import COUNTS, POINTS, TIMED_COUNTS, counted
from sim.machine import BLOCKED, Change, Event, Machine
from sim.ops import Acquire, Choose, CopyPage, HandleIpi, Op, SendIpi, TryAcquire, UserWrite
from sim.schedule import Turn

#: Operations that need more than their row of the table: they are counted, or cost more in some cases.
_SPECIAL = frozenset((Acquire, TryAcquire, CopyPage, HandleIpi, SendIpi, UserWrite))


class Recorded(NamedTuple):
    """One step as it is noted while the clock runs: an event is made of it when somebody asks."""

    at: int
    task: int
    op: Op
    choice: int | None
    answer: Any
    changes: list[Change]
    points: tuple[str, ...]


class Ledger:
    """The books of one run.

    Attributes:
        machine: what makes the steps.
        costs: what they cost.
        counts: what was counted so far.
        turns: the schedule so far.
        changes: the fields that the last step changed.
        recorded: each step, if *record* is set.
    """

    def __init__(self, machine: Machine, costs: Costs, *, seed: int = 0, record: bool = False) -> None:
        self.machine = machine
        self.costs = costs
        self.counts = dict.fromkeys((*COUNTS, *TIMED_COUNTS), 0)
        self.turns: list[tuple[int, int | None]] = []
        self.changes: list[Change] = []
        self.recorded: list[Recorded] = []
        self._record = record
        self._turn = [Turn(i) for i in range(len(machine.tasks))]
        self._ns: dict[type[Op], int] = {}
        self._point_ns: dict[str, int] = {}
        self._more_for_remote = costs["copy_page_remote"] - costs["copy_page"]
        self._target, self._memset = costs["ipi_target"], costs["memset_page"]
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
        machine, kind = self.machine, type(op)
        changes: list[Change] = []
        self.changes = changes
        choice = self._choose(i, op, chosen) if isinstance(op, Choose) else None
        answer = machine.perform(i, changes, choice or 0)
        self.turns.append(self._turn[i] if choice is None else Turn(i, choice))
        ns = self._ns.get(kind)
        if ns is None:
            ns = self._ns[kind] = self.costs[row_of(cast("Step", op))]
        if kind in _SPECIAL:
            ns += self._special(i, op, answer)
        if machine.points:
            ns += self._pass_points(machine.points)
        if self._record:
            self.recorded.append(Recorded(at, i, op, choice, answer, changes, tuple(machine.points)))
        return ns

    def _choose(self, i: int, op: Choose, chosen: int | None) -> int:
        return self._dice[i].randrange(op.options) if chosen is None else chosen

    def _special(self, i: int, op: Op, answer: Any) -> int:
        """Count *op*, and say what it costs beyond its row."""
        if self.machine.violation is not None:
            return 0
        name = counted(op, answer)
        if name is not None:
            self.counts[name] += 1
        if isinstance(op, CopyPage):
            memory, node = self.machine.memory, self.machine.contexts[i].node
            local = memory.get(op.src.node, 0) == memory.get(op.dst.node, 0) == node
            return 0 if local else self._more_for_remote
        if isinstance(op, SendIpi):
            return int(answer) * self._target
        if isinstance(op, UserWrite) and answer:
            return round(self._memset * self._dice[i].uniform(0.5, 1.5)) if self._seed else self._memset
        return 0

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
    def times(self) -> list[int]:
        """When each recorded step began."""
        return [it.at for it in self.recorded]

    def events(self) -> list[Event]:
        """The recorded steps as events."""
        tasks, events = self.machine.tasks, []
        for number, it in enumerate(self.recorded, 1):
            outcome = "blocked" if it.answer is BLOCKED else "done"
            task, changes = tasks[it.task].task, tuple(it.changes)
            events.append(Event(number, task, it.op, it.choice, it.answer, outcome, changes, it.points))
        if self.machine.violation is not None and events:
            events[-1] = events[-1]._replace(outcome="bug", violation=self.machine.violation)
        return events
