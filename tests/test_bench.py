"""The benchmark: its peer does the same work, and its table says what was measured."""

from __future__ import annotations

from sim.bench import PAGES, THREADS, VARIANT, WORLD, ResourcePeer, table
from sim.engines.timed import run

DATA = {
    "timed": {"workload": "a", "seconds": 1.0, "peer_seconds": 2.0, "ratio": 2.0},
    "checker": [
        {"world": "w", "variant": "v", "verdict": "safe", "states": 10, "seconds": 1.0, "states_per_second": 10.0}
    ],
}


def test_the_peer_makes_as_many_copies_and_moves_as_many_pages() -> None:
    """A peer that did less would be no peer: the same world ends in the same number of moved pages."""
    params = {"threads": 4, "pages": 4}
    peer = ResourcePeer(params)
    assert peer.run() == len(peer.events)
    assert peer.machine.done
    assert peer.machine.verdict() is None
    copies = sum(type(op).__name__ == "CopyPage" for _, _, op, _ in peer.events)
    assert copies == run(WORLD, VARIANT, params=params).counts["page_copies"] == 16


def test_the_workload_is_the_headline_lock() -> None:
    """The measured run is one in which many threads want one lock."""
    assert (WORLD, VARIANT) == ("numa02", "mutex_v37")
    assert THREADS * PAGES >= 512


def test_the_table_has_a_row_for_each_measurement_with_and_without_a_browser() -> None:
    """Nothing that was not measured looks measured."""
    without = table({**DATA, "player": {"why": "no Chromium"}})
    assert "not measured: no Chromium" in without
    assert "slider" not in without
    slider = [{"variant": "v", "seconds": 0.1234, "how": "extrapolated"}]
    more = table({**DATA, "player": {"why": ""}, "slider": slider, "whole": {"seconds": 21.25, "steps": 1234567}})
    assert "extrapolated | 123 ms | 200 ms" in more
    assert "21.2 s for 1,234,567 steps | 3 s" in more
    found = table({**DATA, "player": {"p95_ms": 1.5, "seek_p95_ms": 2.5, "late_percent": 0.25}})
    assert "1.50 ms" in found
    assert "0.25 %" in found
    assert "2.00 |" in found
