"""What lesson 4 concludes holds with each row of the costs at a third and at three times its value."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from sim.analysis.sweep import each_cost, grid, sweep
from sim.engines.costs import ROWS

pytestmark = pytest.mark.slow

FEW, MANY = 2, 8


@cache
def runs() -> dict[tuple[Any, ...], dict[str, Any]]:
    """numa02 for each table of costs, variant and number of threads: what was measured."""
    axes = {
        "variant": ["mutex_v37", "rwsem_v38"],
        "threads": [FEW, MANY],
        "costs": [*each_cost(), {"*": 1 / 3}, {"*": 3}],
    }
    table = sweep(grid(world="numa02", pages=4, nodes=2, **axes))
    return {(it["variant"], it["threads"], *it["costs"].items()): it for it in table}


def costs() -> Iterator[tuple[tuple[str, float], ...]]:
    """The tables of costs that were tried."""
    yield from dict.fromkeys(key[2:] for key in runs())


def test_every_row_was_tried_both_ways() -> None:
    """The table as it is, each row twice, and all rows together twice."""
    assert len(list(costs())) == 1 + 2 * len(ROWS) + 2


def test_the_mutex_does_not_scale() -> None:
    """Four times the threads move no more pages a second than the few did, or a tenth more at most."""
    for it in costs():
        few, many = (runs()["mutex_v37", threads, *it]["pages_per_second"] for threads in (FEW, MANY))
        assert many < 1.1 * few, it


def test_readers_that_share_do_scale() -> None:
    """Under the rwsem they move more, by a quarter at least."""
    for it in costs():
        few, many = (runs()["rwsem_v38", threads, *it]["pages_per_second"] for threads in (FEW, MANY))
        assert many > 1.25 * few, it


def test_the_rwsem_is_faster() -> None:
    """By a factor of two at least with eight threads."""
    for it in costs():
        mutex, rwsem = (runs()[name, MANY, *it]["pages_per_second"] for name in ("mutex_v37", "rwsem_v38"))
        assert rwsem > 2 * mutex, it


def test_under_hand_off_nearly_all_switches_are_on_the_lock_and_the_halves_are_even() -> None:
    """And under the rwsem nobody sleeps on it."""
    for it in costs():
        mutex, rwsem = (runs()[name, MANY, *it] for name in ("mutex_v37", "rwsem_v38"))
        assert mutex["lock_percent"] > 85, it
        assert abs(mutex["rmap_walk_percent"] - 50) < 5, it
        assert rwsem["lock_percent"] == 0, it
