"""Lesson 11: a design in many worlds, raced against history, and put on one page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from course import EVERYWHERE, composed, one_page, race, tried
from course.capstone import PARTS, TIMES
from course.designing import HAZARDS, HISTORY, asks, counts, goes_wrong, lap
from course.onepage import OnePage, guards
from sim import variant
from sim.context import Context
from sim.engines.costs import DEFAULT, ROWS
from sim.errors import UserError
from sim.ops import Kernel
from sim.structs import AnonVma

#: Worlds of a few hundred states: one without fault, an old fault of 3.7's, a rule taken away.
SMALL = ("move_pages", "stack_index", "reclaim_under_lock~gfp_kernel")


def nothing(k: Context, anon_vma: AnonVma) -> Kernel:
    """No lock."""
    yield from ()


@pytest.fixture(scope="module")
def unlocked() -> OnePage:
    """The page of a design that is wrong in one world, and has one old fault."""
    design = variant("rwsem_v38").changed("unlocked", rmap_walk_anon_lock=nothing, rmap_walk_anon_unlock=nothing)
    page = one_page(design, "a PTE here & there", (*SMALL, "stack_grows"))
    assert isinstance(page, OnePage)
    return page


def test_the_first_worlds_tell_history_apart() -> None:
    """Of history only the walks without a lock go wrong in them, and no rule has been taken away in any."""
    assert {it: goes_wrong(it) for it in HISTORY if goes_wrong(it)} == {"rfc_split_unlocked": 4}
    assert all(map(counts, HAZARDS))
    assert not counts("batch_deadlock~B7")


def test_an_old_fault_is_no_fault_of_the_design() -> None:
    """What Linux 3.7 does wrong too is told apart, and so is a world without its rule."""
    found = tried(variant("mutex_v37").changed("same"), SMALL)
    assert [it.verdict for it in found.trials] == ["safe", "unsafe", "unsafe"]
    assert (found.wrong, found.trace, found.open) == ((), None, ())
    assert [it.world for it in found.inherited] == ["stack_index"]
    assert "1 of 1 go wrong, and do not count" in str(found)
    assert found.play() == "There is no run to show."


def test_an_interrupt_keeps_what_was_found() -> None:
    """Between two worlds as well as within one; the rest is not tried, and nothing is called right for that."""
    seen: list[tuple[int, str]] = []

    def stops(all_: int, done: int, world: str) -> None:
        seen.append((done, world))
        if done == 1 and world:
            raise KeyboardInterrupt

    found = tried(variant("mutex_v37"), SMALL, progress=stops)
    assert [it.verdict for it in found.trials] == ["safe", "not tried", "not tried"]
    assert len(found.open) == 2
    assert seen == [(0, "move_pages"), (1, "stack_index"), (1, "")]


def test_a_limit_leaves_a_world_undecided() -> None:
    """Which is not the same as right."""
    found = tried(variant("mutex_v37"), ("move_pages",), limit=10)
    assert [it.verdict for it in found.trials] == ["undecided"]
    assert "not decided: move_pages" in str(found)


def test_many_worlds_say_how_far_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """And few say nothing, so that a stored lesson stays as it is."""
    tried(variant("mutex_v37"), ("move_pages",))
    assert capsys.readouterr().err == ""
    tried(variant("mutex_v37"), ("move_pages",) * (len(HAZARDS) + 1))
    assert "8 of 9 worlds, now move_pages (Ctrl-C or ■ stops)" in capsys.readouterr().err


def test_a_slip_of_the_pen_is_one_sentence() -> None:
    """A world, a choice, a design or a file that cannot be."""
    with pytest.raises(UserError, match="nearest: move_pages"):
        tried(variant("mutex_v37"), ("move_page",))
    with pytest.raises(UserError, match="'together' is no choice for walks: there are 'alone'"):
        composed("together")
    with pytest.raises(UserError, match=r"is no variant: make one with variant\('mutex_v37'\)"):
        one_page("batch_v63")


def test_the_parts_are_the_kernels() -> None:
    """Put together as history did, a design moves what that kernel moves."""
    assert lap(composed(), waits=False) == race()["mutex_v37"]._replace(longest_wait=0)
    assert lap(composed("shared"), waits=False) == race()["rwsem_v38"]._replace(longest_wait=0)
    assert lap(composed("unlocked"), waits=False) == race()["rfc_split_unlocked"]._replace(longest_wait=0)
    assert set(PARTS) == {"walks", "flush", "next page"}


def test_the_page_says_on_two_axes_what_was_found(unlocked: OnePage) -> None:
    """The same numbers as the worlds and the clock; history beside it; what it gives up, its writer's words last."""
    assert unlocked.points()["unlocked"] == (race(unlocked.trials.design)["unlocked"].pages_per_second, 2)
    assert unlocked.points()["mutex_v37"][1] == 1  # its own old fault
    assert list(unlocked.rows()) == ["stack_index", "stack_grows"]
    lost = unlocked.lost()
    assert re.match(r"stack_grows: stale migration entry: .*\(\d+ steps: stack_grows\?passes=2 unlocked a", lost[0])
    assert lost[1] == "old faults of Linux 3.7 are still there: stack_index"
    assert lost[-1] == "its writer: a PTE here & there"
    assert unlocked.trials.trace is not None
    assert unlocked.trials.trace.violation is not None


