"""Lesson 8: the shares of the two walks, the three ways out, and what the checks accept."""

from __future__ import annotations

from typing import Any

import pytest

from course import check
from course.halves import (
    ENOUGH,
    OUT,
    TRIED,
    halves,
    holding,
    moved_by,
    pages_per_second,
    scales,
    share,
    split,
    throughputs,
    ways,
    weighed,
)
from course.instructor import solutions_08
from sim import run
from sim.engines.costs import DEFAULT, ROWS


def test_half_of_the_sleeps_is_a_small_part_of_the_time() -> None:
    """What gate a asks; as text it says so too, and calls it simulated."""
    both = halves()
    assert abs(share(both.sleeps, "the remap walk") - 0.5) < 0.02
    assert share(both.held_ns, "the remap walk") < 0.1
    assert "(simulated)" in str(both)
    assert [line.split("  ")[0] for line in str(both).splitlines()[2:]] == ["the unmap walk", "the remap walk"]


def test_the_ways_take_the_lock_where_they_say() -> None:
    """Counted: how often a page that moves takes the anon_vma's lock."""
    taken = {way: run("numa02", it, threads=2, pages=2).counts["anon_vma_locks"] for way, it in ways().items()}
    assert taken == {"both walks": 8, "the unmap walk": 4, "the remap walk": 4, "neither": 0, "both, shared": 8}


def test_of_three_ways_out_only_the_shared_lock_is_right_and_fast() -> None:
    """The table of the lesson: each way out in each world."""
    rows = weighed()
    assert list(rows) == list(OUT)
    wrong = {way: tuple(it.wrong[world] for world in TRIED) for way, it in rows.items()}
    assert wrong["Linux 3.7"] == wrong["Linux 3.8"] == ("", "", "")
    assert wrong["a flag, as mailed"] == ("release without hold", "", "release without hold")
    assert wrong["a split"] == ("", "", "stale migration entry")
    assert rows["Linux 3.8"].pages_per_second == pages_per_second("both, shared")
    assert scales(rows).count("stops") == 1


def test_only_reclaim_has_no_reference() -> None:
    """The right table comes from runs."""
    assert holding() == {caller: frozenset(it) for caller, it in solutions_08.GOOD["L08.2"].items()}


def test_a_miss_of_the_first_walk_is_noticed_and_a_freed_link_is_not() -> None:
    """An unlocked unmap walk passes beside a growing stack, since the mapcount tells; not beside a relative's exit."""
    report = check("L08.4", (solutions_08.try_to_unmap, solutions_08.unlocked))
    assert [it.ok for it in report.findings] == [True, True, True, False]
    assert report.findings[2].text.startswith("migration, a stack grows")
    assert "use after free" in report.findings[3].text


def test_the_function_as_it_was_is_a_right_answer() -> None:
    """Both families may go through what reclaim needs, as they do in Linux 3.8."""
    assert check("L08.4", (solutions_08.try_to_unmap, solutions_08.try_to_unmap)).ok


def test_a_wrong_wrapper_can_be_played() -> None:
    """The run that shows it ends with what the report says."""
    report = check("L08.4", (solutions_08.pinned, solutions_08.try_to_migrate))
    assert report.trace is not None
    assert report.trace.violation is not None
    assert report.trace.violation.kind == "use after free"


def test_empty_wrappers_are_no_answer() -> None:
    """The stubs of the notebook are not marked wrong."""

    def stub(*_: Any) -> None: ...

    assert repr(check("L08.4", (stub, stub))) == "L08.4: not answered yet"


@pytest.mark.parametrize("factor", [1 / 3, 3])
@pytest.mark.parametrize("row", [row.name for row in ROWS])
def test_the_timing_conclusions_hold_in_a_wide_band(row: str, factor: float) -> None:
    """What the lesson claims of speeds, and what its checks ask for, whatever one cost is."""
    costs = DEFAULT.with_(row, DEFAULT[row] * factor)
    assert share(halves(costs, 2).held_ns, "the remap walk") < 0.1
    moved = throughputs(costs, 2)
    assert moved["both walks"] < moved["the unmap walk"] < 2 * moved["both walks"] < moved["the remap walk"]
    assert 2 * moved["both walks"] < moved["neither"]
    assert moved["both, shared"] > 2 / 3 * moved["neither"]


def test_the_band_parts_shared_walks_from_others() -> None:
    """A walk that is alone is far below what is asked for, a shared one far above."""
    free = moved_by(split(solutions_08.try_to_unmap, solutions_08.unlocked))
    shared = moved_by(split(*solutions_08.GOOD["L08.4"]))
    alone = moved_by(split(solutions_08.try_to_unmap, solutions_08.alone))
    assert alone < ENOUGH / 2 * free
    assert shared > 1.5 * ENOUGH * free
