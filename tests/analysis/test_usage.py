"""Utilisation: shares between 0 and 1, the bottleneck follows from them, pages arrive and stay."""

from __future__ import annotations

from itertools import pairwise

import pytest

from sim.__main__ import main
from sim.analysis.usage import usage
from sim.engines.costs import DEFAULT

SIZE = {"threads": 8, "pages": 4, "nodes": 2}


@pytest.mark.parametrize("variant", ["mutex_v37", "rfc_remap_unlocked", "rwsem_v38"])
def test_no_resource_is_busier_than_always(variant: str) -> None:
    """Shares of the run."""
    found = usage("numa02", variant, **SIZE)
    assert all(0 <= it <= 1 for it in found.busy.values())
    assert found.busy[found.bottleneck] == max(found.busy.values())


def test_under_hand_off_the_mutex_is_the_bottleneck_and_under_the_rwsem_it_is_not() -> None:
    """It follows from utilisation."""
    mutex, rwsem = usage("numa02", **SIZE), usage("numa02", "rwsem_v38", **SIZE)
    assert mutex.bottleneck == "AnonVma.mutex"
    assert mutex.busy["AnonVma.mutex"] > 0.95
    assert not rwsem.bottleneck.startswith("AnonVma")


def test_what_becomes_dear_becomes_the_bottleneck() -> None:
    """Little bandwidth: memory; slow handlers: interrupts."""
    narrow, slow = DEFAULT.with_("copy_memory", 20_000), DEFAULT.with_("ipi_handler", 20_000)
    assert usage("numa02", "rwsem_v38", costs=narrow, **SIZE).bottleneck == "memory"
    assert usage("numa02", "rwsem_v38", costs=slow, **SIZE).busy["interrupts"] > 0.7


def test_pages_arrive_one_after_the_other_and_stay() -> None:
    """From none to all, never backwards, in order of time."""
    found = usage("numa02", **SIZE)
    assert found.arrivals[0] == (0, 0.0)
    assert found.arrivals[-1][1] == 1.0
    assert all(before[0] <= after[0] and before[1] <= after[1] for before, after in pairwise(found.arrivals))
    assert found.arrivals[-1][0] <= found.run.elapsed_ns


def test_the_command_names_the_busiest(capsys: pytest.CaptureFixture[str]) -> None:
    """One line a resource, and when half of the pages had arrived."""
    assert main(["usage", "numa02", "--variant", "mutex_v37", "--threads", "4", "--pages", "2"]) == 0
    text = capsys.readouterr().out
    (line,) = [it for it in text.splitlines() if "<- busiest" in it]
    assert line.startswith("AnonVma.mutex")
    assert "half of the pages are where they end after" in text