def test_history_is_measured_where_the_design_was(unlocked: OnePage) -> None:
    """A world that was not tried counts for nobody, and the page says how many there are."""
    trials = unlocked.trials
    rest = tuple(it if it.world == "move_pages" else it._replace(verdict="not tried") for it in trials.trials)
    page = unlocked._replace(trials=trials._replace(trials=rest))
    assert page.worlds == ("move_pages",)
    assert {wrong for _, wrong in page.points().values()} == {0}
    assert page.lost()[0] == "nothing is known of stack_index, reclaim_under_lock~gfp_kernel, stack_grows"
    assert page.lost()[1] == f"{len(EVERYWHERE) - 4} of {len(EVERYWHERE)} worlds were not tried"


def test_the_locks_are_read_off_runs(unlocked: OnePage) -> None:
    """A walk without a lock is seen to be one; 3.7's is alone, 3.8's shared."""
    walks = ("a walk unmaps", "a walk maps again")
    assert [unlocked.held[it] for it in walks] == ["anon_vma lock, shared", "no anon_vma lock"]
    assert {guards(variant("mutex_v37"))[it] for it in walks} == {"anon_vma lock, alone"}
    assert {guards(variant("batch_v63"))[it] for it in walks} == {"anon_vma lock, shared"}
    assert unlocked.held["a PTE changes"] == "ptl"
    assert unlocked.held["the tree changes"] == "anon_vma lock"


def test_two_locks_of_one_anon_vma_are_told_apart() -> None:
    """Walks that share the rwsem, while who changes the tree has the mutex, keep nobody waiting; the page says so."""
    seams = {it: function for it, function in variant("rwsem_v38").seams.items() if it.startswith("rmap_walk_anon")}
    held = guards(variant("mutex_v37").changed("two", **seams))
    assert held["the tree changes"] == "anon_vma mutex"
    assert (held["a walk unmaps"], held["a walk maps again"]) == ("anon_vma mutex, alone", "anon_vma rwsem, shared")


def test_the_page_is_the_same_in_every_form(unlocked: OnePage, tmp_path: Path) -> None:
    """Text, HTML that asks for nothing from elsewhere, and pictures with the text in them."""
    for kind in ("txt", "html", "svg", "png"):
        assert unlocked.save(tmp_path / f"page.{kind}").endswith("is written.")
    assert (tmp_path / "page.txt").read_text("utf-8") == f"{unlocked!r}\n"
    html = (tmp_path / "page.html").read_text("utf-8")
    assert "default-src 'none'" in html
    assert not re.search(r"(?:src|href)=[\"'](?!data:)", html)
    svg = (tmp_path / "page.svg").read_text("utf-8")
    assert asks("stack_index") in html  # what a world is about, also of one that is none of the first
    for said in ("unlocked", "stack_grows", "anon_vma lock, shared", "a PTE here &amp; there"):
        assert said in html
        assert said in svg
    assert html.count("<picture>") == html.count("<img alt=") == 1
    with pytest.raises(UserError, match=r"ends in none of \.html"):
        unlocked.save(tmp_path / "page.pdf")
    with pytest.raises(UserError, match="cannot be written"):
        unlocked.save(tmp_path / "none" / "page.txt")


def test_without_a_design_there_is_no_page(tmp_path: Path) -> None:
    """The dots of the notebook make none."""
    assert repr(one_page(...)) == "There is no design yet, so there is no page."
    assert one_page(...).save(tmp_path / "x.html") == repr(one_page(...))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("factor", [1 / 3, 3])
@pytest.mark.parametrize("row", [row.name for row in ROWS])
def test_the_timing_conclusions_hold_in_a_wide_band(row: str, factor: float) -> None:
    """Shared walks move so many times what a mutex lets through, and batches alone do not, whatever a cost is."""
    costs = DEFAULT.with_(row, DEFAULT[row] * factor)
    mutex, shared, batches = (_pages(it, costs) for it in ("mutex_v37", "rwsem_v38", "batch_2mb"))
    assert shared > TIMES * mutex
    assert batches < 2 * mutex


def _pages(name: str, costs: Any) -> float:
    return lap(variant(name), pages=3, waits=False, costs=costs).pages_per_second
