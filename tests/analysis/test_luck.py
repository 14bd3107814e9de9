"""How often random orders find what the checker finds."""

from __future__ import annotations

import json

import pytest

from sim.__main__ import main
from sim.analysis.luck import luck, wilson
from sim.engines.checker import check


def test_random_runs_miss_most_of_the_time_what_the_checker_always_finds() -> None:
    """With a new draw every hundred steps, few of 300 runs meet the bug; the checker's verdict is certain."""
    found = luck("stack_grows", "rfc_remap_unlocked", runs=300)
    assert 0 < found.failures < 30
    assert set(found.found) == {"stale migration entry"}
    assert check("stack_grows", "rfc_remap_unlocked").verdict == "unsafe"


@pytest.mark.parametrize("world", ["numa_only", "stack_grows"])
def test_a_safe_cell_never_fails(world: str) -> None:
    """No random run contradicts a verdict of safe."""
    assert luck(world, "mutex_v37", runs=100, preempt=0.3).failures == 0


def test_the_same_seed_draws_the_same_runs() -> None:
    """A result can be had again from its seed."""
    assert luck("stack_grows", "rfc_remap_unlocked", runs=50, seed=4) == luck(
        "stack_grows", "rfc_remap_unlocked", runs=50, seed=4
    )


@pytest.mark.parametrize(
    ("failures", "runs", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0)]
)
def test_the_interval_is_wilsons(failures: int, runs: int, low: float, high: float) -> None:
    """Against values worked out independently for 0, 5 and 10 of 10."""
    assert wilson(failures, runs) == pytest.approx((low, high), abs=5e-5)


def test_the_command_passes_the_chance_of_a_new_draw(capsys: pytest.CaptureFixture[str]) -> None:
    """With a draw after every step the bug is met often, with one in a hundred seldom: the option arrives."""
    failures = []
    for preempt in ("1", "0.01"):
        command = ["luck", "stack_grows", "--variant", "rfc_remap_unlocked", "--runs", "60", "--preempt", preempt]
        assert main([*command, "--json"]) == 0
        failures.append(json.loads(capsys.readouterr().out)["failures"])
    assert failures[0] > 10 * max(1, failures[1])
