"""Lesson 7: the claim about all callers, the grid, the repair on two axes, and the test of the repair."""

from __future__ import annotations

from typing import Any

import pytest

from course import check, goals, grid, plane, premises, repairs, users
from course.claiming import COLUMNS, GOALS, ROWS, Scenario, fault, shortest
from course.instructor import solutions_07
from course.sharing import ENOUGH, USERS, divided, patched, right, seen
from sim import run
from sim.analysis.claims import Claims, claims
from sim.engines.costs import DEFAULT
from sim.engines.costs import ROWS as COSTS
from sim.worlds import WORLDS

# --- what callers hold ---------------------------------------------------------------------------------------------


def test_the_claim_is_true_of_one_caller() -> None:
    """A NUMA fault moves no shared page; everybody else lacks a process's mmap_sem, and three lack all."""
    told = premises()
    assert [line.split()[:2] for line in told.splitlines() if " true " in line] == [["NUMA", "fault"]]
    assert told.count("P not, C not") == 3


# --- the grid ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def claimed() -> Claims:
    """What the claim tester says of the whole grid."""
    return claims(ROWS, COLUMNS)


@pytest.mark.parametrize("granted", [False, True])
def test_the_grid_says_what_the_claim_tester_says(claimed: Claims, granted: bool) -> None:
    """Cell by cell as ``python -m sim claims``, which also has Linux 3.7 beside them: safe everywhere."""
    cells = [it for it in claimed.cells if it.granted is granted]
    assert len(cells) == len(ROWS) * len(COLUMNS)
    marks = {(row, column): mark for column in COLUMNS for row, mark in zip(ROWS, grid(granted=granted).marks(column),
             strict=True)}  # fmt: skip
    assert marks == {(it.caller, it.disturber): "✗" if it.verdict == "unsafe" else "✓" for it in cells}
    assert {it.control for it in cells} == {"safe"}


def test_a_cell_is_played_when_it_is_pressed() -> None:
    """One that goes wrong brings the sentence and the player, one that does not the sentence."""
    it = grid(granted=True)
    buttons = {b.tooltip: b for b in it.box.children[1].children if hasattr(b, "click")}
    assert len(buttons) == len(ROWS) * len(COLUMNS)
    buttons["compaction beside exit: ✗ 126"].click()
    told, player = it.box.children[2].children
    assert "use after free" in told.value
    assert repr(player) == "Player(126 steps)"
    buttons["compaction beside mremap: ✓"].click()
    (told,) = it.box.children[2].children
    assert "no violation in any schedule" in told.value


def test_each_goal_is_met_by_one_smallest_scenario() -> None:
    """The right answers are the smallest of those that meet the goal, and no other is as small."""
    assert goals().count("\n") + 1 == len(GOALS)
    for letter in GOALS:
        fit = [it for it in (Scenario(row, column) for row in ROWS for column in COLUMNS) if not fault(letter, it)[0]]
        steps = [len((it.as_it_is if letter == "b" else it.granted).trace.events) for it in fit]  # type: ignore[union-attr]
        assert steps.count(shortest(letter)) == 1
        assert fit[steps.index(shortest(letter))] == solutions_07.GOOD["L07.2"][letter]


# --- the repair ----------------------------------------------------------------------------------------------------


def test_one_repair_is_right_and_fast() -> None:
    """A reference mends nothing, every mmap_sem half of it, the mutex is slow; the rwsem is both."""
    unsafe = {name: it.unsafe for name, it in repairs().items()}
    assert list(unsafe.values()) == [("exit", "mremap", "stack growth"), ("exit", "stack growth"), (), ()]
    assert "simulated" in plane()
    fast = [it.pages for it in repairs().values()]
    assert fast[2] < ENOUGH * fast[0] < fast[3]


def test_who_does_more_than_walk_must_be_alone() -> None:
    """Each of the four goes wrong as a reader, in its own world; and Linux 3.8 as it is divides as the table does."""
    assert users().count("\n") + 1 == len(USERS)
    assert {name: right(name) for name in USERS} == solutions_07.RIGHT
    assert all(seen(name).violation for name in USERS if USERS[name].world)
    assert not divided(solutions_07.RIGHT).patch


@pytest.mark.parametrize("factor", [1 / 3, 3])
@pytest.mark.parametrize("row", [row.name for row in COSTS])
def test_the_timing_conclusions_hold_in_a_wide_band(row: str, factor: float) -> None:
    """Whatever one cost is, walks that share keep half of the patch's speed, and one that does not share loses it."""
    costs = DEFAULT.with_(row, DEFAULT[row] * factor)

    def speed(how: Any) -> float:
        return run("numa02", how, threads=8, pages=2, costs=costs).pages_per_second

    enough = ENOUGH * speed(patched())
    assert speed("rwsem_v38") > enough
    for name in ("try_to_unmap_anon", "rmap_walk_anon"):
        assert speed(divided({name: "write"})) < enough


# --- the test of the repair ----------------------------------------------------------------------------------------


def test_a_test_leaves_no_world_behind() -> None:
    """The world of a reader's test is known while it is checked and played, and no longer."""
    before = set(WORLDS)
    report = check("L07.4", solutions_07.below_the_stack)
    assert report.ok
    assert repr(report.play()) == "Player(88 steps)"
    assert set(WORLDS) == before


def test_a_test_that_fails_with_every_kernel_tells_nothing() -> None:
    """It is refused with the kernel that it fails with."""

    def two_pages_up(k: Any) -> Any:
        from sim.user import user_write

        yield from user_write(k, 2000)

    report = check("L07.4", two_pages_up)
    assert not report.ok
    assert "mutex_v37 fails too" in repr(report)


def test_a_stub_is_no_answer() -> None:
    """The empty function of the notebook is not marked wrong."""

    def stub(_: Any) -> None: ...

    assert repr(check("L07.4", stub)) == "L07.4: not answered yet"
