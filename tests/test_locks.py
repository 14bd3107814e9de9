"""Locks as values: what a rwsem's queue does, and what the simple locks do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import locks
from sim.locks import FREE_RWSEM, Rwsem
from sim.ops import EXCLUSIVE, SHARED
from sim.structs import Task

TASKS = tuple(Task(name) for name in "pqrstu")
P, Q, R, S = TASKS[:4]
STEADY = settings(derandomize=True, deadline=None, max_examples=300)

#: One task does the next thing it can: ask for the lock in this mode if it is idle, or give it back if it has it.
MOVES = st.lists(st.tuples(st.sampled_from(TASKS), st.sampled_from((SHARED, EXCLUSIVE))), max_size=60)


def ask(value: Rwsem, task: Task, mode: str) -> Rwsem:
    """What the interpreter does for an acquire: take it, or join the queue."""
    return locks.take(value, task, mode) if locks.can_take(value, mode) else locks.enqueue(value, task, mode)


def history(moves: list[tuple[Task, str]]) -> list[tuple[Rwsem, list[Task]]]:
    """Every value on the way, with those who asked for the lock and have not given it back, in order of asking."""
    value, asked, modes = FREE_RWSEM, [], {}
    found: list[tuple[Rwsem, list[Task]]] = [(value, [])]
    for task, mode in moves:
        if task not in asked:
            value, modes[task] = ask(value, task, mode), mode
            asked.append(task)
        elif locks.holds(value, task, modes[task]):
            value = locks.give_back(value, task, modes[task])
            asked.remove(task)
        found.append((value, list(asked)))
    return found


@STEADY
@given(MOVES)
def test_a_rwsem_has_one_writer_or_many_readers(moves: list[tuple[Task, str]]) -> None:
    """Whatever is asked and given back, a writer is alone."""
    for value, _ in history(moves):
        assert value.writer is None or not value.readers


@STEADY
@given(MOVES)
def test_nobody_who_asked_is_forgotten_or_served_twice(moves: list[tuple[Task, str]]) -> None:
    """Who asked and has not given back either holds the rwsem or queues, once."""
    for value, asked in history(moves):
        assert sorted([*locks.holders(value), *(task for task, _ in value.queue)], key=str) == sorted(asked, key=str)


@STEADY
@given(MOVES)
def test_nobody_queues_for_a_rwsem_that_he_could_have(moves: list[tuple[Task, str]]) -> None:
    """The head of the queue is always there for a reason: a wake-up is never lost."""
    for value, _ in history(moves):
        if value.queue:
            _, mode = value.queue[0]
            assert not locks.can_take(value._replace(queue=()), mode)


@STEADY
@given(MOVES)
def test_the_queue_is_served_in_order(moves: list[tuple[Task, str]]) -> None:
    """Whoever queues asked after everybody who holds the lock: nobody overtakes."""
    for value, asked in history(moves):
        for holder in locks.holders(value):
            assert all(asked.index(holder) < asked.index(waiter) for waiter, _ in value.queue)


@STEADY
@given(MOVES)
def test_who_queues_blocks_every_newcomer(moves: list[tuple[Task, str]]) -> None:
    """A newcomer cannot slip past the queue, not even a reader past a queued writer."""
    for value, _ in history(moves):
        if value.queue:
            assert not locks.can_take(value, SHARED)
            assert not locks.can_take(value, EXCLUSIVE)


def test_a_queued_writer_blocks_later_readers() -> None:
    """P reads; Q wants to write; R, who only wants to read, must wait behind Q."""
    value = ask(ask(ask(FREE_RWSEM, P, SHARED), Q, EXCLUSIVE), R, SHARED)
    assert value.readers == (P,)
    assert value.queue == ((Q, EXCLUSIVE), (R, SHARED))
    value = locks.give_back(value, P, SHARED)
    assert (value.writer, value.readers) == (Q, ())


def test_readers_at_the_head_are_woken_together_up_to_the_next_writer() -> None:
    """When P has written, Q and R read together; S wants to write and goes on waiting."""
    value = ask(FREE_RWSEM, P, EXCLUSIVE)
    for task, mode in ((Q, SHARED), (R, SHARED), (S, EXCLUSIVE), (TASKS[4], SHARED)):
        value = ask(value, task, mode)
    value = locks.give_back(value, P, EXCLUSIVE)
    assert value.readers == (Q, R)
    assert value.queue == ((S, EXCLUSIVE), (TASKS[4], SHARED))


def test_a_writer_waits_for_the_last_reader() -> None:
    """With two readers, giving back once hands nothing on."""
    value = ask(ask(ask(FREE_RWSEM, P, SHARED), Q, SHARED), R, EXCLUSIVE)
    value = locks.give_back(value, P, SHARED)
    assert value.readers == (Q,)
    assert locks.is_queued(value, R)
    assert locks.give_back(value, Q, SHARED).writer is R


@STEADY
@given(st.permutations(TASKS))
def test_the_order_in_which_readers_came_makes_no_second_state(order: list[Task]) -> None:
    """The same readers are the same value, so that the checker meets one state and not 720."""
    value = FREE_RWSEM
    for task in order:
        value = ask(value, task, SHARED)
    assert value.readers == TASKS


@pytest.mark.parametrize("holder", [None, P])
def test_a_simple_lock_is_its_holder(holder: Task | None) -> None:
    """Mutex, spinlock and page lock: None or who has it; taking and giving back are inverse."""
    value: Any = holder
    assert locks.can_take(value, EXCLUSIVE) is (holder is None)
    assert locks.holders(value) == (() if holder is None else (holder,))
    assert locks.holds(value, P) is (holder is P)
    assert locks.give_back(locks.take(None, Q, EXCLUSIVE), Q, EXCLUSIVE) is None
