"""A world under a variant as Promela text, for those who want another checker's word: Spin's.

What the checker has learned of the world (:mod:`sim.engines.checker_tables`) is printed as one process a task.  A label
is a local state; an option is a step, with the fields that it depends on in its guard and those that it changes in its
effect; ``f[]`` holds the fields that ever change, each as the number of its value.  A step that breaks a rule is
``assert(false)``, and so is a final state that does; a deadlock is Spin's *invalid end state*.  So is what our search
would have overlooked: where a task meets a combination of values that was never seen, the text says ``assert(false)``
too.  Spin then searches the same graph: as many states, one for one.

Livelock (a state from which nobody can finish any more) is no question that Spin answers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from sim import invariants
from sim.engines.checker import LIMIT, Progress, Search
from sim.engines.checker_tables import Outcome, Row, Slot, Tables
from sim.engines.narrowing import Row as Numbers
from sim.engines.narrowing import States, narrowed
from sim.errors import BadParameter
from sim.variants import Variant
from sim.worlds import World

#: Characters of a value in a comment.
_MOST: Final = 60
#: What a step that can be made in one local state does: nothing where the task is blocked.
_Steps = tuple["_Step", ...]


class _Step(NamedTuple):
    """One step: which slots get which numbers, the number of the local state after it, and what it breaks."""

    writes: tuple[tuple[int, int], ...]
    then: int
    breaks: str


class Model(NamedTuple):
    """A world for Spin.

    Attributes:
        text: the Promela text.
        states: how many states the checker found, all of them.
        kinds: the kinds of violation among them.
    """

    text: str
    states: int
    kinds: tuple[str, ...]


def promela(
    world: World,
    variant: Variant,
    params: Mapping[str, int] | None = None,
    *,
    limit: int = LIMIT,
    progress: Progress | None = None,
) -> Model:
    """*world* with its small parameters, and *params* over them, under *variant*.

    Raises:
        BadParameter: if it has more than *limit* states: a text about some of them would prove nothing.
    """
    values = world.small(params)
    tables = Tables(world.setup(values), variant)
    search = Search(tables)
    search.run(limit, progress, all_kinds=True)
    if not search.complete:
        reason = f"more than {limit:,} states" if len(search.seen) > limit else "not all its states"
        raise BadParameter(f"{world.name} under {variant.name} has {reason}: raise --limit, or take smaller parameters")
    tables.settle(search.seen)
    name = ", ".join([f"{world.name} under {variant.name}", *(f"{key}={value}" for key, value in values.items())])
    lines = _Text(tables, search.seen).lines(name)
    return Model("\n".join(lines) + "\n", len(search.seen), tuple(search.found))


class _Text:
    def __init__(self, tables: Tables, seen: Mapping[int, int]) -> None:
        self.tables, self.seen = tables, seen
        self.states = States(tables)
        self.first = len(tables.tasks)  # of the slots, those before it are local states
        self.fields = range(self.first, len(self.states.slots))

    def field(self, at: int) -> str:
        """Slot number *at* as a variable of the text."""
        return f"f[{at - self.first}]"

    def number(self, task: int, state: int) -> int:
        """The number of the local state of *task*."""
        return self.states.part(state, [task])[0]

    def lines(self, name: str) -> Iterator[str]:
        """The whole text."""
        yield f"/* {name}: {len(self.seen):,} states.  Made by rmapwalk promela; search it whole:"
        yield "   spin -a world.pml; gcc -DSAFETY -DNOREDUCE -DVECTORSZ=4096 -o pan pan.c; ./pan -m1000000 */"
        changing = self.tables.changing()
        wide = any(len(slot.codes) > 256 for slot in changing.values())
        yield f"{'short' if wide else 'byte'} f[{max(1, len(changing))}];"
        for at, (field, slot) in zip(self.fields, changing.items(), strict=True):
            said = "; ".join(f"{number} {_short(value)}" for number, value in enumerate(slot.codes))
            yield f"/* {self.field(at)} {_short(field)}: {said} */"
        yield f"byte unfinished = {sum(not it.daemon for it in self.tables.tasks)};"
        for task in range(len(self.tables.tasks)):
            yield from self._process(task)
        yield from self._final()

    # --- a task --------------------------------------------------------------------------------------------

    def _process(self, task: int) -> Iterator[str]:
        info = self.tables.tasks[task]
        label = f"{'end_' if info.daemon else ''}L"
        yield ""
        yield f"active proctype task{task}()  /* {_short(info.task)} */"
        yield "{"
        rows = sorted(self.tables.rows[task].values(), key=lambda it: self.number(task, it.code))
        yield f"  goto {self._label(label, self.number(task, self.tables.start))};"
        used = self._used(task)
        for row in rows:
            if row.local.op is not None and row.code in used:
                yield from self._local(task, row, used[row.code], label)
        yield "end_finished:"
        yield "  false"
        yield "}"

    def _label(self, label: str, number: int) -> str:
        return f"{label}{number}" if number else "end_finished"

    def _used(self, task: int) -> dict[int, dict[int, int]]:
        """By local state of *task*: each combination of what its step depends on, with a state that has it."""
        own, found = self.tables.local_slot(task).mask, defaultdict[int, dict[int, int]](dict)
        rows = self.tables.rows[task]
        for state in self.seen:
            code = state & own
            found[code].setdefault(state & rows[code].mask, state)
        return found

    def _local(self, task: int, row: Row, used: Mapping[int, int], label: str) -> Iterator[str]:
        """One local state: its label, and its steps."""
        slots = self.states.slots
        on = [at for at in self.fields if slots[at] in row.slots]
        table: dict[Numbers, _Steps] = {}
        states = list(used.values())
        outcomes = {state: self.tables.outcomes(state, task) for state in states}
        written = [at for at in on if any(self._changes(it, slots[at]) for its in outcomes.values() for it in its)]
        for state in states:
            key = self.states.part(state, on)
            table[key] = tuple(self._step(task, state, it, written) for it in outcomes[state])
        on, table = narrowed(on, table)
        stack = [it for it in self.tables.stack(task, row.local) if it.file != "sim/sync.py"]
        where = f"  {stack[-1].file}:{stack[-1].line} {stack[-1].function}" if stack else ""
        yield f"{self._label(label, self.number(task, row.code))}:  /* {_short(row.local.op)}{where} */"
        ways: dict[_Steps, list[Numbers]] = defaultdict(list)
        for key, steps in table.items():
            ways[steps].append(key)
        if not any(ways):
            yield "  false;"
            return
        yield "  if"
        for steps, keys in ways.items():
            guard = self._guard(on, keys)
            for step in steps:
                yield self._option(guard, step, label, daemon=self.tables.tasks[task].daemon)
        if on:
            yield f"  :: d_step {{ !({self._guard(on, [*table])}) -> assert(false) /* never seen */ }}"
        yield "  fi;"

    def _changes(self, it: Outcome, slot: Slot) -> bool:
        return it.violation is None and any(self.tables.slot(change.field) is slot for change in it.changes)

    def _step(self, task: int, state: int, it: Outcome, written: list[int]) -> _Step:
        if it.violation is not None:
            return _Step((), 0, it.violation.kind)
        after = state + it.delta
        writes = zip(written, self.states.part(after, written), strict=True)
        return _Step(tuple(writes), self.number(task, after), "")

    def _option(self, guard: str, step: _Step, label: str, *, daemon: bool) -> str:
        if step.breaks:
            return f"  :: d_step {{ {guard} -> assert(false) /* {step.breaks} */ }}"
        does = [f"{self.field(at)} = {number}" for at, number in step.writes]
        if not step.then and not daemon:
            does.append("unfinished--")
        effect = "; ".join(does) or "skip"
        return f"  :: d_step {{ {guard} -> {effect} }}; goto {self._label(label, step.then)}"

    def _guard(self, on: list[int], keys: list[Numbers]) -> str:
        """Whether the slots *on* have one of these rows of numbers."""
        if not on:
            return "true"
        if len(on) == 1:
            return " || ".join(f"{self.field(on[0])} == {key[0]}" for key in keys)
        ands = (" && ".join(f"{self.field(at)} == {it}" for at, it in zip(on, key, strict=True)) for key in keys)
        return " || ".join(f"({it})" for it in ands)

    # --- the end -------------------------------------------------------------------------------------------

    def _final(self) -> Iterator[str]:
        """A process that looks at final states; none, if no final state breaks a rule."""
        table: dict[Numbers, str] = {}
        for state in self.seen:
            if not state & self.tables.busy:
                row = self.states.part(state, self.fields)
                if row not in table:
                    broken = invariants.at_end(self.tables.memory(state))
                    table[row] = broken.kind if broken else ""
        if not any(table.values()):
            return
        on, table = narrowed(self.fields, table)
        yield ""
        yield "active proctype at_the_end()"
        yield "{"
        yield "end:"
        yield "  if"
        for kind in sorted({*table.values()} - {""}):
            guard = self._guard(on, [key for key, it in table.items() if it == kind])
            yield f"  :: d_step {{ unfinished == 0 && ({guard}) -> assert(false) /* {kind} */ }}"
        yield "  fi"
        yield "}"


def _short(value: object) -> str:
    """*value* for a comment."""
    said = " ".join(repr(value).split()).replace("*/", "* /").replace('"', "'")
    return said if len(said) <= _MOST else f"{said[: _MOST - 3]}..."
