"""The nearest passing schedule: fewest swaps by trying all orders, and what it says can be replayed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from sim import variants, worlds
from sim.cli import main
from sim.engines.checker import GaveUp, Passing, check, nearest_passing
from sim.engines.stepper import replay
from sim.machine import Machine
from sim.ops import Bug, Choose, Kernel
from sim.schedule import parse_run_name
from sim.structs import Page
from sim.worlds import World
from tests.engines import brute
from tests.engines.toys import MUTEX, T, toy

RFC = ("stack_grows", "rfc_remap_unlocked")
Turns = tuple[tuple[int, int | None], ...]


def nearest(world: World) -> tuple[Turns, Passing | None]:
    (found,) = check(world, MUTEX).violations
    return found.schedule, nearest_passing(world, MUTEX, schedule=found.schedule)


# --- by trying all orders --------------------------------------------------------------------------------


def fewest_swaps(its: tuple[brute.Program, ...], turns: Turns, most: int) -> int | None:
    """Breadth first over single swaps of neighbours, each order replayed; None if *most* swaps are not enough."""
    level = {tuple(range(len(turns)))}
    seen = set(level)
    for swaps in range(most + 1):
        if any(passes(its, [turns[it] for it in order]) for order in level):
            return swaps
        level = {after for order in level for after in neighbours(order, turns)} - seen
        seen |= level
    return None


def neighbours(order: tuple[int, ...], turns: Turns) -> Iterator[tuple[int, ...]]:
    for at, (one, other) in enumerate(itertools.pairwise(order)):
        if turns[one][0] != turns[other][0]:
            yield (*order[:at], other, one, *order[at + 2 :])


def passes(its: tuple[brute.Program, ...], turns: list[tuple[int, int | None]]) -> bool:
    state = brute.start(its)
    for task, choice in turns:
        if not state.tasks[task].rest:
            continue  # it has finished
        decides = state.tasks[task].rest[0][0] == "choose"
        wanted = (choice or 0) if decides else None
        after = [it.after for it in brute.moves(state) if (it.task, it.choice) == (task, wanted)]
        if not after or isinstance(after[0], str):
            return False
        state = after[0]
    return can_end_well(state)


def can_end_well(state: brute.State) -> bool:
    seen = {state}
    for it in (todo := [state]):
        if it.finished:
            return True
        new = [move.after for move in brute.moves(it) if isinstance(move.after, brute.State) and move.after not in seen]
        seen.update(new)
        todo += new
    return False


@pytest.mark.parametrize("first", range(0, 280, 70))
def test_no_order_with_fewer_swaps_passes(first: int) -> None:
    """Of each small program that can go wrong: as many swaps as the plain search over all orders needs."""
    tried = 0
    for seed in range(first, first + 70):
        its = brute.programs(seed)
        plain = brute.enumerate_all(its, 1500)
        if plain is None or not plain.steps or min(plain.steps.values()) > 9:
            continue
        turns, found = nearest(brute.world_of(its))
        expected = fewest_swaps(its, turns, 8)
        if found is None or len(found.swaps) > 8:
            assert expected is None, seed
        else:
            assert len(found.swaps) == expected, seed
            tried += expected > 0
    assert tried


# --- what is said of it ----------------------------------------------------------------------------------


def increment(k: Any) -> Kernel:
    value = yield T.a
    yield T.b
    yield T.a.set(value + 1)
    yield T.done.add(1)


def observer(k: Any) -> Kernel:
    while (yield T.done) < 2:
        yield T.b
    value = yield T.a
    if value != 2:
        yield Bug("kernel bug", f"two increments made {value}", (T,))


def test_the_swaps_that_matter_touch_the_same_field() -> None:
    """An update is lost unless one reads after the other's store: one pair of steps on a, the others on nothing."""
    turns, found = nearest(toy(increment, increment, observer))
    assert found is not None
    assert T.a in {field for it in found.swaps for field in it.fields}
    for it in found.swaps:
        assert turns[it.earlier - 1][0] != turns[it.later - 1][0]
        assert it.earlier < it.later


def test_swapped_one_after_the_other_they_make_the_passing_order() -> None:
    """Each swap is of neighbours when its turn comes, so that a picture can show them one by one."""
    shown = 0
    for seed in range(280):
        its = brute.programs(seed)
        plain = brute.enumerate_all(its, 300)
        if plain is None or not plain.steps:
            continue
        turns, found = nearest(brute.world_of(its))
        if found is None or found.kept < len(turns):
            continue  # with turns that fell away the others are neighbours across them
        order = list(range(1, len(turns) + 1))
        for it in found.swaps:
            at = order.index(it.earlier)
            assert order[at : at + 2] == [it.earlier, it.later]
            order[at : at + 2] = it.later, it.earlier
        assert [turns[number - 1][0] for number in order] == [task for task, _ in found.schedule[: found.kept]]
        shown += bool(found.swaps)
    assert shown >= 5


