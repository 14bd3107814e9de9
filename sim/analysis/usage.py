"""How busy each resource is in a run under the clock, which is the bottleneck, and how soon pages are where they end.

The busiest of the things that only one task at a time can have bounds throughput; which it is follows from utilisation
and is written down nowhere.  Times are simulated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sim.analysis.lockstat import LockWatcher
from sim.analysis.places import Places
from sim.engines import timed
from sim.engines.costs import Costs
from sim.engines.timed_run import TimedRun
from sim.machine import Frame
from sim.ops import Acquire, CopyPage, Field, HandleIpi, Op, Release, TryAcquire, Until
from sim.variants import Variant
from sim.worlds import World


@dataclass(frozen=True)
class Usage:
    """What a run used.

    Attributes:
        run: the run.
        busy: for each resource the share of the run in which it was busy, 0 to 1: each class of mutexes and spinlocks
            (the mean of its locks), the count of each class of rwsems (the busiest line), ``interrupts`` (the CPU that
            answers most), ``IPI answers`` (somebody waits for one), ``memory`` (the node that copies most).  Locks for
            which nobody ever waited, which are shared, or which are held asleep are left out.
        arrivals: (ns, share of the mapped pages that are on the node on which they end), in order of time.
    """

    run: TimedRun
    busy: dict[str, float]
    arrivals: list[tuple[int, float]]

    @property
    def bottleneck(self) -> str:
        """The busiest resource."""
        return max(self.busy, key=lambda it: (self.busy[it], it))

    def to_json(self) -> dict[str, Any]:
        """The usage as JSON values."""
        return {"busy": self.busy, "bottleneck": self.bottleneck, "arrivals": [list(it) for it in self.arrivals]}

    def __str__(self) -> str:
        run = self.run
        lines = [f"# what {run.world} under {run.variant} uses (simulated; locks by {run.policy})"]
        for name, share in sorted(self.busy.items(), key=lambda it: -it[1]):
            lines.append(f"{name:24} {100 * share:6.2f} %" + ("  <- busiest" if name == self.bottleneck else ""))
        half = next((at for at, share in self.arrivals if share >= 0.5), 0)
        lines.append(
            f"half of the pages are where they end after {half / 1000:,.1f} µs of {run.elapsed_ns / 1000:,.1f}"
        )
        return "\n".join(lines)


def usage(
    world: str | World, variant: str | Variant = "mutex_v37", *, costs: Costs = timed.COSTS, **options: Any
) -> Usage:
    """Run *world* under the clock and tell what it used; *options* are those of the timed engine."""
    watcher = _Watcher(costs["copy_memory"], costs["rwsem_line"])
    run = timed.run(world, variant, costs=costs, watcher=watcher, **options)
    length = max(1, run.elapsed_ns)
    waited = [it for it in watcher.classes.values() if it.kind in ("mutex", "spinlock") and it.wait.count]
    busy = {it.name: watcher.held(it.name) / length for it in waited}
    for field, ns in watcher.lines.items():
        name = f"count of {type(field.ref).__name__}.{field.base}"
        busy[name] = max(busy.get(name, 0.0), ns / length)
    busy["interrupts"] = max(watcher.handled.values(), default=0) / length
    busy["IPI answers"] = watcher.waiting_for_ipis / length
    busy["memory"] = max(watcher.copied.values(), default=0) / length
    return Usage(run, busy, watcher.arrivals(watcher.ends()))


class _Watcher(LockWatcher, Places):
    """Listens for locks, interrupts and copies, and for where pages are."""

    def __init__(self, copy: int, line: int) -> None:
        super().__init__()
        self.lines: dict[Field, int] = {}
        self._last: dict[Field, int] = {}
        self._line = line
        self.handled: dict[int, int] = {}
        self.copied: dict[int, int] = {}
        self.waiting_for_ipis = 0
        self._copy = copy
        self._since = self._waiters = 0

    def step(self, i: int, op: Op, answer: Any, at: int, ns: int, stack: tuple[Frame, ...]) -> None:
        """A step was made."""
        super().step(i, op, answer, at, ns, stack)
        if isinstance(op, Acquire | TryAcquire | Release):
            self._counted(i, op.lock)
        elif isinstance(op, HandleIpi):
            self.handled[i] = self.handled.get(i, 0) + ns
        elif isinstance(op, CopyPage):
            for node in {self.machine.memory.get(it.node, 0) for it in (op.src, op.dst)}:
                self.copied[node] = self.copied.get(node, 0) + self._copy

    def _counted(self, i: int, lock: Field) -> None:
        """The count of a rwsem changes: if another CPU had its line, that is on its way for a while."""
        if lock.lock is not None and lock.lock.name == "rwsem":
            moved = self._last.get(lock, i) != i
            self._last[lock] = i
            self.lines[lock] = self.lines.get(lock, 0) + moved * self._line

    def blocked(self, i: int, op: Op, at: int, sleeps: bool) -> None:
        """A wait begins; the first of those for interrupts counts."""
        super().blocked(i, op, at, sleeps)
        if _waits_for_ipis(op):
            self._since = at if not self._waiters else self._since
            self._waiters += 1

    def unblocked(self, i: int, op: Op, since: int, at: int, sleeps: bool) -> None:
        """A wait is over; the last of those for interrupts counts."""
        super().unblocked(i, op, since, at, sleeps)
        if _waits_for_ipis(op):
            self._waiters -= 1
            if not self._waiters:
                self.waiting_for_ipis += at - self._since

    def held(self, name: str) -> int:
        """How long a lock of a class was held, on the average of its locks (ns)."""
        it = self.classes[name]
        return it.hold.total // max(1, len(it.locks))


def _waits_for_ipis(op: Op) -> bool:
    return isinstance(op, Until) and op.field.base == "csd_pending"
