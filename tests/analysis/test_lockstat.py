"""Lock statistics: who took what how often, who waited for whom, and what the numbers must add up to."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from sim.__main__ import main
from sim.analysis.lockstat import LockClass, LockStat, lockstat
from sim.engines.timed import POLICIES, run
from vizlib.charting import CHARTS

POLICY = pytest.mark.parametrize("policy", sorted(POLICIES))
VARIANT = pytest.mark.parametrize("variant", ["mutex_v37", "rfc_remap_unlocked", "rwsem_v38"])


def stat(variant: str = "mutex_v37", policy: str = "handoff", **params: int) -> LockStat:
    """numa02 with 8 threads and 4 pages each."""
    return lockstat("numa02", variant, policy=policy, seed=2, **{"threads": 8, "pages": 4, **params})


def anon_vma(found: LockStat) -> LockClass:
    """The lock of the anon_vma, whatever it is in this variant."""
    return next(it for it in found.classes if it.name.startswith("AnonVma."))


@POLICY
@VARIANT
def test_watching_changes_nothing(policy: str, variant: str) -> None:
    """The watched run is the run: the same time and the same counts."""
    found = stat(variant, policy)
    assert found.run.to_json() == run("numa02", variant, policy=policy, seed=2, threads=8, pages=4).to_json()


@POLICY
@VARIANT
def test_acquisitions_and_waits_are_those_that_the_engine_counts(policy: str, variant: str) -> None:
    """Two ways of counting the same events agree."""
    found = stat(variant, policy)
    lock = anon_vma(found)
    assert lock.hold.count == found.run.counts["anon_vma_locks"]
    assert lock.wait.count == found.run.counts["anon_vma_lock_waits"]
    assert sum(it.count for it in lock.wait_sites.values()) == lock.wait.count
    assert sum(it.total for it in lock.hold_sites.values()) == lock.hold.total


@POLICY
def test_a_mutex_is_held_by_one_at_a_time(policy: str) -> None:
    """All hold times together fit into the run; under contention they nearly fill it if the lock is handed on."""
    found = stat(policy=policy)
    lock = anon_vma(found)
    assert lock.hold.total <= found.run.elapsed_ns
    assert lock.hold.most <= lock.hold.total
    if policy == "handoff":
        assert lock.hold.total > 0.95 * found.run.elapsed_ns


@POLICY
def test_waiting_as_wall_time_and_as_waiter_seconds(policy: str) -> None:
    """Waiter-seconds are the area under the waiters' time line; wall time is where it is not zero."""
    found = stat(policy=policy)
    lock = anon_vma(found)
    area = sum(number * (after - before) for (before, number), (after, _) in pairwise(lock.timeline))
    assert area == lock.waiter_ns
    assert 0 < lock.waited_ns <= found.run.elapsed_ns
    assert lock.waited_ns <= lock.waiter_ns <= lock.most_waiters * lock.waited_ns
    assert all(before[0] < after[0] for before, after in pairwise(lock.timeline))
    assert lock.timeline[-1][1] == 0


def test_waiters_over_time_are_told_and_drawn() -> None:
    """Every step of the time line is in the numbers and in the chart; who never waited for has no line."""
    found = stat()
    lock = anon_vma(found)
    told = next(it for it in found.to_json()["classes"] if it["class"] == lock.name)
    assert told["waiters"] == [list(it) for it in lock.timeline]
    assert sum(it["count"] for it in told["threads"]) == lock.wait.count
    lines = {it.get_label(): it for it in CHARTS["lockstat"].draw(found, "light").axes[0].lines}
    assert list(zip(*lines[lock.name].get_data(), strict=True)) == lock.timeline
    assert set(lines) == {it.name for it in found.classes if it.wait.count}


def test_who_blocked_whom_adds_up() -> None:
    """Each wait has a holder, by call site and by thread."""
    lock = anon_vma(stat())
    for found in (lock.blocked_by, lock.threads):
        assert sum(it.count for it in found.values()) == lock.wait.count
        assert sum(it.total for it in found.values()) == lock.wait.total
    assert set(lock.wait_sites) == {"rmap_walk_anon", "page_lock_anon_vma"}
    assert all(waiter != holder for waiter, holder in lock.threads)


def test_readers_that_share_do_not_wait() -> None:
    """Under the rwsem the walks are in each other's way no more, and hold times overlap."""
    found = stat("rwsem_v38", threads=16)
    lock = anon_vma(found)
    assert (lock.kind, lock.wait.count, lock.most_waiters) == ("rwsem", 0, 0)
    assert lock.hold.total > found.run.elapsed_ns


def test_a_trylock_that_fails_is_neither_an_acquisition_nor_a_wait() -> None:
    """page_lock_anon_vma tries first, and only then waits: each of its waits has a failed trylock before it."""
    lock = stat()["AnonVma.mutex"]
    assert lock.failed == lock.wait_sites["page_lock_anon_vma"].count > 0
    alone = stat(threads=1)
    assert all((it.wait.count, it.failed) == (0, 0) for it in alone.classes)


def test_the_command_prints_the_table_and_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Text for people, one JSON object for scripts, the same numbers."""
    command = ["lockstat", "numa02", "--variant", "mutex_v37", "--threads", "4", "--pages", "2"]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert main([*command, "--json"]) == 0
    (lock,) = [it for it in json.loads(capsys.readouterr().out)["classes"] if it["class"] == "AnonVma.mutex"]
    (line,) = [it for it in text.splitlines() if it.startswith("AnonVma.mutex ")]
    assert line.split()[1] == str(lock["contended"])
    assert line.split()[5] == str(lock["acquisitions"])
    assert "page_lock_anon_vma waits for" in text