def test_the_passing_run_passes_from_its_name() -> None:
    """The RFC's violation: a few swaps, one of which decides whether the walk sees the tree."""
    (violating,) = check(*RFC).violations
    found = nearest_passing(*RFC, schedule=violating.schedule)
    assert found is not None
    run = replay(found.run_name)
    assert run.violation is None
    assert len(run.events) == found.steps
    machine = Machine(worlds.find(RFC[0]).setup(parse_run_name(found.run_name).params), variants.find(RFC[1]))
    for turn in found.schedule:
        machine.step(machine.tasks[turn[0]].task, turn[1] or 0)
    assert machine.done
    assert machine.verdict() is None
    assert sorted(task for task, _ in found.schedule[: found.kept]) == sorted(task for task, _ in violating.schedule)
    assert [len(it.fields) for it in found.swaps].count(0) < len(found.swaps)


def test_a_turn_whose_task_has_finished_falls_away() -> None:
    """Who sees the flag leaves early: its later turns are not waited for, and cost no swaps."""

    def looks(k: Any) -> Kernel:
        value = yield T.a
        if not value:
            yield T.b
            yield Bug("kernel bug", "too early")

    def raises_flag(k: Any) -> Kernel:
        yield T.a.set(1)

    violating = ((0, None), (1, None), (0, None), (0, None))
    found = nearest_passing(toy(looks, raises_flag), MUTEX, schedule=violating)
    assert found is not None
    assert (found.schedule, found.kept) == (((1, None), (0, None)), 2)
    assert found.swaps == ((1, 2, (T.a,)),)


def test_a_run_that_ends_badly_does_not_pass() -> None:
    """Nothing goes wrong on the way; only the final state shows that a reference was never given back."""
    page = Page("never given back")

    def takes(k: Any) -> Kernel:
        value = yield T.a
        if not value:
            yield page._count.set(1)

    def raises_flag(k: Any) -> Kernel:
        yield T.a.set(1)

    world = toy(takes, raises_flag)
    (violating,) = check(world, MUTEX).violations
    assert (violating.kind, violating.schedule[0]) == ("leak", (0, None))
    found = nearest_passing(world, MUTEX, schedule=violating.schedule)
    assert found is not None
    assert found.schedule[:2] == ((1, None), (0, None))


def test_a_decision_is_answered_as_it_was() -> None:
    def decides(k: Any) -> Kernel:
        chosen = yield Choose(2, "which")
        yield T.a.set(1)
        value = yield T.b
        if chosen and not value:
            yield Bug("kernel bug", "chosen too early")

    def helps(k: Any) -> Kernel:
        yield T.b.set(1)
        yield T.b.set(1)

    world = toy(decides, helps)
    (violating,) = check(world, MUTEX).violations
    assert nearest_passing(world, MUTEX, schedule=violating.schedule) is None  # nobody else has a turn in it
    longer = ((0, 1), (0, None), (0, None), (1, None), (0, None))
    found = nearest_passing(world, MUTEX, schedule=longer)
    assert found is not None
    assert found.schedule[0] == (0, 1)
    assert [(it.earlier, it.later, it.fields) for it in found.swaps] == [(3, 4, (T.b,))]


def test_it_gives_up_with_a_word() -> None:
    (violating,) = check(*RFC).violations
    with pytest.raises(GaveUp, match="gave up after 10 nodes"):
        nearest_passing(*RFC, schedule=violating.schedule, limit=10)
    with pytest.raises(GaveUp, match=r"gave up after 1e-09 seconds, at \d+ nodes"):
        nearest_passing(*RFC, schedule=violating.schedule, seconds=1e-9)


# --- the command -----------------------------------------------------------------------------------------


def test_check_tells_both_aids(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["check", RFC[0], "--variant", RFC[1], "--nearest", "--fewest-preemptions"]
    assert main([*argv, "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert data["fewest_preemptions"]["preemptions"] == 1
    assert data["fewest_preemptions"]["kind"] == data["violations"][0]["kind"]
    assert replay(data["nearest"]["run_name"]).violation is None
    matter = [it for it in data["nearest"]["swaps"] if it["fields"]]
    assert [(it["earlier_task"], it["later_task"], it["fields"]) for it in matter] == [
        ("main", "worker", ["A_stack.rb_root"])
    ]
    assert main(argv) == 1
    said = capsys.readouterr().out
    assert "1 preemption in " in said
    assert f"(worker: reads A_stack.rb_root) before step {matter[0]['earlier']} (main: writes A_stack.rb_root)" in said


def test_check_says_when_an_aid_gave_up(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["check", RFC[0], "--variant", RFC[1], "--nearest", "--fewest-preemptions", "--seconds", "1e-9"]
    assert main([*argv, "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert "1e-09 seconds" in data["nearest"]["gave_up"]
    assert "1e-09 seconds" in data["fewest_preemptions"]["gave_up"]
    assert main(argv) == 1
    assert capsys.readouterr().out.count("gave up after 1e-09 seconds") == 2


def test_a_safe_world_has_no_aids(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", RFC[0], "--variant", "mutex_v37", "--nearest", "--fewest-preemptions", "--json"]) == 0
    assert not {"nearest", "fewest_preemptions"} & set(json.loads(capsys.readouterr().out))


@pytest.mark.parametrize("wrong", [["--seconds", "0"], ["--seconds", "-1"]])
def test_a_bound_of_no_time_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", RFC[0], "--variant", RFC[1], *wrong]) == 2
    assert "--seconds" in capsys.readouterr().err
