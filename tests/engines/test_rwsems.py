"""The policy ``spin``: a rwsem as Linux 3.16 hands it on (4fc828e24cd9)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

import pytest

import sim
from sim.engines.timed import run
from sim.engines.timed_run import TimedRun
from sim.ops import Acquire, Kernel, Point, TryAcquire, Until
from sim.sync import down_read, down_read_trylock, down_write, up_read, up_write
from tests.engines.toys import MUTEX, T, toy

Body = Callable[..., Kernel]


def busy(ns: int) -> Kernel:
    """Keep the CPU for so long: a hundred nanoseconds and a read at a time, and reads of two for the rest."""
    for _ in range(ns // 100):
        yield Point("syscall")
        yield T.a
    for _ in range(ns % 100 // 2):
        yield T.a


def after(ns: int, lock: Body, unlock: Body, holds: int) -> Body:
    """A task that takes the rwsem *ns* after the start and holds it for *holds*."""

    def body(_: object) -> Kernel:
        yield from busy(ns)
        yield from lock(T.sem)
        yield from busy(holds)
        yield from unlock(T.sem)

    return body


def writer(ns: int, holds: int) -> Body:
    return after(ns, down_write, up_write, holds)


def reader(ns: int, holds: int) -> Body:
    return after(ns, down_read, up_read, holds)


def timed(policy: str, *bodies: Body) -> TimedRun:
    """A run whose schedule the stepper can follow, so that no policy does what the rwsem in memory does not allow."""
    found = run(toy(*bodies), MUTEX, policy=policy, record=True)
    assert found.violation is None
    return found


def order(found: TimedRun) -> str:
    """Who had the rwsem, in that order."""
    took = [it.task.name[1:] for it in found.events if isinstance(it.op, Acquire) and it.outcome == "done"]
    return "".join(name for name, _ in groupby(took))


def slept(found: TimedRun) -> str:
    """Who slept for the rwsem, in that order."""
    return "".join(it.task[1:] for it in found.sleeps if it.field is T.sem)


@pytest.mark.parametrize("policy", ["handoff", "steal", "sleep"])
def test_writers_spin_in_a_line_while_one_of_them_runs(policy: str) -> None:
    """Five writers that come while the first has the lock: all sleep up to 3.8, none in 3.16, which is faster."""
    bodies = [writer(60 * it, 2_000) for it in range(5)]
    before, now = timed(policy, *bodies), timed("spin", *bodies)
    assert sorted(slept(before)) == list("1234")
    assert slept(now) == ""
    assert order(before) == order(now) == "01234"
    assert now.elapsed_ns < before.elapsed_ns - 4 * 3_000  # a wake-up takes 4 us


def test_readers_do_not_spin() -> None:
    """A reader that comes while a writer runs with the lock sleeps, and those at the head go on together."""
    found = timed("spin", writer(0, 2_000), reader(300, 2_000), reader(400, 2_000))
    assert sorted(slept(found)) == ["1", "2"]
    assert found.elapsed_ns < 2_000 + 5_000 + 2 * 2_000


def test_a_writer_does_not_spin_where_readers_have_the_lock() -> None:
    """Readers are no owner: nobody knows whether they run.  37e9562453b8."""
    assert slept(timed("spin", reader(0, 2_000), writer(300, 100))) == "1"


def test_a_spinner_sleeps_when_the_owner_does() -> None:
    """Both writers that spin stop as soon as the owner waits for something else."""

    def owner(_: object) -> Kernel:
        yield from down_write(T.sem)
        yield from busy(500)
        yield Until(T.done, 1, sleeps=True)
        yield from up_write(T.sem)

    def waker(_: object) -> Kernel:
        yield Point("swap_io")
        yield T.done.set(1)

    found = timed("spin", owner, writer(10, 100), writer(10, 100), waker)
    assert sorted(slept(found)) == ["1", "2"]


def test_a_spinner_sleeps_when_the_owner_has_changed() -> None:
    """A newcomer takes the lock from under the first of the line, before that looks; so does one from the second."""
    found = timed("spin", writer(0, 2_000), writer(240, 1_000), writer(2_040, 100))
    assert (order(found), slept(found)) == ("021", "1")
    found = timed("spin", writer(0, 1_000), writer(60, 1_000), writer(180, 1_000), writer(2_070, 100))
    assert (order(found), slept(found)) == ("0132", "2")


@pytest.mark.parametrize(("policy", "first"), [("spin", "0123"), ("steal", "0213")])
def test_a_writer_may_be_faster_than_the_head_of_the_queue(policy: str, first: str) -> None:
    """A reader's end wakes writer 2, which needs 4 us to run; writer 1, which comes meanwhile, is first in 3.16."""
    bodies = [reader(0, 2_000), writer(3_000, 500), writer(300, 500), writer(20_000, 500)]
    assert order(timed(policy, *bodies)) == first


def test_whoever_sleeps_behind_a_woken_writer_waits_for_it() -> None:
    """Writer 2 is being woken when writer 1 takes the lock and gives it back: the reader behind 2 is not woken yet."""
    bodies = [reader(0, 2_000), writer(3_000, 500), writer(300, 500), reader(400, 500)]
    assert order(timed("spin", *bodies)) == "0123"


def test_a_reader_waits_behind_a_writer_that_sleeps() -> None:
    """Readers do not slip in: neither beside the reader that has the lock, nor while the writer is being woken."""
    bodies = [reader(0, 2_000), writer(300, 500), reader(1_000, 100), reader(3_000, 100)]
    assert order(timed("spin", *bodies)) in ("0123", "0132")


@pytest.mark.parametrize("at", [1_000, 3_000])
def test_a_try_to_read_fails_if_a_writer_waits(at: int) -> None:
    """Also before the writer runs that was woken; and the writer is not passed by."""

    def tries(_: object) -> Kernel:
        yield from busy(at)
        ok = yield from down_read_trylock(T.sem)
        assert ok is False

    found = timed("spin", reader(0, 2_000), writer(300, 500), tries)
    assert [it.answer for it in found.events if isinstance(it.op, TryAcquire)] == [False]
    assert order(found) == "01"


def test_a_deadlock_on_a_rwsem_is_found() -> None:
    """Who sleeps outside of the rwsem's queue in memory joins it when nothing goes on any more."""

    def owner(_: object) -> Kernel:
        yield from down_write(T.sem)
        yield Until(T.done, 1, sleeps=True)

    found = run(toy(owner, writer(100, 100)), MUTEX, policy="spin").violation
    assert found is not None
    assert found.kind == "deadlock"
    assert "t1: it waits for sem of toy, held by t0" in str(found)


def test_where_nobody_writes_nothing_changes() -> None:
    """numa02's walkers are readers: 3.16 moves its pages as 3.8 does."""
    fast, slow = (run("numa02", "rwsem_v38", policy=it, threads=8, pages=4) for it in ("spin", "sleep"))
    assert fast.elapsed_ns == slow.elapsed_ns


def test_two_relatives_that_split_a_huge_page_are_faster() -> None:
    """In 3.8 a split takes the rwsem to write; the second relative need not sleep for the first."""
    spin, sleep = (run("split_huge_page", "rwsem_v38", policy=it, schedule=True) for it in ("spin", "steal"))
    assert spin.elapsed_ns < sleep.elapsed_ns
    assert sim.replay(spin.run_name).violation is None
