"""What became of the locks in a run under the clock, as ``/proc/lock_stat`` tells it: by class and by call site.

A lock's class is its struct and field: all page-table locks are one class, as in the kernel's lock_stat
(Documentation/lockstat.txt, v3.7).  *Hold* is from the step that takes the lock to the step that gives it back; under
hand-off it includes the time in which the new holder wakes up, because nobody else can have the lock then.  *Wait* is
from the first attempt until the waiter runs again with the lock.  Times are simulated.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from sim import locks
from sim.engines import timed
from sim.engines.timed_run import Tally, TimedRun
from sim.engines.watching import Watcher
from sim.machine import BLOCKED, Frame
from sim.ops import Acquire, Field, Op, Release, TryAcquire
from sim.variants import Variant
from sim.worlds import World


@dataclass
class LockClass:
    """All locks of one struct and field.

    Attributes:
        name: struct and field, such as ``AnonVma.mutex``.
        kind: ``mutex``, ``rwsem``, ``spinlock`` or ``page lock``.
        locks: how many of them were taken at least once.
        failed: trylocks that found it taken; they are no acquisitions and no contention.
        hold: how often it was taken, and for how long it was held.
        wait: how often somebody had to wait, and for how long.
        hold_sites, wait_sites: the same by the function that asked for the lock.
        blocked_by: (site that waits, site at which the holder had taken it) to a tally of waits.
        threads: (thread that waits, thread that holds) to a tally of waits.
        timeline: how many waited, from when on: (ns, waiters), in order of time.
    """

    name: str
    kind: str
    locks: set[str] = field(default_factory=set)
    failed: int = 0
    hold: Tally = field(default_factory=Tally)
    wait: Tally = field(default_factory=Tally)
    hold_sites: dict[str, Tally] = field(default_factory=dict)
    wait_sites: dict[str, Tally] = field(default_factory=dict)
    blocked_by: dict[tuple[str, str], Tally] = field(default_factory=dict)
    threads: dict[tuple[str, str], Tally] = field(default_factory=dict)
    timeline: list[tuple[int, int]] = field(default_factory=list)

    @property
    def waiter_ns(self) -> int:
        """Waiting in waiter-seconds: two threads that wait for one second are two."""
        return self.wait.total

    @property
    def waited_ns(self) -> int:
        """Waiting in wall time: how long at least one thread waited."""
        return sum(after[0] - before[0] for before, after in pairwise(self.timeline) if before[1])

    @property
    def most_waiters(self) -> int:
        """The longest that the queue was."""
        return max((number for _, number in self.timeline), default=0)

    def to_json(self) -> dict[str, Any]:
        """The class as JSON values."""
        return {
            "class": self.name,
            "kind": self.kind,
            "locks": len(self.locks),
            "acquisitions": self.hold.count,
            "contended": self.wait.count,
            "trylocks_failed": self.failed,
            "wait_ns": _tally_json(self.wait),
            "hold_ns": _tally_json(self.hold),
            "waited_wall_ns": self.waited_ns,
            "waiter_ns": self.waiter_ns,
            "most_waiters": self.most_waiters,
            "hold_sites": {site: _tally_json(it) for site, it in self.hold_sites.items()},
            "wait_sites": {site: _tally_json(it) for site, it in self.wait_sites.items()},
            "blocked_by": _pairs_json(self.blocked_by),
            "threads": _pairs_json(self.threads),
            "waiters": [list(it) for it in self.timeline],
        }


def _pairs_json(its: dict[tuple[str, str], Tally]) -> list[dict[str, Any]]:
    return [{"waits": waits, "holds": holds, **_tally_json(it)} for (waits, holds), it in its.items()]


def _tally_json(it: Tally) -> dict[str, Any]:
    return {"count": it.count, "total": it.total, "max": it.most, "mean": it.mean}


@dataclass
class LockStat:
    """The locks of one run, the most waited for first."""

    run: TimedRun
    classes: tuple[LockClass, ...]

    def __getitem__(self, name: str) -> LockClass:
        """The class called *name*; one without any acquisition if none was taken."""
        return next((it for it in self.classes if it.name == name), LockClass(name, ""))

    def to_json(self) -> dict[str, Any]:
        """The statistics as JSON values."""
        return {
            "world": self.run.world,
            "variant": self.run.variant,
            "params": self.run.params,
            "policy": self.run.policy,
            "seed": self.run.seed,
            "elapsed_ns": self.run.elapsed_ns,
            "classes": [it.to_json() for it in self.classes],
        }

    def __str__(self) -> str:
        run = self.run
        head = " ".join(f"{what + when:>11}" for what in ("wait", "hold") for when in ("s", "-max", "-total", "-avg"))
        lines = [
            f"# locks of {run.world} under {run.variant} (simulated; locks by {run.policy}); times in µs",
            f"# {run.elapsed_ns / 1000:,.1f} µs from start to end",
            f"{'class':24} {head}",
            *(f"{it.name:24} {_columns(it.wait)} {_columns(it.hold)}" for it in self.classes),
        ]
        for it in self.classes:
            if it.wait.count:
                lines += ["", *_details(it)]
        return "\n".join(lines)


def _columns(it: Tally) -> str:
    return f"{it.count:11,} {it.most / 1000:11,.2f} {it.total / 1000:11,.2f} {it.mean / 1000:11,.2f}"


def _details(it: LockClass) -> Iterable[str]:
    yield (
        f"{it.name}: somebody waited for {it.waited_ns / 1000:,.1f} µs, {it.waiter_ns / 1000:,.1f} µs counting each"
        f" waiter; at most {it.most_waiters} at once"
    )
    for site, wait in sorted(it.wait_sites.items(), key=lambda pair: -pair[1].total):
        yield f"    waits in {site:11} {_columns(wait)}"
    for site, hold in sorted(it.hold_sites.items(), key=lambda pair: -pair[1].total):
        yield f"    holds in {site:11} {_columns(hold)}"
    for (waits, holds), wait in sorted(it.blocked_by.items(), key=lambda pair: -pair[1].total):
        yield f"    {waits} waits for {holds}: {wait.count:,} times, {wait.total / 1000:,.2f} µs"


def lockstat(world: str | World, variant: str | Variant = "mutex_v37", **options: Any) -> LockStat:
    """Run *world* under the clock and tell what became of its locks.

    *options* are those of :func:`sim.engines.timed.run`.
    """
    watcher = LockWatcher()
    run = timed.run(world, variant, watcher=watcher, **options)
    order = sorted(watcher.classes.values(), key=lambda it: (-it.wait.total, -it.hold.total, it.name))
    return LockStat(run, tuple(order))


class LockWatcher(Watcher):
    """Listens for locks.

    Attributes:
        classes: what was heard of each class.
    """

    stacks = frozenset((Acquire, TryAcquire))

    def __init__(self) -> None:
        super().__init__()
        self.classes: dict[str, LockClass] = {}
        self._held: dict[tuple[Field, int], tuple[int, str]] = {}  # since when, and who had asked for it
        self._waits: dict[int, tuple[int, str, tuple[tuple[str, str], ...]]] = {}  # since when, for whom
        self._waiting: dict[str, int] = {}

    def step(self, i: int, op: Op, answer: Any, at: int, ns: int, stack: tuple[Frame, ...]) -> None:
        """A lock was taken or given back."""
        super().step(i, op, answer, at, ns, stack)
        if isinstance(op, Acquire | TryAcquire):
            it = self._class(op.lock)
            if answer is False:
                it.failed += 1
            elif answer is not BLOCKED:
                it.locks.add(op.lock.ref.name)
                self._held[op.lock, i] = at, site_of(stack)
        elif isinstance(op, Release) and (op.lock, i) in self._held:
            since, site = self._held.pop((op.lock, i))
            it = self._class(op.lock)
            it.hold.add(at - since)
            it.hold_sites.setdefault(site, Tally()).add(at - since)

    def blocked(self, i: int, op: Op, at: int, sleeps: bool) -> None:
        """A thread must wait; it counts once, however often it sleeps before it has the lock."""
        if not isinstance(op, Acquire) or i in self._waits:
            return
        machine, tasks = self.machine, self.machine.tasks
        index = {info.task: number for number, info in enumerate(tasks)}
        site = site_of(machine.stack(tasks[i].task))
        holders = locks.holders(machine.memory.get(op.lock, op.lock.default))
        by = tuple((it.name, self._held.get((op.lock, index[it]), (0, "?"))[1]) for it in holders)
        self._waits[i] = at, site, by
        self._queue(op.lock, at, 1)

    def unblocked(self, i: int, op: Op, since: int, at: int, sleeps: bool) -> None:
        """It runs again; if it has the lock now, or can take it in this moment, its wait is over."""
        if not isinstance(op, Acquire):
            return
        value, task = self.machine.memory.get(op.lock, op.lock.default), self.machine.tasks[i].task
        if not (locks.holds(value, task, op.mode) or locks.can_take(value, op.mode)):
            return
        began, site, by = self._waits.pop(i)
        it = self._class(op.lock)
        it.wait.add(at - began)
        it.wait_sites.setdefault(site, Tally()).add(at - began)
        for holder, holds in by[:1]:  # of several readers the first stands for all
            it.blocked_by.setdefault((site, holds), Tally()).add(at - began)
            it.threads.setdefault((task.name, holder), Tally()).add(at - began)
        self._queue(op.lock, at, -1)

    def end(self, elapsed: int) -> None:
        """The run is over: time lines end here."""
        for it in self.classes.values():
            if it.timeline and it.timeline[-1][0] < elapsed:
                it.timeline.append((elapsed, it.timeline[-1][1]))

    def _class(self, lock: Field) -> LockClass:
        name = f"{type(lock.ref).__name__}.{lock.base}"
        if name not in self.classes:
            assert lock.lock is not None
            self.classes[name] = LockClass(name, lock.lock.name)
        return self.classes[name]

    def _queue(self, lock: Field, at: int, by: int) -> None:
        it = self._class(lock)
        self._waiting[it.name] = number = self._waiting.get(it.name, 0) + by
        if it.timeline and it.timeline[-1][0] == at:
            it.timeline[-1] = at, number
        else:
            it.timeline.append((at, number))


def site_of(stack: tuple[Frame, ...]) -> str:
    """The function that asked for a lock: the innermost that is not the lock's own or a wrapper of it."""
    for frame in reversed(stack):
        wraps = frame.function.startswith(("anon_vma_lock", "anon_vma_trylock", "rmap_walk_anon_lock"))
        if frame.file != "sim/sync.py" and not wraps:
            return frame.function
    return "?"
