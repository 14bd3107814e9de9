"""How many essentially different schedules the small migration protocol has: its Mazurkiewicz traces, counted.

Two schedules are the same if swapping neighbouring steps that are independent makes one of the other.  The count goes
by dynamic programming over the states with sleep sets (P. Godefroid, LNCS 1032, 1996): a task sleeps while the
schedules that begin with its step have been counted already, until a step that depends on its own wakes it.  Each class
is then counted once, by one of its members.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from sim.bench.protocol import (
    ANON_VMA_LOCK,
    NONE,
    Cell,
    S,
    copy,
    fill,
    flush,
    move,
    protocol,
    set_pte,
    touch,
)
from sim.engines.checker_tables import Tables
from sim.ops import Acquire, Add, AddUnless, Field, Release, Until
from tests.engines.toys import MUTEX, T, toy

#: What a step reads, and what it may write.
Footprint = tuple[frozenset[Any], frozenset[Any]]


def footprint(tables: Tables, state: int, task: int) -> Footprint:
    """The variables of the protocol (one PTE, one frame, one TLB entry, ...) that a task's next step is about."""
    op = tables.op(state, task)
    match op:
        case Acquire(lock):  # taking the anon_vma's lock looks whether the anon_vma is still there
            return frozenset({lock, *([S.references] if lock is ANON_VMA_LOCK else [])}), frozenset({lock})
        case Release(lock):
            return frozenset({lock}), frozenset({lock})
        case Until(field):
            return frozenset({field}), frozenset()
        case Add(field) | AddUnless(field) if field is S.references:
            return frozenset({field}), frozenset({field})
        case Add(field, delta):
            return _of_cell(field.key, tables.memory(state)[field], delta)
        case Field():
            where = tables.automata[task].stack(_local(tables, state, task))[-1]
            reads_frame = where.function == "move" and where.line == _line_of_m9()
            return frozenset({("frame", op.key, 1) if reads_frame else ("pte", op.key)}), frozenset()
    raise AssertionError(f"the protocol has no step {op}")


def _of_cell(page: Any, cell: Cell, delta: Any) -> Footprint:
    if delta.change is set_pte:
        return (its := frozenset({("pte", page)})), its
    if delta.change is copy:
        return (its := frozenset({("frame", page, 2)})), its
    if delta.change is flush:
        return (its := frozenset({("tlb", user, page) for user in range(len(cell.tlb))})), its
    entry = "tlb", delta.args[0], page
    if delta.change is fill:
        return frozenset({("pte", page), entry}), frozenset({entry})
    assert delta.change is touch
    frame = cell.tlb[delta.args[0]]
    if frame == NONE:
        return frozenset({entry}), frozenset()
    data = frozenset({("frame", page, frame), ("written", page)})
    return data | {entry}, frozenset() if delta.args[1] else data


def _local(tables: Tables, state: int, task: int) -> Any:
    own, _, _ = tables.lanes[task]
    return tables.rows[task][state & own].local


@cache
def _line_of_m9() -> int:
    lines, first = inspect.getsourcelines(move)
    return first + next(at for at, line in enumerate(lines) if "# M9" in line)


def classes(tables: Tables, footprint: Callable[[Tables, int, int], Footprint]) -> int:
    """The number of classes of complete schedules."""
    known: dict[tuple[int, frozenset[int]], int] = {}
    prints: dict[tuple[int, int], Footprint] = {}

    def touched(state: int, task: int) -> Footprint:
        if (state, task) not in prints:
            prints[state, task] = footprint(tables, state, task)
        return prints[state, task]

    def count(state: int, asleep: frozenset[int]) -> int:
        if (state, asleep) in known:
            return known[state, asleep]
        moves = [(task, it) for task in range(len(tables.tasks)) for it in tables.outcomes(state, task)]
        number, before = 0 if moves else 1, set(asleep)
        for task, it in moves:
            if task not in asleep:
                mine = touched(state, task)
                still = frozenset(other for other in before if independent(mine, touched(state, other)))
                number += count(state + it.delta, still)
                before.add(task)
        known[state, asleep] = number
        return number

    return count(tables.start, frozenset())


def independent(one: Footprint, other: Footprint) -> bool:
    return not (one[1] & (other[0] | other[1]) or other[1] & one[0])


@pytest.mark.parametrize(("users", "expected"), [(1, 231), (2, 8_845)])
def test_there_are_as_many_classes_of_schedules_as_are_known(users: int, expected: int) -> None:
    """One page, one round."""
    assert classes(Tables(protocol(1, users, 1).setup(), MUTEX), footprint) == expected


def test_steps_that_touch_nothing_in_common_make_one_class() -> None:
    """And with all steps dependent every schedule is a class of its own: 20 orders of three steps and three."""

    def three(field: Any) -> Callable[[Any], Any]:
        def body(k: Any) -> Any:
            yield field.set(1)
            yield field.set(2)
            yield field.set(3)

        return body

    def of_field(tables: Tables, state: int, task: int) -> Footprint:
        op: Any = tables.op(state, task)
        return frozenset({op.field}), frozenset({op.field})

    apart, together = toy(three(T.a), three(T.b)), toy(three(T.a), three(T.a))
    assert classes(Tables(apart.setup(), MUTEX), of_field) == 1
    assert classes(Tables(together.setup(), MUTEX), of_field) == 20
