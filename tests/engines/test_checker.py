"""The checker finds what is there, by the shortest way, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from sim import invariants, worlds
from sim.engines.checker import Search, check, fewest_preemptions
from sim.engines.checker_tables import Tables
from sim.errors import NotAnOperation, UnknownName
from sim.ops import SHARED, Acquire, Alloc, Bug, Choose, Free, Kernel, Release, Until
from sim.structs import Page, PageTable, Pte
from sim.worlds import World
from tests.engines.toys import MUTEX, Daemon, T, toy


def kinds(world: World, **options: Any) -> list[tuple[str, int]]:
    return [(it.kind, it.steps) for it in check(world, MUTEX, **options).violations]


# --- each kind of verdict --------------------------------------------------------------------------------


def increment(k: Any) -> Kernel:
    value = yield T.a
    yield T.a.set(value + 1)
    yield T.done.add(1)


def locked_increment(k: Any) -> Kernel:
    yield Acquire(T.lock)
    value = yield T.a
    yield T.a.set(value + 1)
    yield Release(T.lock)
    yield T.done.add(1)


def observer(k: Any) -> Kernel:
    yield Until(T.done, 2)
    value = yield T.a
    if value != 2:
        yield Bug("kernel bug", f"two increments made {value}", (T,))


def test_an_update_is_lost_without_a_lock() -> None:
    """Both read, both write: six steps, three of the observer."""
    (found,) = check(toy(increment, increment, observer), MUTEX).violations
    assert (found.kind, found.sentence, found.steps) == ("kernel bug", "two increments made 1", 9)
    least = fewest_preemptions(toy(increment, increment, observer), MUTEX)
    assert least is not None
    assert (least.kind, least.preemptions, least.steps) == ("kernel bug", 1, 9)


def test_no_update_is_lost_with_a_lock() -> None:
    verdict = check(toy(locked_increment, locked_increment, observer), MUTEX)
    assert (verdict.verdict, verdict.complete, verdict.violations, verdict.bound) == ("safe", True, (), "")


def test_a_deadlock_is_reported_with_who_waits_for_what() -> None:
    def waits_with_lock(k: Any) -> Kernel:
        yield Acquire(T.lock)
        yield Until(T.a, 1)
        yield Release(T.lock)

    def needs_lock(k: Any) -> Kernel:
        yield Acquire(T.lock)
        yield T.a.set(1)
        yield Release(T.lock)

    (found,) = check(toy(waits_with_lock, needs_lock), MUTEX).violations
    assert (found.kind, found.steps, found.run_name) == ("deadlock", 1, "toy mutex_v37 a")
    assert "t0: it waits until toy.a is 1" in found.sentence
    assert "t1: it waits for lock of toy, held by t0" in found.sentence


def spins(k: Any) -> Kernel:
    while True:
        yield T.done


def test_a_deadlock_beside_a_busy_daemon_is_a_livelock() -> None:
    """Something can run for ever, so nothing is dead, but the task never finishes."""

    def waits(k: Any) -> Kernel:
        yield T.b.set(1)
        yield Until(T.a, 1)

    assert kinds(toy(waits, Daemon(spins))) == [("livelock", 0)]


def test_a_daemon_that_can_help_prevents_the_deadlock() -> None:
    def waits(k: Any) -> Kernel:
        yield Until(T.a, 1)

    def helps(k: Any) -> Kernel:
        while True:
            yield Until(T.a, 0)
            yield T.a.set(1)

    assert check(toy(waits, Daemon(helps)), MUTEX).verdict == "safe"


def polls(k: Any) -> Kernel:
    while True:
        value = yield T.a
        if value:
            return


def test_a_livelock_is_found_at_the_first_state_without_a_way_out() -> None:
    """The flag is up for one step only; who has not seen it by then polls for ever."""

    def blinks(k: Any) -> Kernel:
        yield T.a.set(1)
        yield T.a.set(0)

    (found,) = check(toy(polls, blinks), MUTEX).violations
    assert (found.kind, found.steps, found.run_name) == ("livelock", 2, "toy mutex_v37 b2")
    assert found.sentence == "t0 can never finish, whoever goes next"


def test_a_loop_that_can_be_left_is_no_livelock() -> None:
    def raises_flag(k: Any) -> Kernel:
        yield T.a.set(1)

    assert check(toy(polls, raises_flag), MUTEX).verdict == "safe"


def test_two_tasks_that_poll_for_each_other_are_both_named() -> None:
    def polls_first(theirs: Any, mine: Any) -> Callable[..., Kernel]:
        def body(k: Any) -> Kernel:
            value = 0
            while not value:
                value = yield theirs
            yield mine.set(1)

        return body

    assert check(toy(polls_first(T.a, T.b), polls_first(T.b, T.a), increment), MUTEX).verdict == "safe"
    (found,) = check(toy(polls_first(T.a, T.b), polls_first(T.b, T.a)), MUTEX).violations
    assert (found.steps, found.sentence) == (0, "t0 and t1 can never finish, whoever goes next")


def test_a_decision_is_tried_both_ways_and_stands_in_the_schedule() -> None:
    def decides(k: Any) -> Kernel:
        chosen = yield Choose(3, "which way")
        if chosen == 2:
            yield Bug("kernel bug", "the wrong way")

    (found,) = check(toy(decides), MUTEX).violations
    assert (found.run_name, found.schedule) == ("toy mutex_v37 a.2a", ((0, 2), (0, None)))


def reads_and_waits(k: Any) -> Kernel:
    yield Acquire(T.sem, SHARED)
    yield Until(T.a, 1)
    yield Release(T.sem, SHARED)


def reads_and_helps(k: Any) -> Kernel:
    yield Acquire(T.sem, SHARED)
    yield T.a.set(1)
    yield Release(T.sem, SHARED)


def writes(k: Any) -> Kernel:
    yield Acquire(T.sem)
    yield Release(T.sem)


def test_a_queued_writer_blocks_a_later_reader() -> None:
    """Two readers help each other; with a writer between them in the queue they cannot."""
    assert check(toy(reads_and_waits, reads_and_helps), MUTEX).verdict == "safe"
    (found,) = check(toy(reads_and_waits, reads_and_helps, writes), MUTEX).violations
    assert (found.kind, found.run_name) == ("deadlock", "toy mutex_v37 acb")


def test_a_use_after_free_is_found() -> None:
    page = Page("p")

    def frees(k: Any) -> Kernel:
        yield Free(page)

    def uses(k: Any) -> Kernel:
        yield T.a
        yield page.data

    (found,) = check(toy(frees, uses), MUTEX).violations
    assert (found.kind, found.steps) == ("use after free", 3)


def test_a_lock_held_at_exit_is_found() -> None:
    def forgets(k: Any) -> Kernel:
        yield Acquire(T.lock)

    assert kinds(toy(forgets)) == [("held at exit", 1)]


def test_a_final_state_is_held_against_the_invariants() -> None:
    """A reference that nobody can drop any more is a leak, which only the end shows."""
    page = Page("q")

    def leaks(k: Any) -> Kernel:
        yield T.a
        yield page._count.set(1)

    assert kinds(toy(leaks, increment)) == [("leak", 5)]
    found = fewest_preemptions(toy(leaks, Daemon(spins)), MUTEX)  # a daemon that could go on makes it no less final
    assert found is not None
    assert (found.kind, found.steps) == ("leak", 2)


def test_all_kinds_goes_on_and_finds_each_by_a_shortest_way() -> None:
    def decides(k: Any) -> Kernel:
        chosen = yield Choose(3, "which")
        if chosen == 1:
            yield Acquire(T.lock)
        elif chosen == 2:
            yield T.b
            yield Until(T.a, 7)

    world = toy(decides)
    assert kinds(world) == [("held at exit", 2)]
    verdict = check(world, MUTEX, all_kinds=True)
    assert [(it.kind, it.steps) for it in verdict.violations] == [("held at exit", 2), ("deadlock", 2)]
    assert verdict.complete


# --- what is the same state ------------------------------------------------------------------------------


def test_a_constant_of_an_allocated_object_is_read_from_its_memory() -> None:
    """Two ways that have forgotten how they differ meet in one local state; the new frame's node still differs."""

    def allocates(k: Any) -> Kernel:
        node = yield Choose(2, "which node")
        page = yield Alloc(Page, (("node", node),))
        del node
        yield T.a
        node = yield page.node
        yield T.b.set(node)
        if node:
            yield Bug("kernel bug", f"{page} is on node {node}")

    (found,) = check(toy(allocates), MUTEX).violations
    assert (found.run_name, found.sentence) == ("toy mutex_v37 a.1a4", "t0.f1 is on node 1")


