"""Looking over the clock's shoulder: who wants to know more of a run than it keeps hands in a watcher.

A run without one pays nothing for it.
"""

from __future__ import annotations

from typing import Any

from sim.engines.costs import Costs
from sim.engines.ledger import Ledger
from sim.machine import Frame, Machine
from sim.ops import Op


class Watcher:
    """What one can be told of a run.  Each method does nothing unless a subclass says what.

    Attributes:
        machine: the machine of the run, from the first call of :meth:`begin`.
        stacks: operations before which :meth:`step` needs the call stack; None for all of them.
    """

    machine: Machine
    stacks: frozenset[type[Op]] | None = frozenset()

    def begin(self, machine: Machine) -> None:
        """A run of *machine* is about to start."""
        self.machine = machine

    def step(self, i: int, op: Op, answer: Any, at: int, ns: int, stack: tuple[Frame, ...]) -> None:
        """Task number *i* has done *op* at time *at*, for *ns*, on *stack* (outermost first)."""

    def blocked(self, i: int, op: Op, at: int, sleeps: bool) -> None:
        """Task number *i* begins to wait for its next operation *op*, asleep or not."""

    def unblocked(self, i: int, op: Op, since: int, at: int, sleeps: bool) -> None:
        """It has waited *since* then until *at*, and runs again; perhaps only to wait once more."""

    def end(self, elapsed: int) -> None:
        """The run is over, after *elapsed* ns."""


class WatchedLedger(Ledger):
    """A ledger that tells a watcher of each step."""

    def __init__(self, machine: Machine, costs: Costs, watcher: Watcher, **options: Any) -> None:
        super().__init__(machine, costs, **options)
        self._watcher = watcher
        watcher.begin(machine)

    def step(self, i: int, op: Op, at: int, chosen: int | None = None) -> int:
        """As :meth:`Ledger.step`."""
        kinds, machine = self._watcher.stacks, self.machine
        wanted = kinds is None or type(op) in kinds
        stack = machine.stack(machine.tasks[i].task) if wanted else ()
        ns = super().step(i, op, at, chosen)
        self._watcher.step(i, op, self.answer, at, ns, stack)
        return ns

    def read_on(self, i: int, at: int, until: float) -> int:
        """As :meth:`Ledger.read_on`, one step at a time."""
        op = self.machine.ops[i]
        assert op is not None
        self.due = at + self.step(i, op, at)
        return 1

    def blocked(self, i: int, op: Op, at: int, sleeps: bool) -> None:
        """As :meth:`Watcher.blocked`."""
        self._watcher.blocked(i, op, at, sleeps)

    def unblocked(self, i: int, op: Op, since: int, at: int, sleeps: bool) -> None:
        """As :meth:`Watcher.unblocked`."""
        self._watcher.unblocked(i, op, since, at, sleeps)

    def end(self, elapsed: int) -> None:
        """As :meth:`Watcher.end`."""
        self._watcher.end(elapsed)
