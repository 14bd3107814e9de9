"""The passing schedule that is nearest to a violating one, and the swaps that lie between the two.

Given the turns of a run that goes wrong, v(1) ... v(n), look at all other orders of them.  A *swap* exchanges two turns
that stand side by side and belong to different tasks; each task's own turns keep their order.  An order is *passing* if

* each turn, when it is due, can be made (a decision is answered as it was; one that is new with 0), and none of them is
  a violation; a turn whose task has finished by then falls away;
* from the state after them some completion, any one, leads to a final state in which nothing is wrong.

The nearest is one that takes the fewest swaps from v.  Orders on the way to it need not be possible.  That number is
the number of pairs of turns that stand the other way round than in v, so no sequence of swaps is shorter; and the pairs
are the answer to "what made the difference": most are of steps that touch nothing in common; those that do are told.

The search goes by uniform cost over (how many turns each task has made, state): a turn costs as many swaps as there
are turns before it in v that are still to be made.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from sim.engines.checker_tables import Tables
from sim.engines.search_bound import Bound
from sim.invariants import Memory, Violation
from sim.machine import execute
from sim.ops import Choose, Field

Turns = tuple[tuple[int, int | None], ...]
_Counts = tuple[int, ...]


class Swap(NamedTuple):
    """Two turns of the violating schedule that stand the other way round in the passing one.

    Attributes:
        earlier, later: their numbers in the violating schedule, counted from 1.
        fields: the fields that both touch and one of them changes; empty if the steps are independent.
    """

    earlier: int
    later: int
    fields: tuple[Field, ...]


class Nearest(NamedTuple):
    """A passing schedule: its turns, how many of them come from the violating one, and the swaps between the two."""

    turns: Turns
    kept: int
    swaps: tuple[Swap, ...]


class _Node(NamedTuple):
    counts: _Counts  # of each task's turns, how many are made
    state: int


def search(tables: Tables, turns: Turns, wrong: Callable[[int], Violation | None], bound: Bound) -> Nearest | None:
    """The nearest passing schedule to *turns*; None if no order of them passes.

    *wrong* says what is wrong with a final state.

    Raises:
        GaveUp: if it takes more than *bound*.
    """
    orders = _Orders(tables, turns)
    start = _Node((0,) * len(tables.tasks), tables.start)
    reached: dict[_Node, tuple[_Node, int, int | None] | None] = {}
    waiting: list[tuple[int, int, int, _Node, tuple[_Node, int, int | None] | None]] = [(0, 0, 0, start, None)]
    ways = _Completions(tables, wrong, bound)
    serial = 0
    while waiting:
        swaps, _, _, node, before = heapq.heappop(waiting)
        if node in reached:
            continue
        reached[node] = before
        bound.look(len(reached) + len(ways.hopeless))
        if orders.is_done(node):
            rest = ways.completion(node.state)
            if rest is not None:
                made = list(_way(reached, node))
                order = [number for number, _ in made]
                return Nearest((*(turn for _, turn in made), *rest), len(made), orders.swaps(order))
            continue
        for number, choice, after, cost in orders.steps(node):
            serial += 1
            heapq.heappush(waiting, (swaps + cost, -sum(after.counts), serial, after, (node, number, choice)))
    return None


def _way(
    reached: dict[_Node, tuple[_Node, int, int | None] | None], node: _Node
) -> Iterator[tuple[int, tuple[int, int | None]]]:
    """The turns that lead to *node*: each one's number in the violating schedule, and the turn as it is made now."""
    way = []
    while (last := reached[node]) is not None:
        before, number, choice = last
        task = next(i for i, (now, then) in enumerate(zip(node.counts, before.counts, strict=True)) if now != then)
        way.append((number, (task, choice)))
        node = before
    yield from reversed(way)


