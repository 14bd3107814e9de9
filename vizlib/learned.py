"""Functions of a state that are learned by asking: what they looked at, and what they said.

A world of a few thousand states has few pictures: a PTE looks the same in most of them.  So whoever has to know the
picture of every state asks once for each combination of values that the picture depends on, and keeps the answers.
As in :mod:`sim.engines.checker_tables`, whose states these are, nobody writes down what a picture depends on: it is
seen from what it asks the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from sim.engines.checker_tables import Slot, Tables
from sim.engines.narrowing import Row, States
from sim.ops import Field, Op
from vizlib.kept import Unlisted
from vizlib.moments import Actor, Moment, Run


class Watched(Moment):
    """A state of the checker's as a moment; it notes in *seen* what it is asked for."""

    def __init__(self, run: Run, tables: Tables, state: int, seen: set[Slot], event: Any = None) -> None:
        self._tables = tables
        self._state = state
        self._seen = seen
        self._number = {info.task: at for at, info in enumerate(tables.tasks)}
        memory = _Memory(tables, state, seen)
        super().__init__(run, 0 if event is None else 1, memory, _Pending(self), event)

    def local(self, task: Any) -> Any:
        """The local state of *task*."""
        number = self._number[task]
        self._seen.add(self._tables.local_slot(number))
        return self._tables.local(self._state, number)

    def can_run(self, actor: Actor) -> bool:
        """Whether *actor* can make a step now."""
        number = self._number[actor.task]
        self._seen.add(self._tables.local_slot(number))
        self._seen |= self._tables.touched(self._state, number)
        return bool(self._tables.outcomes(self._state, number))

    @property
    def runnable(self) -> frozenset[str]:
        """The names of the tasks that can make a step now."""
        return frozenset(it.name for it in self.run.actors if self.can_run(it))

    def stopped(self, actor: Actor) -> bool:
        """Whether *actor* is the one that a violation stopped."""
        return self.event is not None and self.event.violation is not None and actor.task is self.event.task

    def stack_of(self, actor: Actor) -> tuple[Any, ...]:
        """Where *actor* stands."""
        if self.event is not None and actor.task is self.event.task:
            return self.stack
        return self._tables.stack(self._number[actor.task], self.local(actor.task))


class _Memory(Unlisted):
    """The memory of a state; it notes the slots that it is asked for."""

    def __init__(self, tables: Tables, state: int, seen: set[Slot]) -> None:
        self._tables = tables
        self._state = state
        self._seen = seen

    def get(self, field: Field, default: Any = None) -> Any:
        slot = self._tables.slot(field)
        if slot.mask:
            self._seen.add(slot)
        return slot.values[self._state & slot.mask]

    def __getitem__(self, field: Field) -> Any:
        return self.get(field)


class _Pending(Mapping[Any, "Op | None"]):
    """What each task would do next."""

    def __init__(self, moment: Watched) -> None:
        self._moment = moment

    def __getitem__(self, task: Any) -> Op | None:
        op: Op | None = self._moment.local(task).op
        return op

    def __iter__(self) -> Iterator[Any]:
        return iter(self._moment._number)

    def __len__(self) -> int:
        return len(self._moment._number)


class Learned:
    """A function of the state, learned by asking *compute*, which is given a state and where to note what it saw."""

    def __init__(self, states: States, compute: Callable[[int, set[Slot]], Any]) -> None:
        self._states = states
        self._compute = compute
        self._mask = 0
        self._slots: set[Slot] = set()
        self._table: dict[int, Any] = {}
        self._samples: dict[int, Any] = {}

    def ask(self, state: int) -> bool:
        """Learn what the function says of *state*; return whether that was new."""
        if state & self._mask in self._table:
            return False
        seen: set[Slot] = set()
        value = self._compute(state, seen)
        for slot in seen - self._slots:
            self._mask |= slot.mask
        self._slots |= seen
        self._table[state & self._mask] = value
        return True

    def samples(self) -> tuple[list[int], dict[Row, Any]]:
        """The slots that it depends on, and what it says for each combination of their values."""
        slots = sorted(self._states.number[id(it)] for it in self._slots if it.mask)
        return slots, {self._states.part(state, slots): value for state, value in self._table.items()}


def learn(functions: Iterable[Learned], states: Iterable[int]) -> None:
    """Ask each function for each state, until nothing is new: a table whose mask has grown may miss old states."""
    asked = list(functions)
    everywhere = list(states)
    while asked:
        asked = [it for it in asked if sum(it.ask(state) for state in everywhere)]
