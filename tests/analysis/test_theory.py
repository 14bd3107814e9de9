"""Theory against itself, and the timed engine against theory where theory is exact."""

from __future__ import annotations

from math import inf, perm

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.analysis import repairman
from sim.analysis.theory import Usl, bounds, deterministic, knee, mva, usl
from sim.errors import BadParameter

HOLD, THINK = 1000.0, 9000.0


def repairman_formula(threads: int, hold: float, think: float) -> float:
    """The machine repairman's throughput from its birth-death chain: no recursion, no mean values."""
    idle = 1 / sum(perm(threads, k) * (hold / think) ** k for k in range(threads + 1))
    return (1 - idle) / hold


@pytest.mark.parametrize("threads", [1, 2, 3, 10, 64])
def test_mva_of_one_station_is_the_machine_repairman(threads: int) -> None:
    """Against the formula of another derivation."""
    found = mva(threads, [HOLD], THINK)
    assert found.throughput == pytest.approx(repairman_formula(threads, HOLD, THINK), rel=1e-9)
    assert found.utilisation[0] == pytest.approx(found.throughput * HOLD)
    assert found.response == pytest.approx(threads / found.throughput - THINK)  # Little's law
    assert found.queues[0] == pytest.approx(found.throughput * found.response)


@given(
    threads=st.integers(1, 40),
    demands=st.lists(st.floats(0.01, 100), min_size=1, max_size=4),
    think=st.floats(0, 1000),
)
@settings(deadline=None)
def test_mva_lies_between_the_bounds(threads: int, demands: list[float], think: float) -> None:
    """Never above what one thread's speed and the slowest station allow, never below all queueing at once."""
    found, limits = mva(threads, demands, think), bounds(threads, demands, think)
    assert limits.lower * (1 - 1e-9) <= found.throughput <= limits.upper * (1 + 1e-9)
    assert sum(found.queues) + found.throughput * think == pytest.approx(threads)


def test_the_knee_is_where_the_asymptotes_cross() -> None:
    """With ten times the hold time in a cycle it takes ten threads to keep the lock busy."""
    at = knee([HOLD], THINK)
    assert at == 10
    assert at / (THINK + HOLD) == pytest.approx(1 / HOLD)
    assert bounds(9, [HOLD], THINK).upper < bounds(10, [HOLD], THINK).upper == bounds(11, [HOLD], THINK).upper


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2, 3, 5, 8, 10, 12, 16, 24, 32, 48, 64])
def test_the_engine_agrees_with_mva_within_two_per_cent(threads: int) -> None:
    """Exponential hold and think times, our lock and our clock, 12,288 passages."""
    run, throughput = repairman.run(threads, 12_288, HOLD, THINK, exponential=True)
    assert run.violation is None
    assert throughput == pytest.approx(mva(threads, [HOLD], THINK).throughput, rel=0.02)


@pytest.mark.parametrize("threads", [1, 2, 5, 9, 10, 11, 20, 64])
def test_the_engine_agrees_with_the_deterministic_law_to_four_digits(threads: int) -> None:
    """Once the start is over: the second half of the passages takes what min(N/(Z+S), 1/S) says."""
    first, both = (
        repairman.run(threads, passages, HOLD, THINK)[0].elapsed_ns for passages in (40 * threads, 80 * threads)
    )
    assert 40 * threads / (both - first) == pytest.approx(deterministic(threads, HOLD, THINK), rel=5e-5)


def test_a_longer_hold_time_is_noticed() -> None:
    """The comparison can fail: one per cent more holding is a different throughput."""
    _, throughput = repairman.run(20, 2000, HOLD * 1.01, THINK)
    assert throughput < 0.995 / HOLD


@given(
    rate=st.floats(1, 1e6), contention=st.floats(0, 0.5), coherence=st.sampled_from([0.0, 1e-4, 1e-3, 1e-2])
)  # fmt: skip
def test_the_scalability_law_is_found_again(rate: float, contention: float, coherence: float) -> None:
    """Points on a curve give that curve."""
    law = Usl(rate, contention, coherence, 0)
    found = usl([(n, law.throughput(n)) for n in (1, 2, 4, 8, 16, 32)])
    assert found.rate == pytest.approx(rate, rel=1e-6)
    assert (found.contention, found.coherence) == pytest.approx((contention, coherence), abs=1e-6)
    assert found.error < 1e-6


def test_the_scalability_law_has_no_negative_parts() -> None:
    """More than linear growth is fitted by a line, and the error says how badly."""
    found = usl([(1, 1.0), (2, 2.5), (4, 7.0)])
    assert (found.contention, found.coherence, found.peak) == (0, 0, inf)
    assert found.error > 0.1
    slower = usl([(1, 1.0), (4, 2.0), (16, 1.0), (64, 0.25)])
    assert 1 < slower.peak < 16


def test_bad_input_is_refused() -> None:
    """One sentence that names the number."""
    for refused in (lambda: mva(0, [1]), lambda: mva(1, [-1]), lambda: mva(1, []), lambda: knee([0], 0)):
        with pytest.raises(BadParameter, match="not allowed"):
            refused()
    with pytest.raises(BadParameter, match="three numbers of threads"):
        usl([(1, 1), (2, 2)])