def test_which_constants_are_read_may_depend_on_constants() -> None:
    """Only a page on node 1 has its neighbour looked at; what was learned on node 0 does not cover that."""

    def allocates(k: Any) -> Kernel:
        node = yield Choose(2, "which node")
        page = yield Alloc(Page, (("node", node), ("_count", 1), ("pins", 1)))
        node = yield Choose(2, "which node")
        neighbour = yield Alloc(Page, (("node", node), ("_count", 1), ("pins", 1)))
        yield T.a
        node = yield page.node
        if node:
            node = yield neighbour.node
            if node:
                yield Bug("kernel bug", "both are on node 1")

    (found,) = check(toy(allocates), MUTEX).violations
    assert found.run_name == "toy mutex_v37 a.1a2.1a3"


def test_ways_that_meet_again_are_counted_once() -> None:
    """Whether it looked or not, it then stands at the same place and remembers nothing."""

    def looks(k: Any) -> Kernel:
        chosen = yield Choose(2, "look?")
        if chosen:
            yield T.a
        yield T.b

    assert check(toy(looks), MUTEX).states == 4
    reference = Search(Tables(toy(looks).setup(), MUTEX, merge=False))
    reference.run()
    assert len(reference.seen) == 5


def test_what_cannot_be_analysed_is_told_apart_by_all_its_answers() -> None:
    """The position of a for loop is in no local: the second read of the loop is not the first."""

    def loops(k: Any) -> Kernel:
        for _ in range(3):
            yield T.a
        yield T.b.set(1)

    verdict = check(toy(loops), MUTEX)
    assert (verdict.verdict, verdict.states) == ("safe", 5)


