"""The clock: who comes first of those that are due at the same time, and that nothing else matters."""

from __future__ import annotations

from typing import Any

import pytest

from sim.engines.clock import Clock, interrupt
from sim.engines.timed import POLICIES, run
from sim.engines.timed_run import TimedRun


def test_at_the_same_time_interrupts_come_first_and_then_threads_by_number() -> None:
    """Whoever asked first; interrupts come in the order in which they were sent."""
    clock, came = Clock(), []

    def life(rank: int, *times: int) -> Any:
        for at in times:
            yield clock.turn(at, rank)
            came.append((at, rank))

    for rank, times in ((3, (5, 7)), (interrupt(2), (5,)), (0, (7,)), (interrupt(1), (5, 7)), (1, (2, 5))):
        clock.process(life(rank, *times))
    clock.run()
    first = [(5, interrupt(1)), (5, interrupt(2)), (5, 1), (5, 3)]
    assert came == [(2, 1), *first, (7, interrupt(1)), (7, 0), (7, 3)]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("variant", ["rwsem_v38", "batch_v63"])
def test_it_makes_no_difference_where_a_thread_looks_at_the_clock(
    monkeypatch: pytest.MonkeyPatch, variant: str, policy: str
) -> None:
    """With a stop before every step all comes as with stops only where somebody else is due."""
    ask = {"threads": 6, "pages": 3, "nodes": 2}
    made = [run("numa02", variant, policy=policy, seed=seed, params=ask, schedule=True) for seed in (0, 3)]
    monkeypatch.setattr(Clock, "peek", lambda it: it.now)
    again = [run("numa02", variant, policy=policy, seed=seed, params=ask, schedule=True) for seed in (0, 3)]
    assert list(map(_told, again)) == list(map(_told, made))


def _told(it: TimedRun) -> Any:
    return it.elapsed_ns, it.steps, it.counts, it.sites, it.schedule
