"""The run to a violation that interrupts least: fewest preemptions first, then fewest steps.

A preemption is a turn that leaves a task which could have gone on.  The search goes over pairs of a state and
the task that moved last, in order of preemptions and, among equals, of steps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from sim.engines.checker_tables import Tables
from sim.engines.search_bound import Bound, GaveUp
from sim.invariants import Violation

T = TypeVar("T")
Turns = tuple[tuple[int, int | None], ...]


class _Node(NamedTuple):
    """A state, and the task that moved last (-1 at the start)."""

    state: int
    last: int


class _Step(NamedTuple):
    """A step to be considered: where from, by which choice, where to, or into which violation."""

    before: _Node
    choice: int | None
    after: _Node
    violation: Violation | None


def count(tables: Tables, turns: Turns) -> int:
    """How many preemptions a schedule has."""
    state, last, number = tables.start, -1, 0
    for task, choice in turns:
        number += _is_preemption(tables, _Node(state, last), task)
        state += next(it.delta for it in tables.outcomes(state, task) if it.choice == choice)
        last = task
    return number


def search(
    tables: Tables, final: Callable[[int], Violation | None], kind: str, bound: Bound
) -> tuple[Violation, Turns] | None:
    """A violation (of *kind*, unless that is empty) and a run to it.

    *final* says what is wrong with a state itself; it is asked about states that are final or seem stuck.

    Raises:
        GaveUp: if it takes more than *bound*.
    """

    def wanted(step: _Step, ends: bool) -> Violation | None:
        violation = final(step.after.state) if ends and step.violation is None else step.violation
        return violation if violation is not None and kind in ("", violation.kind) else None

    return _first(tables, wanted, bound)


def reach(tables: Tables, goal: Callable[[int], bool], limit: int) -> Turns | None:
    """A run to a state in which *goal* holds; None if there is none, or none within *limit* nodes."""
    try:
        found = _first(
            tables, lambda step, _: (step.violation is None and goal(step.after.state)) or None, Bound(limit)
        )
    except GaveUp:
        return None
    return None if found is None else found[1]


def _first(tables: Tables, wanted: Callable[[_Step, bool], T | None], bound: Bound) -> tuple[T, Turns] | None:
    """The first step of which *wanted* says something, given whether its state is final or seems stuck."""
    start = _Node(tables.start, -1)
    reached: dict[_Node, _Step] = {}
    # by preemptions, then by steps; both only ever grow
    waiting: dict[int, dict[int, list[_Step]]] = defaultdict(lambda: defaultdict(list))
    waiting[0][0].append(_Step(start, None, start, None))
    preemptions = 0
    while preemptions in waiting:
        layer = waiting[preemptions]
        while layer:
            steps = min(layer)
            for step in layer.pop(steps):
                ends = False
                if step.violation is None:
                    if step.after in reached:
                        continue
                    reached[step.after] = step
                    bound.look(len(reached))
                    following = list(_steps(tables, step.after))
                    for extra, it in following:
                        waiting[preemptions + extra][steps + 1].append(it)
                    ends = not following or not step.after.state & tables.busy
                found = wanted(step, ends)
                if found is not None:
                    return found, _way(reached, step)
        del waiting[preemptions]
        preemptions += 1
    return None


def _steps(tables: Tables, node: _Node) -> Iterator[tuple[int, _Step]]:
    """The steps from *node*, each with the preemptions that it costs (0 or 1)."""
    for task in range(len(tables.tasks)):
        for it in tables.outcomes(node.state, task):
            extra = _is_preemption(tables, node, task)
            yield extra, _Step(node, it.choice, _Node(node.state + it.delta, task), it.violation)


def _is_preemption(tables: Tables, node: _Node, task: int) -> int:
    return int(task != node.last and node.last >= 0 and bool(tables.outcomes(node.state, node.last)))


def _way(reached: dict[_Node, _Step], step: _Step) -> Turns:
    turns = []
    while step.after.last >= 0:
        turns.append((step.after.last, step.choice))
        step = reached[step.before]
    return tuple(reversed(turns))
