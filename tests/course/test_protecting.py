"""Lesson 5: the table that fills in, what every order of steps shows, and what the checks accept."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from course import check, cuts, every_order, filling
from course.cutouts import CUTS, judged
from course.filling import LOCKS, ROWS, RUNS, Cell, matrix
from course.finding import Watch, moments
from course.instructor import solutions_05
from course.protecting import LOST, guards, observed
from sim import Stepper

# --- the table that fills in ---------------------------------------------------------------------------------------


def test_locks_drop_out_run_by_run() -> None:
    """After one run three locks might guard a PTE, after the second only the ptl; the tree loses one with the third."""
    stages = filling().stages
    always = [{row: [it for it, cell in cells.items() if cell.held == cell.changes > 0] for row, cells in stage.items()}
              for stage in stages]  # fmt: skip
    assert [it["PTE"] for it in always[:2]] == [["page lock", "anon_vma lock", "ptl"], ["ptl"]]
    assert [it["interval tree"] for it in always[:3]] == [[], ["mmap_sem", "anon_vma lock"], ["anon_vma lock"]]
    assert always[-1] == {
        "interval tree": ["anon_vma lock"],
        "PTE": ["ptl"],
        "mapcount": ["ptl"],
        "page flag": [],
        "anon_vma's count": [],
        "frame data": [],
    }


def test_counts_only_grow() -> None:
    """A run is added to those before it, and a change under a lock is a change."""
    stages = filling().stages
    for before, after in pairwise(stages):
        for row in ROWS:
            for lock in LOCKS:
                assert before[row][lock].held <= after[row][lock].held <= after[row][lock].changes


def test_a_lock_that_is_held_for_reading_is_not_held_alone() -> None:
    """move_pages holds mmap_sem over the whole move, and to read."""
    found = matrix(Stepper("one_page").finish().trace)
    assert found["PTE"] == {"mmap_sem": Cell(0, 3)} | dict.fromkeys(("page lock", "anon_vma lock", "ptl"), Cell(3, 3))


def test_the_button_adds_a_run_and_stops_at_the_last() -> None:
    """Each press shows one run more, with the locks that it puts out; the text twin has the first and the last."""
    seen = filling()
    table, button = seen.box.children
    assert "in 1 run" in table.value
    assert button.description == "Add the next run (4 left)"
    button.click()
    assert "9 of 11, out" in table.value
    assert "the last: relative_adjusts" in table.value
    for _ in RUNS:
        button.click()
    assert button.disabled
    assert f"in {len(RUNS)} runs" in table.value
    assert seen.text().count("held alone at how many changes") == 2


# --- every order of steps ------------------------------------------------------------------------------------------


def test_the_guards_are_inferred() -> None:
    """What the table calls right comes from every order of steps and from what goes wrong, and is this."""
    assert guards() == solutions_05.GOOD["L05.2"]
    assert observed().complete
    assert not observed().broken


def test_a_ptl_is_not_the_same_ptl() -> None:
    """By kind of lock mapcount looks guarded; lock by lock it is not."""
    assert observed().line("Page._mapcount").at_writes == ("some PageTable.ptl",)
    assert observed().line("PageTable.pte").at_writes == ("ptl",)
    assert "a ptl, not always the same" in every_order()


def test_each_kernel_without_a_guard_goes_wrong_in_its_own_way() -> None:
    """Two lose a lifetime, one the structure, one the contents; and the lock is behind two different losses."""
    assert cuts().count("\n") + 1 == len(CUTS)
    lost = {letter: LOST[it.violation.kind] for letter, it in judged().items() if it.violation is not None}
    assert lost == solutions_05.GOOD["L05.3"]
    assert {lost[letter] for letter, it in CUTS.items() if it.guard == "anon_vma lock"} == {"lifetime", "structure"}


def test_a_run_that_surprises_can_be_played() -> None:
    """Who expected something else sees the run; who was right needs none."""
    assert "Player" in repr(check("L05.3", {"C": "structure"}).play())
    assert check("L05.3", {"C": "contents"}).trace is None


# --- what a walk would find ----------------------------------------------------------------------------------------


def test_nothing_is_missed_while_the_lock_is_free() -> None:
    """The invariant of the lesson, in every state; and there are moments that break it, all under the lock."""
    met, states = moments()
    assert states > 10_000
    assert not [it for it in met if it.free and it.moment.missed]
    assert len([it for it in met if it.moment.missed]) == 4


def test_a_moment_is_reached_by_its_run() -> None:
    """The run that a check shows leads to the state that it speaks of."""
    for it in moments().met:
        if it.moment.missed:
            trace = it.trace()
            start = dict(trace.initial)
            assert Watch.of(start).moment(trace.memory_at(len(trace.events))) == it.moment


def test_a_stub_is_no_answer() -> None:
    """The empty function of the notebook is not marked wrong."""

    def stub(_: Any) -> None: ...

    assert repr(check("L05.4", stub)) == "L05.4: not answered yet"


@pytest.mark.parametrize("function", [solutions_05.always, solutions_05.one_is_enough])
def test_a_wrong_invariant_is_shown_a_moment(function: Any) -> None:
    """It is told what stands where, what the walk comes to, and how one gets there."""
    report = check("L05.4", function)
    assert "the walk comes to" in repr(report)
    assert "show it with .play()" in repr(report)