# --- names, errors --------------------------------------------------------------------------------------


def test_the_world_s_small_parameters_are_the_default() -> None:
    assert check("numa02", MUTEX, limit=10).params == worlds.find("numa02").small()
    assert check("numa02", MUTEX, {"threads": 1}).params["threads"] == 1


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UnknownName):
        check("one_pag", MUTEX)
    with pytest.raises(UnknownName):
        check("one_page", "mutex")
    with pytest.raises(UnknownName):
        check("one_page", MUTEX, {"pages": 1})


def test_a_coroutine_that_yields_nonsense_is_reported() -> None:
    def nonsense(k: Any) -> Kernel:
        yield T.a
        yield 3  # type: ignore[misc]

    with pytest.raises(NotAnOperation, match="3"):
        check(toy(nonsense), MUTEX)


def test_every_kind_that_the_checker_names_is_known() -> None:
    assert {"deadlock", "livelock"} <= invariants.KINDS.keys()


def test_every_kind_has_a_rule_with_its_source() -> None:
    """A verdict says not only what happened but which rule was broken, and where the kernel has it."""
    assert invariants.RULES.keys() == invariants.KINDS.keys()
    for rule in (*invariants.RULES.values(), invariants.NO_PTE_OF_A_FREE_PAGE):
        assert re.search(r"^[a-z].* \([\w/-]+/[\w-]+\.[ch]:\d+, v3\.[78]\)$", rule), rule


def test_a_violation_has_the_rule_of_its_kind_or_a_nearer_one() -> None:
    page, table = Page("r"), PageTable("r_table")

    def frees(k: Any) -> Kernel:
        yield table.pte[0].set(Pte("present", page))
        yield Free(page)

    (found,) = check(toy(frees), MUTEX).violations
    assert (found.kind, found.rule) == ("use after free", invariants.NO_PTE_OF_A_FREE_PAGE)
    (found,) = check(toy(increment, increment, observer), MUTEX).violations
    assert found.rule == invariants.RULES["kernel bug"]
    assert found.rule in str(check(toy(increment, increment, observer), MUTEX))
