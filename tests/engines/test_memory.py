"""A run that nobody asked to keep needs no more memory the longer it lasts."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

import pytest

from sim.analysis import repairman
from sim.engines.timed import run
from sim.engines.timed_run import TimedRun


def most_memory(make: Callable[[], TimedRun]) -> tuple[int, int]:
    """The most that *make* had allocated at any time, in bytes, and how many steps it made."""
    make()  # whatever is made once is made now
    gc.collect()
    tracemalloc.start()
    try:
        steps = make().steps
        return tracemalloc.get_traced_memory()[1], steps
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_length_of_a_run() -> None:
    """Eight threads that pass one lock on: five times as long, the same memory but for a few kilobytes."""
    few, short = most_memory(lambda: repairman.run(8, 4000, 1000, 9000)[0])
    many, long = most_memory(lambda: repairman.run(8, 20_000, 1000, 9000)[0])
    assert long == 5 * short
    assert many - few < long - short  # less than a byte a step; one entry of a list would be eight


@pytest.mark.parametrize("keep", ["schedule", "record"])
def test_what_is_to_be_kept_takes_memory(keep: str) -> None:
    """The measurement notices a list with an entry a step."""
    less, _ = most_memory(lambda: run("numa02", threads=2, pages=8, nodes=2))
    more, steps = most_memory(lambda: run("numa02", threads=2, pages=8, nodes=2, **{keep: True}))  # type: ignore[arg-type]
    assert more - less > 7 * steps


def test_a_pinned_page_that_is_tried_again_and_again_costs_little() -> None:
    """Each attempt leaves the name of one new frame and nothing of its steps."""
    few, short = most_memory(lambda: run("move_pages", pages=16, pinned=16, passes=2))
    many, long = most_memory(lambda: run("move_pages", pages=16, pinned=16, passes=10))
    assert many - few < 32 * (long - short)
