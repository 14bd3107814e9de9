"""A world as tables: packed states, and what each step does to them.

A state is one Python int.  Each field of memory and each task has a few bits in it, handed out as values turn
up: a field that never changes has none.  For a task in a local state, :class:`Row` keeps the mask of the fields
that its step touches, and a table (state & mask) -> what to add to the state.  Masks are learned, not written:
a miss does the step with a memory that notes what it is asked for.  A mask that grows keeps its table: an old entry
was found without a look at the new bits, so it is right whatever they are, and it is found where they are 0.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from sim.engines.checker_locals import Automaton, Local
from sim.errors import BadSchedule
from sim.invariants import Memory, Violation
from sim.machine import BLOCKED, Change, Event, Frame, check_exit, enabled, execute
from sim.ops import Choose, Field, Op
from sim.setup import Setup
from sim.variants import Variant

_MISSING: Final = object()


class Outcome(NamedTuple):
    """What one step does, and what must be told about it."""

    choice: int | None
    delta: int
    answer: Any
    outcome: str
    changes: tuple[Change, ...]
    points: tuple[str, ...]
    violation: Violation | None


class Slot:
    """The bits of a state that say one thing: the value of a field, or the local state of a task."""

    __slots__ = ("bits", "codes", "mask", "rows", "values")

    def __init__(self, first: Hashable) -> None:
        self.bits: list[int] = []
        self.mask = 0
        self.codes: dict[Hashable, int] = {first: 0}
        self.values: dict[int, Any] = {0: first}
        self.rows: list[Row] = []  # whose masks contain this slot


class Row:
    """One task in one local state.

    Attributes:
        mask: the bits that its step depends on.
        table: (state & mask) -> what the step adds, 0 if the task is blocked; no decisions, bugs or steps in place.
        outcomes: (state & mask) -> all that can come of it, nothing if the task is blocked.
    """

    __slots__ = ("code", "local", "mask", "outcomes", "slots", "table", "task")

    def __init__(self, task: int, local: Local, code: int) -> None:
        self.task = task
        self.local = local
        self.code = code
        self.mask = 0
        self.slots: set[Slot] = set()
        self.table: dict[int, int] = {}
        self.outcomes: dict[int, tuple[Outcome, ...]] = {}


#: What the inner loop needs of a task: its bits, its number, and by local state (mask, lookup).
Lane = tuple[int, int, dict[int, tuple[int, Callable[[int], int | None]]]]


class Tables:
    """A world under a variant, learned step by step as states are asked for.

    Attributes:
        start: the first state.
        lanes: the tasks as the inner loop needs them; changed in place.
        busy: the bits that are 0 when every task that is no daemon has finished.
    """

    def __init__(self, setup: Setup, variant: Variant, *, merge: bool = True) -> None:
        setup, variant = setup.on(variant)
        self.setup = setup
        self.tasks = setup.tasks
        self.contexts = [info.context(variant) for info in setup.tasks]
        self._bits = 0
        self._slots: dict[Field, Slot] = {}
        self.automata = [
            Automaton(info, k, setup.memory, guarded=variant.guarded, merge=merge)
            for info, k in zip(setup.tasks, self.contexts, strict=True)
        ]
        self._locals = [Slot(it.finished) for it in self.automata]
        self.rows: list[dict[int, Row]] = [{} for _ in self.tasks]
        self.lanes: list[Lane] = [(0, i, {}) for i in range(len(self.tasks))]
        self.busy = 0
        for i, automaton in enumerate(self.automata):
            self._local_code(i, automaton.finished)
        self.start = sum(self._local_code(i, it.first) for i, it in enumerate(self.automata))

    # --- asking ------------------------------------------------------------------------------------------

    def outcomes(self, state: int, task: int) -> tuple[Outcome, ...]:
        """All that can come of a step of task number *task*; nothing if it is blocked or has finished."""
        row = self.rows[task][state & self._locals[task].mask]
        found = row.outcomes.get(state & row.mask)
        return self._learn(state, row) if found is None else found

    def op(self, state: int, task: int) -> Op | None:
        """What *task* does next."""
        return self.rows[task][state & self._locals[task].mask].local.op

    def finished(self, state: int, task: int) -> bool:
        """Whether *task* has finished."""
        return not state & self._locals[task].mask

    def memory(self, state: int) -> Memory:
        """The memory of a state, as :class:`sim.machine.Machine` would have it."""
        memory = dict(self.setup.memory)
        for field, slot in self._slots.items():
            if code := state & slot.mask:
                memory[field] = slot.values[code]
        return memory

    def values(self) -> Iterator[tuple[Field, Iterable[Any]]]:
        """Each field of memory with every value that it was seen to have."""
        for field in {**self.setup.memory, **self._slots}:
            slot = self._slots.get(field)
            yield field, slot.codes if slot else (self.setup.memory[field],)

    def successors(self, state: int) -> Iterable[int]:
        """The states after one step, in the order of tasks and choices."""
        for own, task, rows in self.lanes:
            mask, lookup = rows[state & own]
            delta = lookup(state & mask)
            if delta:
                yield state + delta
            elif delta is None:
                yield from (state + it.delta for it in self.outcomes(state, task) if it.violation is None)

    def turn(self, state: int, after: int) -> tuple[int, int | None]:
        """The first task, and its choice, that makes *after* of *state*."""
        for task in range(len(self.tasks)):
            for it in self.outcomes(state, task):
                if it.violation is None and state + it.delta == after:
                    return task, it.choice
        raise AssertionError("these two states are not one step apart")

    def replay(self, schedule: Iterable[tuple[int, int | None]]) -> tuple[list[Event], int]:
        """The events of a schedule, and the state after it, by the tables alone.

        Raises:
            BadSchedule: if a task cannot make the step.
        """
        state = self.start
        events: list[Event] = []
        for step, (task, choice) in enumerate(schedule, 1):
            op = self.op(state, task) if task < len(self.tasks) else None
            wanted = (choice or 0) if isinstance(op, Choose) else choice
            found = [it for it in self.outcomes(state, task) if it.choice == wanted] if op is not None else []
            if not found or (events and events[-1].violation):
                raise BadSchedule(f"step {step}: task number {task} cannot make it")
            it, name = found[0], self.tasks[task].task
            assert op is not None
            events.append(Event(step, name, op, it.choice, it.answer, it.outcome, it.changes, it.points, it.violation))
            state += it.delta
        return events, state

    def settle(self, states: Collection[int]) -> None:
        """Learn every step from *states*: a table whose mask has grown may miss states that it was asked for before."""
        before = (-1, -1)
        while True:
            for state in states:
                for task in range(len(self.tasks)):
                    self.outcomes(state, task)
            now = len(self.slots), sum(len(row.outcomes) for rows in self.rows for row in rows.values())
            if now == before:
                return
            before = now

    # --- what a picture of the states needs --------------------------------------------------------------

    @property
    def slots(self) -> list[Slot]:
        """Everything that has bits: the tasks' local states, then the fields that ever change."""
        return [*self._locals, *self.changing().values()]

    def changing(self) -> dict[Field, Slot]:
        """The fields that ever change, each with its bits."""
        return {field: it for field, it in self._slots.items() if it.mask}

    def local_slot(self, task: int) -> Slot:
        """The bits of the local state of *task*."""
        return self._locals[task]

    def local(self, state: int, task: int) -> Local:
        """The local state of *task*."""
        return self.rows[task][state & self._locals[task].mask].local

    def touched(self, state: int, task: int) -> set[Slot]:
        """What the step of *task* depends on, as far as that is known; ask for its outcomes first."""
        return self.rows[task][state & self._locals[task].mask].slots

    def stack(self, task: int, local: Local) -> tuple[Frame, ...]:
        """The call stack of *task* in *local*, outermost first."""
        return self.automata[task].stack(local)

    # --- learning ----------------------------------------------------------------------------------------

    def _learn(self, state: int, row: Row) -> tuple[Outcome, ...]:
        """Do the step, and note what it depends on."""
        memory = Noting(self, state)
        op, me = row.local.op, self.contexts[row.task]
        found: tuple[Outcome, ...] = ()
        if op is not None and enabled(op, memory, me):
            choices = range(op.options) if isinstance(op, Choose) else (None,)
            found = tuple(self._perform(state, row, memory, choice) for choice in choices)
        if not memory.touched <= row.slots:
            for slot in memory.touched - row.slots:
                slot.rows.append(row)
                row.mask |= slot.mask
            row.slots |= memory.touched
            self._publish(row)
        row.outcomes[state & row.mask] = found
        if not found:
            row.table[state & row.mask] = 0
        elif len(found) == 1 and found[0].delta and found[0].violation is None:
            row.table[state & row.mask] = found[0].delta
        return found

    def _perform(self, state: int, row: Row, memory: Noting, choice: int | None) -> Outcome:
        changes: list[Change] = []
        points: tuple[str, ...] = ()
        answer, violation = None, None
        op, following = row.local.op, row.local
        assert op is not None
        try:
            answer = execute(op, memory, self.contexts[row.task], changes, choice or 0)
            if answer is not BLOCKED:
                following, points = self.automata[row.task].follow(row.local, answer, memory)
                if following.op is None:
                    check_exit(memory, self.tasks[row.task].task)
        except Violation as it:
            answer, violation, following = None, it, row.local
        delta = self._local_code(row.task, following) - row.code
        for field, value in memory.items():
            slot = self._slots[field]
            delta += self._code(slot, value) - (state & slot.mask)
        outcome = "bug" if violation else "blocked" if answer is BLOCKED else "done"
        return Outcome(choice, delta, answer, outcome, tuple(changes), points, violation)

    def slot(self, field: Field) -> Slot:
        """The bits of *field*."""
        slot = self._slots.get(field)
        if slot is None:
            slot = self._slots[field] = Slot(self.setup.memory.get(field, field.default))
        return slot

    def _code(self, slot: Slot, value: Hashable) -> int:
        code = slot.codes.get(value)
        if code is None:
            number = len(slot.codes)
            if number >> len(slot.bits):
                self._widen(slot)
            code = sum(bit for place, bit in enumerate(slot.bits) if number >> place & 1)
            slot.codes[value] = code
            slot.values[code] = value
        return code

    def _widen(self, slot: Slot) -> None:
        """Give *slot* one more bit: in all states so far it is 0."""
        bit = 1 << self._bits
        self._bits += 1
        slot.bits.append(bit)
        slot.mask |= bit
        for row in slot.rows:
            row.mask |= bit
            self._publish(row)

    def _local_code(self, task: int, local: Local) -> int:
        slot = self._locals[task]
        code = self._code(slot, local)
        if code not in self.rows[task]:
            row = self.rows[task][code] = Row(task, local, code)
            self._publish(row)
            self.lanes[task] = slot.mask, task, self.lanes[task][2]
            if not self.tasks[task].daemon:
                self.busy |= slot.mask
        return code

    def _publish(self, row: Row) -> None:
        self.lanes[row.task][2][row.code] = row.mask, row.table.get


class Noting(dict[Field, Any]):
    """The memory of a packed state; it notes what it is asked for, and holds what is written.

    Attributes:
        touched: the slots that were asked for or written.
    """

    def __init__(self, tables: Tables, state: int) -> None:
        super().__init__()
        self._tables = tables
        self._state = state
        self.touched: set[Slot] = set()

    def get(self, field: Field, default: Any = None) -> Any:
        """The value of *field*, also of one that the state says nothing of."""
        slot = self._tables.slot(field)
        self.touched.add(slot)
        value = super().get(field, _MISSING)
        return slot.values[self._state & slot.mask] if value is _MISSING else value

    def __getitem__(self, field: Field) -> Any:
        return self.get(field)

    def __setitem__(self, field: Field, value: Any) -> None:
        self.touched.add(self._tables.slot(field))
        super().__setitem__(field, value)
