"""Lesson 6: what the patch of 1 December 2012 falls over, and what its checks accept."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from course import check
from course.instructor import solutions_06
from course.verdicts import judge
from course.walking import ENOUGH, PATCH, REPAIRED, STOPS, beside_nearest, disturbed, disturbers, keeps, stopped
from sim import run, variant
from sim.engines.checker import fewest_preemptions
from sim.engines.costs import DEFAULT, ROWS

WORLDS = ("stack_grows", "neighbour_faults", "relative_exits", "relative_adjusts", "khugepaged_collapse")


def test_who_disturbs_holds_the_anon_vma_lock_and_not_always_an_mmap_sem() -> None:
    """What the lesson's table says: to read beside the walk, another process's, or none at all."""
    rows = disturbed(*WORLDS)
    assert {world: row.mmap_sems for world, row in rows.items()} == {
        "stack_grows": ("P to read",),
        "neighbour_faults": ("P to read",),
        "relative_exits": (),
        "relative_adjusts": ("C to write",),
        "khugepaged_collapse": ("P to write",),
    }
    assert all(row.changed for row in rows.values())
    assert [world for world, row in rows.items() if "interval tree" not in row.changed] == ["khugepaged_collapse"]
    assert disturbers(rows).count("stale migration entry") == 4


def test_a_world_in_which_the_patch_holds_has_no_row() -> None:
    """The table cannot show a failure that there is not."""
    with pytest.raises(ValueError, match="numa_only: no violation in any schedule"):
        disturbed("numa_only")


def test_the_nearest_passing_run_is_told_in_words() -> None:
    """Whoever cannot see the player reads the one pair of steps that matters."""
    trace = judge(variant(PATCH), "stack_grows").trace
    assert trace is not None
    player, words = beside_nearest(trace)
    assert repr(player).startswith("Player(")
    assert words.count("Goes wrong: first") == 1
    assert " ".join(words.split()).endswith("Both touch the top of the interval tree of A_stack.")
    assert max(map(len, words.splitlines())) <= 110


def test_one_preemption_is_enough() -> None:
    """As the lesson claims."""
    found = fewest_preemptions("stack_grows", PATCH)
    assert found is not None
    assert found.preemptions == 1


def test_one_of_the_two_locks_is_not_the_other() -> None:
    """The right table comes from runs, and has each of three answers in it."""
    assert keeps() == solutions_06.GOOD["L06.2"]
    assert set(keeps().values()) == {"anon_vma lock", "either", "neither"}


def test_two_stops_out_of_eight_make_it_fail() -> None:
    """Between taking the VMA out and putting it back, and only in the walk that has lost its lock."""
    wrong = [it for it in product(*STOPS.values()) if stopped(*it).violation is not None]
    assert wrong == [("remove_migration_ptes", "anon_vma_interval_tree_post_update_vma")]


def test_a_place_that_is_not_in_the_list_is_named() -> None:
    """A slip of the pen is no wrong answer."""
    assert "'schedule' is not in the list" in repr(check("L06.3", {"worker": "schedule", "main": "anon_vma_unlock"}))
    assert "A thread is not in the list" in repr(check("L06.3", {"worker": "try_to_unmap"}))


def test_a_run_that_passes_can_be_played_too() -> None:
    """Who chose the wrong stop sees why nothing happened."""
    report = check("L06.3", {"worker": "try_to_unmap", "main": "anon_vma_unlock"})
    assert not report.ok
    assert "Player" in repr(report.play())


def test_an_empty_repair_is_no_answer() -> None:
    """The stubs of the notebook are not marked wrong."""

    def stub(*_: Any) -> None: ...

    assert repr(check("L06.4", (stub, stub))) == "L06.4: not answered yet"


def test_only_a_page_whose_anon_vma_is_no_root_tells_whose_lock_it_is() -> None:
    """A lock of one's own passes beside threads and relatives, and fails in the last world: so that one is needed."""
    report = check("L06.4", (solutions_06.own_lock, solutions_06.own_unlock))
    assert [it.ok for it in report.findings] == [True, True, False]
    assert report.findings[-1].text.startswith(REPAIRED[-1])
    assert report.trace is not None


def test_a_repair_is_judged_on_its_speed_too() -> None:
    """Walks that keep each other out are right in every schedule, and too slow."""
    report = check("L06.4", (solutions_06.alone, solutions_06.alone_unlock))
    assert [it.ok for it in report.findings] == [True, True, True, False]
    assert "simulated" in report.findings[-1].text


@pytest.mark.parametrize("factor", [1 / 3, 3])
@pytest.mark.parametrize("row", [row.name for row in ROWS])
def test_the_timing_conclusions_hold_in_a_wide_band(row: str, factor: float) -> None:
    """The patch moves more than the mutex, and the band parts shared walks from others, whatever one cost is."""
    costs = DEFAULT.with_(row, DEFAULT[row] * factor)
    base = variant("rwsem_v38")

    def speed(how: Any, policy: str = "handoff") -> float:
        return run("numa02", how, policy=policy, threads=8, pages=2, costs=costs).pages_per_second

    def walking(lock: Any, unlock: Any) -> float:
        return speed(base.changed("mine", rmap_walk_anon_lock=lock, rmap_walk_anon_unlock=unlock))

    assert speed("mutex_v37") < speed(PATCH)
    free = walking(solutions_06.nothing, solutions_06.nothing)
    alone = walking(solutions_06.alone, solutions_06.alone_unlock)
    assert alone < ENOUGH * free < walking(*solutions_06.GOOD["L06.4"])
