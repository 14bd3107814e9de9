"""What theory says of a world before its threads have met: each resource's demand, measured on one thread alone.

One thread goes, for a few pages, while the others stand still on their CPUs and answer its interrupts: a few
milliseconds.  That tells how long a thread is under way, how long it holds each lock that all of them want, and how
often it disturbs the rest.  Queueing theory (:mod:`sim.analysis.theory`) says what that makes of many such threads.
Nothing of it is simulated with all of them, so it is only called theory; the run itself is to follow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import fsum
from typing import Any, Final

from sim.analysis.theory import knee, mva
from sim.engines import timed
from sim.engines.costs import Costs
from sim.engines.timed_run import Tally
from sim.engines.watching import Watcher
from sim.machine import BLOCKED, Frame
from sim.ops import EXCLUSIVE, Acquire, CopyPage, Field, HandleIpi, Op, Release, TryAcquire
from sim.structs import Page
from sim.variants import Variant
from sim.worlds import World
from sim.worlds import find as find_world

#: With how many pages the one thread is measured: the line through both is prolonged.
SHORT: Final = (2, 4)

#: By how much two threads may differ for what one needs to stand for all.
ALIKE: Final = 0.2

# What is measured beside the demands: how long the thread was under way, what interrupts took, and pages that moved.
_TIME, _STOLEN, _IDLE, _PAGES = _OTHER = "its time", "interrupts", "interrupts while it waits", "pages"

#: Before the name of a lock: how long it takes from its release until the next holder goes on.
_HANDING: Final = "handing on "


@dataclass(frozen=True)
class Prediction:
    """What theory says of a run.

    Attributes:
        pages_per_second: exact mean value analysis: if times were exponential with these means.  Only where locks are
            handed on: elsewhere it is in the middle of a range, and chance decides who is woken and who comes first.
        at_most, at_least: the asymptotic bounds: the slowest resource is always busy, and nobody waits for another; or
            whoever needs one always finds all others there before.  They bound what theory knows of: a simulation has
            more in it, and may come to lie a little outside.
        limit: the resource that is always busy, or "" if threads are held up by their own work alone.
        demands: for each resource how long a thread needs it (ns), with what handing it on costs.
        alone_ns: how long a thread is under way, with what the interrupts of the others take of it.
        range_only: whether it is a range that theory gives, from at_least to at_most, and no number.
    """

    pages_per_second: float
    at_most: float
    at_least: float
    limit: str
    demands: dict[str, float]
    alone_ns: float
    range_only: bool = False

    @property
    def knee(self) -> float:
        """How many threads keep the slowest resource always busy, each of them being under way alone for so long."""
        return knee([*self.demands.values()], max(0.0, self.alone_ns - fsum(self.demands.values())))

    def __str__(self) -> str:
        """Pages a second, or between what they are."""
        return f"{self.at_least:,.0f} to {self.at_most:,.0f}" if self.range_only else f"{self.pages_per_second:,.0f}"


def predict(
    world: str | World,
    variant: str | Variant = "mutex_v37",
    *,
    policy: str = "handoff",
    costs: Costs = timed.COSTS,
    params: Mapping[str, int] | None = None,
    **more: int,
) -> Prediction | None:
    """What theory says of *world* with these parameters; None where it cannot: its threads are not alike, or few.

    Raises:
        UserError: as the engine.
    """
    it = find_world(world) if isinstance(world, str) else world
    values = it.values({**(params or {}), **more})
    if not {"threads", "pages"} <= values.keys():
        return None

    def alone(which: int, **shorter: int) -> _Alone:
        watcher = _Alone(which, costs)
        timed.run(it, variant, policy=policy, costs=costs, watcher=watcher, only=which, params={**values, **shorter})
        return watcher

    few, some = (min(number, values["pages"]) for number in SHORT)
    ranges, last = values.get("ranges", 1), values["threads"] - 1
    small = {"pages": few, **({"ranges": 1} if ranges > 1 else {})}
    first, second = alone(last, **small), alone(last, **{**small, "pages": some})
    others = [alone(which, **small) for which in sorted({0, last - 1}) if which >= 0 and last]
    common = _in_common(first, others)
    if common is None:
        return None
    one, longer = first.needs(common), second.needs(common)
    page = _sum((1 / max(1, some - few), longer), (-1 / max(1, some - few), one))
    once = _sum((1, one), (-few, page))
    parts = [(1, once), (values["pages"] * ranges, page)]
    if ranges > 1:
        further = alone(last, **{**small, "ranges": 2}).needs(common)
        parts += [(ranges - 1, further), (1 - ranges, one), (few * (1 - ranges), page)]
    before = max(0.0, once[_TIME] - fsum(once[name] for name in _shared(once)))
    return _predicted(values["threads"], _sum(*parts), before, 1.0 if policy == "handoff" else 0.5)


def _in_common(it: _Alone, others: list[_Alone]) -> list[Field] | None:
    """The locks that a thread has in common with *others*; None if it cannot stand for them, and they for the rest."""
    if not it.moves or any(abs(other.elapsed - it.elapsed) > ALIKE * it.elapsed for other in others):
        return None
    shared = [it.used.keys() & other.used.keys() for other in others] or [set()]
    if any(its != shared[0] for its in shared) or any(isinstance(lock.ref, Page) for lock in shared[0]):
        return None  # several groups of threads, or threads that move the same pages
    return [lock for lock in it.used if lock in shared[0]]  # in the order of their use: sets have none of their own


def _sum(*parts: tuple[float, Mapping[str, float]]) -> dict[str, float]:
    """So many times each of these."""
    names = [name for _, its in parts for name in its]
    return {name: fsum(times * its.get(name, 0) for times, its in parts) for name in names}


def _shared(needs: Mapping[str, float]) -> list[str]:
    """The resources among these needs."""
    return [name for name in needs if name not in _OTHER and not name.startswith(_HANDING)]


def _predicted(threads: int, needs: Mapping[str, float], once: float, woken: float) -> Prediction:
    """What *threads* threads make of it if each has these *needs*.

    They are on their way for *once* ns before they first meet; a share *woken* of the holders of a lock had to be woken
    for it, of none to all.
    """
    own = {name: needs[name] for name in _shared(needs)}
    handing = {name: needs.get(_HANDING + name, 0) for name in own}
    demands = {name: ns + woken * handing[name] for name, ns in own.items()}
    limit = max(demands, key=lambda it: (demands[it], it))
    alone, pages = needs[_TIME] + needs[_STOLEN], threads * needs[_PAGES] * 1e9
    think = max(0.0, alone - once - fsum(own.values()))
    fastest = alone - needs[_IDLE]
    least = max(own[it] + (woken == 1) * handing[it] for it in own)
    most = fsum((*own.values(), *handing.values()))
    return Prediction(
        pages / (once + threads / mva(threads, [*demands.values()], think).throughput),
        pages / max(fastest, once + threads * least),
        pages / (once + think + threads * most if threads > 1 else alone),
        limit if once + threads * demands[limit] > alone else "",
        demands,
        alone,
        woken < 1,
    )


class _Alone(Watcher):
    """Listens to the one thread that goes.

    Attributes:
        used: for each lock how often it was taken, given back, and for how long it was held exclusively.
    """

    def __init__(self, which: int, costs: Costs) -> None:
        self.used: dict[Field, Tally] = {}
        self.counted: Counter[Field] = Counter()
        self.elapsed = self.moves = self.stolen = 0
        self._nodes = self._waited = 0
        self._which, self._costs = which, costs
        self._since: dict[Field, int] = {}

    def step(self, i: int, op: Op, answer: Any, at: int, ns: int, stack: tuple[Frame, ...]) -> None:
        """A step was made."""
        if isinstance(op, HandleIpi):
            self.stolen += ns
        elif isinstance(op, Acquire | TryAcquire):
            if answer is not False and answer is not BLOCKED:
                self.used.setdefault(op.lock, Tally())
                self.counted[op.lock] += 1
                self._since[op.lock] = at
        elif isinstance(op, Release):
            self.counted[op.lock] += 1
            if op.mode == EXCLUSIVE:
                self.used[op.lock].add(at - self._since[op.lock])
        elif isinstance(op, CopyPage):
            self.moves += 1
            self._nodes += len({self.machine.memory.get(it.node, 0) for it in (op.src, op.dst)})

    def unblocked(self, i: int, op: Op, since: int, at: int, sleeps: bool) -> None:
        """It has waited for answers; an interrupt that comes meanwhile costs it nothing."""
        self._waited += at - since

    def end(self, elapsed: int) -> None:
        """The thread has come to its end."""
        self.elapsed = elapsed

    def needs(self, common: Iterable[Field]) -> dict[str, float]:
        """What the thread needed of everything that it would share with the others, those locks among it (ns)."""
        nodes = len({info.node for info in self.machine.tasks})
        found: dict[str, float] = {_TIME: self.elapsed, _STOLEN: self.stolen, _PAGES: self.moves}
        found[_IDLE] = self.stolen * self._waited / max(1, self.elapsed)
        found["memory"] = self._nodes * self._costs["copy_memory"] / nodes
        for lock in common:
            name = f"{type(lock.ref).__name__}.{lock.base}"
            assert lock.lock is not None
            tally = self.used[lock]
            if lock.lock.name == "rwsem":
                found[f"count of {name}"] = self.counted[lock] * self._costs["rwsem_line"]
            if tally.count:
                found[name] = tally.total
                found[_HANDING + name] = (
                    tally.count * self._costs["wake_latency" if lock.lock.sleeps else "spin_handover"]
                )
        return found
