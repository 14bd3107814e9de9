"""The staircase: how many pages a second move with more and more threads, on kernel after kernel, and what stops each.

A rung is a way of locking and flushing.  Which resource stops it is read off utilisation (:mod:`sim.analysis.usage`):
one that is busy nine tenths of the time is saturated, and adding threads cannot help.  Shares are those of the whole
run: threads that all unmap, then all copy, then all map again can wait for one resource after the other, of which none
is busy for most of the time.  So where nothing alone is saturated the busiest few are named.  Times are simulated.
The rung of huge pages has one page table lock for each address space, as 3.8 has; since 3.13 each page of PMDs has its
own (e009bb30c8df), so that less stands in the way of the copies than is told here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Final

from sim.analysis.sweep import Point, Row, costs_of, sweep
from sim.analysis.usage import usage

#: A resource that is busy for so large a share of a run is saturated.
SATURATED: Final = 0.9

#: How many resources are named where none is.
NAMED: Final = 3

#: What many can wait for at once: it is busy for long without anybody being in another's way.
NOT_EXCLUSIVE: Final = frozenset({"IPI answers"})

#: The numbers of threads unless told otherwise.
THREADS: Final = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class Rung:
    """A way of moving pages: its name here, its variant, and the world in which it is tried, with parameters."""

    name: str
    variant: str
    world: str = "movers"
    params: Mapping[str, int] = field(default_factory=dict)


#: By history.  A rung is one line.
RUNGS: Final = (
    Rung("3.7: mutex", "mutex_v37"),
    Rung("no lock in either walk", "rfc_split_unlocked"),
    Rung("3.8: rwsem", "rwsem_v38"),
    Rung("batches of 2 MiB on 3.7", "batch_2mb"),
    Rung("4.14: huge pages, whole", "thp_v414", params={"huge": 1}),
    Rung("6.3: rwsem, batches", "batch_v63"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One rung with one number of threads.

    Attributes:
        rung, threads: which.
        pages_per_second: how fast pages move, all threads together.
        busy: for each resource that only one task at a time can have, the share of the run in which it was busy.
    """

    rung: str
    threads: int
    pages_per_second: float
    busy: dict[str, float]

    @property
    def busiest(self) -> str:
        """The resource with the largest share."""
        return max(self.busy, key=lambda it: (self.busy[it], it))

    @property
    def saturated(self) -> tuple[str, ...]:
        """The resources that are saturated, the busiest first; none: each thread is held up by its own work."""
        return tuple(
            sorted((it for it, share in self.busy.items() if share >= SATURATED), key=lambda it: -self.busy[it])
        )


@dataclass(frozen=True, slots=True)
class Staircase:
    """The steps of every rung, and the parameters of the world beside the threads."""

    steps: list[Step]
    params: dict[str, int]

    def series(self) -> dict[str, dict[float, float]]:
        """For each rung threads to pages a second: what a chart of curves takes."""
        found: dict[str, dict[float, float]] = {}
        for it in self.steps:
            found.setdefault(it.rung, {})[it.threads] = it.pages_per_second
        return found

    def last(self, rung: str) -> Step:
        """The step of *rung* with the most threads."""
        return max((it for it in self.steps if it.rung == rung), key=lambda it: it.threads)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        rows = [
            {
                "rung": it.rung,
                "threads": it.threads,
                "pages_per_second": it.pages_per_second,
                "busy": it.busy,
                "busiest": it.busiest,
                "saturated": list(it.saturated),
            }
            for it in self.steps
        ]
        return {"params": self.params, "saturated_from": SATURATED, "steps": rows}

    def verdicts(self) -> list[str]:
        """What stops each rung, one sentence each."""
        said = []
        for name in self.series():
            top = self.last(name)
            first = min(
                (it.threads for it in self.steps if it.rung == name and set(it.saturated) & set(top.saturated)),
                default=0,
            )
            share = f"{100 * top.busy[top.busiest]:.0f} %"
            if first:
                said.append(f"{name}: {top.busiest} is saturated from {first} threads on ({share} at {top.threads})")
            else:
                few = sorted(top.busy, key=lambda it: -top.busy[it])[:NAMED]
                its = ", ".join(f"{it} ({100 * top.busy[it]:.0f} %)" for it in few)
                said.append(f"{name}: nothing alone is saturated up to {top.threads} threads; busiest {its}")
        return said

    def __str__(self) -> str:
        series = self.series()
        threads = sorted({it.threads for it in self.steps})
        width = max(map(len, series))
        head = f"{'':{width}}" + "".join(f"{it:>11}" for it in threads) + "   threads"
        rows = [
            f"{name:{width}}" + "".join(f"{its[it]:11,.0f}" if it in its else f"{'':11}" for it in threads)
            for name, its in series.items()
        ]
        about = ", ".join(f"{name}={value}" for name, value in self.params.items()) or "as the world has them"
        return "\n".join([f"# pages per second (simulated; {about})", head, *rows, "", *self.verdicts()])


def measured(point: Point) -> Row:
    """One step: throughput and utilisation, as JSON values."""
    found = usage(
        point["world"],
        point["variant"],
        policy=point.get("policy", "handoff"),
        costs=costs_of(point.get("costs", {})),
        params={name: it for name, it in point.items() if name not in ("world", "variant", "policy", "costs")},
    )
    busy = {name: share for name, share in found.busy.items() if name not in NOT_EXCLUSIVE}
    return {"pages_per_second": found.run.pages_per_second, "busy": busy}


def staircase(
    rungs: Sequence[Rung] = RUNGS,
    threads: Iterable[int] = THREADS,
    *,
    policy: str = "handoff",
    costs: dict[str, float] | None = None,
    executor: Executor | None = None,
    path: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    **params: int,
) -> Staircase:
    """Run every rung with every number of threads; *params* are those of the worlds, beside those that a rung has set.

    *policy* says who gets a lock that is released; *costs* maps rows of the table of costs to factors; *executor*,
    *path* and *progress* are as :func:`sim.analysis.sweep.sweep` takes them.
    """
    pairs = [(rung, number) for rung in rungs for number in threads]
    more: dict[str, Any] = {"policy": policy, **({"costs": costs} if costs else {}), **params}
    points = [
        {"world": rung.world, "variant": rung.variant, "threads": number, **more, **rung.params}
        for rung, number in pairs
    ]
    table = sweep(points, measure=measured, executor=executor, path=path, progress=progress)
    steps = [
        Step(rung.name, number, row["pages_per_second"], row["busy"])
        for (rung, number), row in zip(pairs, table.results, strict=True)
    ]
    return Staircase(steps, params)
