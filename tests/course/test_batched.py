"""Lesson 10: what a batch may wait for, how large it may be, and who comes back for what was busy."""

from __future__ import annotations

from typing import Any

import pytest

from course import awaited, batch_lab, booted, check
from course.batched import AWAITED, MOVED, OTHERS, allowed, moved_in_time, with_batches
from course.instructor import solutions_10
from course.verdicts import judge
from sim import run, variant
from sim.analysis.batches import measured
from sim.engines.costs import ROWS


def test_what_a_batch_may_wait_for_comes_from_runs() -> None:
    """The right table is that of the runs, and each letter is in it."""
    assert allowed() == solutions_10.GOOD["L10.2"]
    assert len(awaited().splitlines()) == len(AWAITED)


def test_the_two_kernels_that_hang_wait_for_different_things() -> None:
    """One for a flag, one for a lock: neither is needed for the other."""
    flag = judge(variant("batch_v63_rc"), "batch_deadlock")
    lock = judge(variant("batch_2mb"), "batch_deadlock~B7")
    for verdict, what in ((flag, "the writeback of f1 is over"), (lock, "the page lock of f1")):
        assert verdict.violation is not None
        assert verdict.violation.kind == "deadlock"
        assert what in verdict.sentence


def test_the_lessons_solution_is_the_kernels() -> None:
    """A reader's function in its place moves as many pages, with as many interrupts, in as much time."""
    mine, theirs = (moved_in_time(it) for it in (with_batches(solutions_10.migrate_pages_sync), "batch_v63"))
    assert mine.counts == theirs.counts
    assert mine.elapsed_ns == theirs.elapsed_ns
    assert (mine.pages_migrated, mine.counts["ipis_received"]) == (MOVED, 2 * OTHERS)


def test_the_sizes_that_are_right_lie_between_two_that_are_not() -> None:
    """Smaller interrupts too often, larger lets somebody wait too long; what the lesson shows is none of the right."""
    right = [it for it in (*range(1, 33), 48, 64) if check("L10.3", it).ok]
    assert min(right) > 4
    assert max(right) < 32
    assert right[0] <= solutions_10.GOOD["L10.3"] <= right[-1]
    assert check("L10.3", True).findings[0].text.startswith("True is no size")


def test_a_batch_that_hangs_can_be_played() -> None:
    """The run ends with what the report says."""
    report = check("L10.4", solutions_10.all_at_once)
    assert report.trace is not None
    assert report.trace.violation is not None
    assert report.trace.violation.kind == "deadlock"


def test_what_is_wrong_without_a_hang_is_told_by_counts() -> None:
    """Who gives up leaves a page behind; who goes one by one interrupts for each page."""
    assert [it.ok for it in check("L10.4", solutions_10.gives_up).findings] == [True, False, True]
    assert [it.ok for it in check("L10.4", solutions_10.one_by_one).findings] == [True, True, False]


def test_a_forgotten_return_is_named() -> None:
    """Before what comes of it, somewhere in the kernel."""
    assert "returns nothing" in check("L10.4", solutions_10.returns_nothing).findings[0].text


def test_an_empty_function_is_no_answer() -> None:
    """The stub of the notebook is not marked wrong."""

    def stub(*_: Any) -> None: ...

    assert repr(check("L10.4", stub)) == "L10.4: not answered yet"


def test_the_recorded_kernels_are_read_as_they_are_stored() -> None:
    """6.1 flushes page by page, 6.12 once; each was recorded three times."""
    assert booted("6.1")["flushes of one page"] == [512, 512, 512]
    assert (
        booted("6.12")["interrupts"] == [run("move_pages", "v612", pages=512, spinners=3).counts["ipis_received"]] * 3
    )


@pytest.mark.parametrize("factor", [1 / 3, 3])
@pytest.mark.parametrize("row", [row.name for row in ROWS])
def test_the_timing_conclusions_hold_in_a_wide_band(row: str, factor: float) -> None:
    """A batch of 64 interrupts less, moves more and lets somebody wait longer than one of 1, whatever a cost is."""
    one, all_ = (
        measured({"size": it, "variant": "batch_v63", "pages": 64, "writers": 3, "costs": {row: factor}})
        for it in (1, 64)
    )
    assert all_["ipis"] < one["ipis"]
    assert all_["pages_per_second"] > one["pages_per_second"]
    assert all_["percentiles"][-1] > one["percentiles"][-1]


def test_the_lab_says_what_it_measured() -> None:
    """The variant, the region, and that times are simulated."""
    told = str(batch_lab(4))
    assert "# batches under batch_v63 (simulated; busy_region with pages=64, writers=3)" in told
