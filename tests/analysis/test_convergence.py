"""Convergence: where pages belong follows from who uses them; what is remote costs more, and in the end nothing is."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest

from sim.__main__ import main
from sim.analysis.convergence import Convergence, convergence
from sim.analysis.sweep import costs_of, each_cost
from sim.engines.costs import DEFAULT

SIZE = {"threads": 4, "pages": 8, "nodes": 2, "rounds": 30}


@cache
def came_together(world: str, scan: int = 16) -> Convergence:
    """A small run of *world* in which marks come bit by bit."""
    return convergence(world, "rwsem_v38", scan=scan, **SIZE)


@pytest.mark.parametrize(("world", "at_first"), [("numa02", 0.0), ("numa01_thread_alloc", 0.5), ("numa01", 0.5)])
def test_pages_start_where_they_were_touched_first_and_end_where_they_are_used(world: str, at_first: float) -> None:
    """Slices of numa02 lie on the wrong node, regions of numa01 on both in turn; in the end all are right."""
    found = came_together(world)
    assert found.right[0] == (0, at_first)
    assert found.right[-1][1] == 1.0
    assert found.settled_ns is not None
    assert found.placed(found.settled_ns) == 1.0
    assert found.placed(found.settled_ns - 1) < 1.0
    assert all(before[0] <= after[0] for before, after in pairwise(found.right))


def test_stores_are_remote_until_their_pages_have_come_and_never_again() -> None:
    """Each store of a thread counts; what they lost is so often what a remote one costs more."""
    found = came_together("numa02")
    assert len(found.stores) == 4 * 8 * 30
    assert found.settled_ns is not None
    assert {remote for at, remote in found.stores if at > found.settled_ns} == {False}
    assert found.remote(5)[0][1] > found.remote(5)[-1][1] == 0
    far = sum(remote for _, remote in found.stores)
    assert found.remote_ns == far * (DEFAULT["memset_page_remote"] - DEFAULT["memset_page"]) > 0


def test_without_marks_nothing_moves_and_all_is_remote_to_the_end() -> None:
    """As on a kernel without NUMA balancing: the scanner's part is larger than the run is long."""
    found = convergence("numa02", "rwsem_v38", scan=1, threads=2, pages=8, nodes=2, rounds=2)
    assert found.run.pages_migrated <= 1
    assert found.settled_ns is None
    assert found.remote(2)[0][1] == 1.0


def test_a_page_that_two_nodes_use_has_two_right_nodes_and_stays_remote_for_one() -> None:
    """numa01 with one process over both nodes: all pages are always right, and half of the work is always remote."""
    found = convergence("numa01", "rwsem_v38", processes=1, scan=4, **SIZE)
    assert {share for _, share in found.right} == {1.0}
    assert found.remote(2)[-1][1] > 0.2


def test_the_sooner_marks_come_the_less_is_lost() -> None:
    """Twice as many at a time."""
    assert came_together("numa02", 16).remote_ns < came_together("numa02", 8).remote_ns


def test_the_command_says_when_all_are_where_they_are_used(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each tenth of the run, and what was lost."""
    words = [f"--{name}={value}" for name, value in {**SIZE, "scan": 16}.items()]
    assert main(["convergence", "numa02", "--variant", "rwsem_v38", *words]) == 0
    text = capsys.readouterr().out
    assert text == f"{came_together('numa02')}\n"
    assert "simulated" in text.splitlines()[0]
    assert len([line for line in text.splitlines() if line.startswith("  ")]) == 11


@pytest.mark.slow
def test_what_it_says_holds_with_each_cost_at_a_third_and_three_times() -> None:
    """All pages come to where they are used, and with smaller parts at a time more stores are remote until then.

    But for one row: if filling a remote page costs less than filling a local one, remote rounds fly by before the marks
    have come, and the run is over first; so that row stays above the local one.
    """
    size = {"threads": 4, "pages": 4, "nodes": 2, "rounds": 20}
    for factors in each_cost():
        costs = costs_of(factors)
        if costs["memset_page_remote"] < costs["memset_page"]:
            continue
        soon, late = (convergence("numa02", "rwsem_v38", scan=scan, costs=costs, **size) for scan in (8, 4))
        assert soon.right[-1][1] == late.right[-1][1] == 1.0, factors
        assert sum(far for _, far in soon.stores) < sum(far for _, far in late.stores), factors