class _Orders:
    """The turns of the violating schedule, and what it takes to make them in another order."""

    def __init__(self, tables: Tables, turns: Turns) -> None:
        self._tables = tables
        self._turns = turns
        self._of_task = [[n for n, (task, _) in enumerate(turns) if task == i] for i in range(len(tables.tasks))]

    def is_done(self, node: _Node) -> bool:
        return all(
            made == len(its) or self._tables.finished(node.state, task)
            for task, (made, its) in enumerate(zip(node.counts, self._of_task, strict=True))
        )

    def steps(self, node: _Node) -> Iterator[tuple[int, int | None, _Node, int]]:
        """The turns that can be made next: number, choice, the node after it, and the swaps that it costs."""
        for task, its in enumerate(self._of_task):
            made = node.counts[task]
            if made == len(its) or self._tables.finished(node.state, task):
                continue
            number = its[made]
            choice = self._turns[number][1]
            wanted = (choice or 0) if isinstance(self._tables.op(node.state, task), Choose) else None
            for it in self._tables.outcomes(node.state, task):
                if it.choice == wanted and it.violation is None:
                    counts = (*node.counts[:task], made + 1, *node.counts[task + 1 :])
                    yield number, wanted, _Node(counts, node.state + it.delta), self._cost(node, number)

    def _cost(self, node: _Node, number: int) -> int:
        return sum(1 for _ in self._overtaken(node, number))

    def _overtaken(self, node: _Node, number: int) -> Iterator[int]:
        """The turns before *number* that are still to be made."""
        for task, (made, its) in enumerate(zip(node.counts, self._of_task, strict=True)):
            if not self._tables.finished(node.state, task):
                yield from (it for it in its[made:] if it < number)

    def swaps(self, order: list[int]) -> tuple[Swap, ...]:
        """The pairs that stand the other way round, in an order in which each swap is of neighbours."""
        touched = self._touched()
        found: list[Swap] = []
        node = _Node((0,) * len(self._of_task), self._tables.start)
        for number in order:
            for earlier in sorted(self._overtaken(node, number), reverse=True):
                fields = _conflict(touched[earlier], touched[number])
                found.append(Swap(earlier + 1, number + 1, fields))
            node = next(after for it, _, after, _ in self.steps(node) if it == number)
        return tuple(found)

    def _touched(self) -> list[tuple[set[Field], set[Field]]]:
        """For each turn of the violating schedule the fields that it touches, and those that it changes."""
        found = []
        state = self._tables.start
        for task, choice in self._turns:
            memory = _Watched(self._tables.memory(state))
            op = self._tables.op(state, task)
            assert op is not None
            with suppress(Violation):
                execute(op, memory, self._tables.contexts[task], [], choice or 0)
            found.append((memory.touched, memory.changed))
            state += next(it.delta for it in self._tables.outcomes(state, task) if it.choice == choice)
        return found


def _conflict(one: tuple[set[Field], set[Field]], other: tuple[set[Field], set[Field]]) -> tuple[Field, ...]:
    return tuple(sorted((one[1] & other[0]) | (one[0] & other[1]), key=repr))


class _Watched(dict[Field, Any]):
    """A memory that notes which fields a step touches and which it changes."""

    def __init__(self, memory: Memory) -> None:
        super().__init__(memory)
        self.touched: set[Field] = set()
        self.changed: set[Field] = set()

    def get(self, field: Field, default: Any = None) -> Any:
        self.touched.add(field)
        return super().get(field, default)

    def __setitem__(self, field: Field, value: Any) -> None:
        self.touched.add(field)
        self.changed.add(field)
        super().__setitem__(field, value)


class _Completions:
    """Ways from a state to a final one in which nothing is wrong.

    Attributes:
        hopeless: the states from which there is none, as far as is known.
    """

    def __init__(self, tables: Tables, wrong: Callable[[int], Violation | None], bound: Bound) -> None:
        self._tables = tables
        self._wrong = wrong
        self._bound = bound
        self.hopeless: set[int] = set()

    def completion(self, state: int) -> Turns | None:
        """Depth first, and whoever moved last goes on as long as it can, so that there is little to read."""
        way: list[tuple[int, int | None]] = []
        open_: list[Iterator[tuple[tuple[int, int | None], int]]] = [iter([((-1, None), state)])]
        while open_:
            step = next(open_[-1], None)
            if step is None:
                open_.pop()
                if way:
                    way.pop()
                continue
            turn, after = step
            if after in self.hopeless:
                continue
            self.hopeless.add(after)  # until a way is found
            self._bound.look(len(self.hopeless))
            way.append(turn)
            if not after & self._tables.busy and self._wrong(after) is None:
                self.hopeless.clear()
                return tuple(way[1:])
            open_.append(self._steps(after, turn[0]))
        return None

    def _steps(self, state: int, last: int) -> Iterator[tuple[tuple[int, int | None], int]]:
        numbers = range(len(self._tables.tasks))
        for task in sorted(numbers, key=lambda it: it != last):
            for it in self._tables.outcomes(state, task):
                if it.violation is None:
                    yield (task, it.choice), state + it.delta
