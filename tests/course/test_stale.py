"""Lesson 9: what accesses meet, where a flush must stand, and whom it interrupts."""

from __future__ import annotations

from typing import Any

import pytest

from course import check, events
from course.instructor import solutions_09
from course.stale import EVENTS, MOVED, ORDERED, in_order, interrupts, met, moving_parts
from course.verdicts import judge
from sim import check as check_world
from sim import run, variant
from sim.engines.costs import DEFAULT, ROWS


def test_the_six_accesses_meet_what_the_runs_show() -> None:
    """The right table comes from runs, and every answer is in it."""
    assert met() == solutions_09.GOOD["L09.2"]
    assert len(events().splitlines()) == len(EVENTS)


def test_a_clean_page_that_is_flushed_late_is_read_stale_and_nothing_else() -> None:
    """What gate c asks: in the world of the clean page no write is lost, in any order of steps."""
    verdict = check_world("read_after_remap", variant("batch_clean_deferred"), all_kinds=True)
    assert {it.kind for it in verdict.violations} == {"stale read"}


def test_there_are_two_right_orders() -> None:
    """All dropped before the copy; or what was written before the copy, the rest before the remap."""
    report = check("L09.3", ["unmap", "flush dirty", "copy", "flush", "remap", "free"])
    assert report.ok
    assert len(moving_parts().splitlines()) == 7


def test_a_flush_for_each_page_is_right_and_costs_more() -> None:
    """In every schedule of the three worlds; but each page interrupts each CPU."""
    each, once = (in_order([it, "flush", "copy", "remap", "free"]) for it in ("unmap, flush each", "unmap"))
    assert [judge(each, world).violation for world in ORDERED] == [None, None, None]
    assert (interrupts(each), interrupts(once)) == (24, 3)


def test_without_a_flush_a_reader_uses_what_is_a_strangers() -> None:
    """The third deadline: a frame that is freed before it is flushed is somebody else's."""
    verdict = judge(variant("batch_2mb"), "frame_reused~B2")
    assert verdict.violation is not None
    assert verdict.violation.kind == "foreign frame"


def test_a_wrong_order_can_be_played() -> None:
    """The run ends with what the report says."""
    report = check("L09.3", ["unmap", "copy", "flush", "remap", "free"])
    assert report.trace is not None
    assert report.trace.violation is not None
    assert report.trace.violation.kind == "lost write"


def test_the_own_cpu_is_not_forgotten() -> None:
    """Nobody else runs there, so only a thread that goes on with its own page tells."""
    report = check("L09.4", solutions_09.others_only)
    assert [it.ok for it in report.findings] == [True, False]
    assert "sends itself no interrupt" in report.findings[1].text


def test_an_empty_function_is_no_answer() -> None:
    """The stub of the notebook is not marked wrong."""

    def stub(*_: Any) -> None: ...

    assert repr(check("L09.4", stub)) == "L09.4: not answered yet"


@pytest.mark.parametrize("factor", [1 / 3, 3])
@pytest.mark.parametrize("row", [row.name for row in ROWS])
def test_the_timing_conclusions_hold_in_a_wide_band(row: str, factor: float) -> None:
    """Each CPU more makes a move slower, whatever one cost is; the interrupts are counted, and depend on none."""
    costs = DEFAULT.with_(row, DEFAULT[row] * factor)
    runs = [run("move_pages", "mutex_v37", pages=2, spinners=it, costs=costs) for it in (0, 1, 3, 7)]
    times = [it.elapsed_ns for it in runs]
    assert times == sorted(set(times))
    assert [it.counts["ipis_received"] for it in runs] == [0, 2, 6, 14]
    assert MOVED == 8
