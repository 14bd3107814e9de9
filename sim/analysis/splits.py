"""Which lock policy and which costs give context switches like the mail's, and which do not.

The mail (1354305521-11583-1) has 96.43 % of its context switches on the anon_vma mutex, and of those 50.61 % below
rmap_walk and 49.39 % below page_lock_anon_vma.  Nothing here is set to come out so: the table says what comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from math import fsum
from typing import Any, Final

from sim.analysis.sweep import Point, grid, sweep

#: Who gets the mutex: under ``spin``, which differs for rwsems, who gets it under ``steal``.
POLICIES: Final = ("handoff", "steal", "sleep")

#: The mail's shares, in per cent: of the mutex among all context switches, and of rmap_walk among those.
MAIL: Final = {"lock": 96.43, "rmap_walk": 50.61}

#: How far a simulated split may be from even and still be called like the mail's, in percentage points.
NEAR: Final = 5.0

#: Which rows of the costs are multiplied, by which factors.
COSTS: Final[tuple[dict[str, float], ...]] = (
    {},
    {"wake_latency": 1 / 30},
    {"wake_latency": 1 / 10},
    {"wake_latency": 1 / 3},
    {"wake_latency": 3},
    {"copy_page": 3, "copy_page_remote": 3},
    {"ipi_delivery": 3, "ipi_delivery_remote": 3},
    {"mutex_spin_poll": 1 / 10, "spin_handover": 1 / 3},
    {"*": 1 / 3},
    {"*": 3},
)


@dataclass(frozen=True)
class Split:
    """What came out for one policy and one table of costs, over several seeds.

    Attributes:
        policy: who gets a lock that is released.
        costs: the rows that were multiplied.
        sleeps: context switches on the lock for each page that moved.
        lock: the lock's share of all context switches, in per cent: the lowest and the highest of the seeds.
        rmap_walk: rmap_walk's share of those, likewise.
    """

    policy: str
    costs: dict[str, float]
    sleeps: float
    lock: tuple[float, float]
    rmap_walk: tuple[float, float]

    @property
    def like_the_mail(self) -> bool:
        """Whether every seed has more than 90 % on the lock, and both branches within 5 points of half."""
        return self.lock[0] > 90 and all(abs(it - 50) <= NEAR for it in self.rmap_walk)


def points(threads: int = 32, pages: int = 16, seeds: int = 3) -> list[Point]:
    """The points of the sweep."""
    axes = {"policy": list(POLICIES), "costs": list(COSTS), "seed": range(1, seeds + 1)}
    return grid(world="numa02", variant="mutex_v37", threads=threads, pages=pages, **axes)


def splits(
    threads: int = 32,
    pages: int = 16,
    seeds: int = 3,
    *,
    executor: Executor | None = None,
    path: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Split]:
    """Run numa02 under each policy and with each table of costs, for *seeds* seeds each."""
    table = sweep(points(threads, pages, seeds), executor=executor, path=path, progress=progress)
    return [
        _split(policy, costs, list(table.where(policy=policy, costs=costs))) for policy in POLICIES for costs in COSTS
    ]


def _split(policy: str, costs: dict[str, float], rows: list[dict[str, Any]]) -> Split:
    lock, walk = ([it[name] for it in rows] for name in ("lock_percent", "rmap_walk_percent"))
    slept = fsum(it["context_switches"] * it["lock_percent"] / 100 for it in rows)
    moved = sum(it["pages_migrated"] for it in rows)
    return Split(policy, costs, slept / moved, (min(lock), max(lock)), (min(walk), max(walk)))


def text(found: list[Split]) -> str:
    """The splits as a table in Markdown."""
    return "\n".join(_lines(found))


def _lines(found: list[Split]) -> Iterator[str]:
    yield "| policy | costs | sleeps a page | on the lock, % | below rmap_walk, % | like the mail |"
    yield "| --- | --- | ---: | ---: | ---: | --- |"
    for it in found:
        costs = ", ".join(f"{'all' if name == '*' else name} x {factor:.3g}" for name, factor in it.costs.items())
        like = "yes" if it.like_the_mail else "no"
        walk = _range(it.rmap_walk) if it.sleeps else "-"
        yield f"| {it.policy} | {costs or 'as they are'} | {it.sleeps:.2f} | {_range(it.lock)} | {walk} | {like} |"


def _range(it: tuple[float, float]) -> str:
    low, high = it
    return f"{low:.1f}" if round(low, 1) == round(high, 1) else f"{low:.1f} to {high:.1f}"
