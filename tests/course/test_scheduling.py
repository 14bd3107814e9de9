"""Lesson 3: the level can be broken as the checker says, and what the lesson's checks accept."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from course import check
from course.instructor import solutions_03
from course.scheduling import (
    PARAMS,
    WORLD,
    WRONG,
    certified,
    contended,
    followed,
    isolating,
    level,
    preemptions,
    states,
    torn,
)
from course.scheduling_checks import observed, standing
from sim import Stepper, luck, replay
from sim import check as check_world
from sim.errors import BadSchedule
from sim.kernel.vmscan import isolate_lru_page
from sim.structs import Task
from vizlib.player import live


def test_the_par_is_a_run_that_replays() -> None:
    """It has the preemptions and steps that are certified, and both threads have the page at its end."""
    par = certified()
    trace = followed(par.run_name)
    assert trace.run_name == par.run_name
    assert (preemptions(trace), len(trace.events)) == (par.preemptions, par.steps) == (1, 69)
    assert trace.violation is not None
    assert trace.violation.kind == WRONG


def without_preemption(stepper: Stepper) -> list[Stepper]:
    """Every run in which a thread goes on as long as it can, and then anybody may."""
    while not stepper.machine.done and (ready := stepper.runnable):
        last = stepper.events[-1].task if stepper.events else None
        if last not in ready:
            return [end for task in ready for end in without_preemption(stepped(stepper.branch(), task))]
        stepper.step(last)
    return [stepper]


def stepped(stepper: Stepper, task: Task) -> Stepper:
    """*stepper* after one step of *task*."""
    stepper.step(task)
    return stepper


def test_no_order_without_a_preemption_breaks_it() -> None:
    """Fewest means fewest: all runs that interrupt nobody are tried here, by other means than the checker's."""
    ends = without_preemption(Stepper(WORLD, torn(), "", **PARAMS))
    assert len(ends) >= 2
    assert all(preemptions(it.trace) == 0 for it in ends)
    assert [it.run_name for it in ends if it.trace.violation is not None] == []


def test_the_kernels_own_function_is_safe_in_the_same_frame() -> None:
    """What makes it wrong is the function, and not what watches who has the page."""
    verdict = check_world(WORLD, isolating("kernel", isolate_lru_page, ours=True), dict(PARAMS))
    assert verdict.verdict == "safe"
    assert verdict.complete


def test_random_orders_find_it_seldom() -> None:
    """As the lesson's second question says: not never, and in fewer than one run in twenty."""
    assert 0 < luck(WORLD, torn(), dict(PARAMS), runs=300).failures < 15


def test_a_schedule_can_be_handed_in_with_its_world() -> None:
    """The whole run name is understood as well; what cannot be followed names its step."""
    assert followed("two_migrators?pages=1,passes=2 torn a11b11").run_name.endswith("torn a11b11")
    assert len(followed("").events) == 0
    with pytest.raises(BadSchedule, match="step 55: migrator-1 is blocked"):
        followed("a55")


def test_the_five_moments_are_what_the_lesson_says() -> None:
    """Who holds the lock at each, and what the threads are; and the run is an ordinary one of Linux 3.7."""
    trace, moments = contended()
    assert replay(trace.run_name).run_name == trace.run_name
    assert trace.violation is None
    holders = {}
    for letter, step in moments.items():
        memory = {repr(it): value for it, value in trace.memory_at(step).items()}
        holders[letter] = str(memory.get("A_heap.mutex"))
    assert (holders["B"], holders["C"], holders["D"]) == ("migrator-1", "migrator-1", "None")
    assert standing() == solutions_03.GOOD["L03.2"]
    assert set(states(trace, len(trace.events)).values()) == {"finished"}


def test_a_thread_is_in_one_state_and_one_thread_runs() -> None:
    """At every step of the run: one makes the next step, and it could have."""
    trace, _ = contended()
    for step, event in enumerate(trace.events):
        now = states(trace, step)
        running = [who for who, what in now.items() if what == "running"]
        assert running == ([event.task.name] if event.task.name in now else [])
        assert all(who in trace.runnable[step] for who, what in now.items() if what in ("running", "runnable"))


def test_the_level_says_what_the_checker_found() -> None:
    """The player opens at the start, with the goal and its par."""
    player: Any = level()
    assert repr(player) == "Player(0 steps)"
    goal = player.film["goal"]
    assert (goal["kind"], goal["par"], goal["run"]) == (WRONG, 1, certified().run_name)
    assert goal["states"] == check_world(WORLD, torn(), dict(PARAMS), all_kinds=True).states


def test_the_level_keeps_its_places_whatever_is_tried() -> None:
    """Also where a try leads to the bug, before which neither thread has allocated the frame that it would move to."""
    player: Any = level()
    tried = [live.step(player.film, torn(), it, "migrator-2", None) for it in ("a3", "a11b20", "a11b43")]
    assert all(it["panels"] == player.film["panels"] for it in tried)
    moved = live.step(player.film, torn(), "a3b18", "migrator-2", None)
    assert "rm:page:migrator-2.f1" in str(moved["steps"]), "the reverse map has room for the frame of whoever moves"


def test_the_table_comes_from_runs() -> None:
    """Two need a lock, and two are changed in one step."""
    assert observed() == solutions_03.GOOD["L03.5"]
    assert sorted(observed().values()) == ["none", "none", "ptl", "ptl"]


def test_there_is_a_right_function_without_a_lock() -> None:
    """One step that looks and takes."""
    assert check("L03.6", solutions_03.in_one_step).ok


def test_a_function_that_cannot_run_is_told_where() -> None:
    """One sentence with file and line."""

    def breaks(k: Any, page: Any) -> Any:
        yield page.PG_on_the_list

    report = check("L03.6", breaks)
    assert not report.ok
    assert "has no field 'PG_on_the_list'" in repr(report)


@pytest.mark.parametrize("lines", [["lock", "take", "look", "unlock"], ["take", "look"]])
def test_taking_before_looking_is_told(lines: list[str]) -> None:
    """It is taken unseen, whoever may have it: that is said first, and then what comes of it."""
    report = check("L03.4", lines)
    assert not report.ok
    assert "look comes before take" in repr(report)


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [
        ("L03.4", ["lock", "look", "take"], "'lock' is never given back"),
        ("L03.5", {"mapcount": "none"}, "one lock was held alone at every change"),
        ("L03.6", solutions_03.always_mine, "finds the page off the list at its last look, and is answered 0"),
        ("L03.6", solutions_03.asks_the_step, "'page.PG_lru.xchg(False)' is asked without yield"),
    ],
)
def test_a_slip_is_told_as_what_it_is(name: str, answer: Any, said: str) -> None:
    """What the run shows is a consequence, and often of another kind: the check says first what was forgotten."""
    report = check(name, answer)
    assert said in report.findings[0].text
    assert report.tags == ()


def test_every_order_of_the_lines_but_one_goes_wrong_and_can_be_played() -> None:
    """Also those that take a page before they have looked at it, or give back a lock that they have not taken."""
    orders = [list(it) for it in permutations(("lock", "look", "take", "unlock"))]
    reports = [check("L03.4", it) for it in orders]
    assert [order for order, it in zip(orders, reports, strict=True) if it.ok] == [["lock", "look", "take", "unlock"]]
    assert all(it.trace is not None and it.trace.violation is not None for it in reports if not it.ok)
