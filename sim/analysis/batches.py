"""The batch lab: the larger a batch, the fewer interrupts, and the longer others wait for a page that is on its way.

One call moves a region in batches of so many pages while other threads go on writing to it (world ``busy_region``).
Times are simulated.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from sim import variants, worlds
from sim.analysis.sweep import Point, Row, costs_of, sweep
from sim.context import Context
from sim.engines import timed
from sim.engines.costs import Costs
from sim.engines.watching import Watcher
from sim.errors import BadParameter
from sim.kernel import migrate
from sim.machine import Frame
from sim.ops import Kernel, KernelFunction, Op, Until
from sim.structs import Page
from sim.variants import Variant

WORLD: Final = "busy_region"

#: The sizes that are tried unless told otherwise (pages).
SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

#: Which shares of the waits are over by then.
PERCENTILES: Final = (50, 99, 100)


def in_batches_of(size: int, base: str = "batch_v63") -> Variant:
    """The variant *base*, which moves pages in batches, with batches of *size* pages at most.

    Raises:
        BadParameter: if that is less than one page.
    """
    if size < 1:
        raise BadParameter(f"a batch of {size} pages is not allowed: 1 or more")
    found = variants.find(base)
    cut = partial(_cut, whole=found.seams["migrate_pages"], size=size)
    return replace(found, name=f"{base}[{size}]", seams={**found.seams, "migrate_pages": cut})


def _cut(
    k: Context,
    pages: tuple[Page, ...],
    node: int,
    passes: int = 10,
    mode: str = migrate.MIGRATE_SYNC,
    *,
    whole: KernelFunction,
    size: int,
) -> Kernel:
    """The seam ``migrate_pages`` that hands *whole* so many pages at a time."""
    failed = 0
    while pages:
        batch, pages = pages[:size], pages[size:]
        more = yield from whole(k, batch, node, passes, mode)
        failed += more
    return failed


class _Watcher(Watcher):
    """Listens for faults that sleep on a page, and for when the mover is done."""

    def __init__(self) -> None:
        self.waits: list[int] = []
        self.done = 0

    def step(self, i: int, op: Op, answer: Any, at: int, ns: int, stack: tuple[Frame, ...]) -> None:
        """Each step of the mover, which is the first task, may be its last."""
        if i == 0:
            self.done = at + ns

    def unblocked(self, i: int, op: Op, since: int, at: int, sleeps: bool) -> None:
        """Who slept until a page was unlocked runs again."""
        if i and isinstance(op, Until) and op.field.base == "PG_locked" and isinstance(op.field.ref, Page):
            self.waits.append(at - since)


@dataclass(frozen=True, slots=True)
class Batch:
    """What batches of one size come to.

    Attributes:
        size: pages in a batch, at most.
        pages_per_second: pages that moved, by the time the call took.
        ipis: interrupts that were handled, in all.
        flushes: how often TLBs were flushed.
        retries: pages that had to be unmapped once more because somebody else held a reference.
        waits: how many faults slept on a page that was on its way.
        percentiles: within how long 50, 99 and 100 % of these were over (ns); 0 if there were none.
    """

    size: int
    pages_per_second: float
    ipis: int
    flushes: int
    retries: int
    waits: int
    percentiles: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Lab:
    """The batches of every size, what they were a change of, and the parameters of the world."""

    batches: list[Batch]
    base: str
    params: dict[str, int]
    percentiles: tuple[int, ...] = PERCENTILES

    @property
    def pages(self) -> int:
        """How many pages the region has."""
        return worlds.find(WORLD).values(self.params)["pages"]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        names = [f"wait_{it}_ns" for it in PERCENTILES]
        rows = []
        for it in self.batches:
            row = {name: getattr(it, name) for name in Batch.__dataclass_fields__ if name != "percentiles"}
            rows.append({**row, **dict(zip(names, it.percentiles, strict=True))})
        return {"variant": self.base, "params": self.params, "batches": rows}

    def __str__(self) -> str:
        about = ", ".join(f"{name}={value}" for name, value in self.params.items())
        lines = [
            f"# batches under {self.base} (simulated; busy_region{' with ' if about else ''}{about})",
            "pages in a batch    pages/s   interrupts   flushes   retries   waits   50 %, µs   99 %, µs   100 %, µs",
        ]
        for it in self.batches:
            half, most, all_ = (ns / 1000 for ns in it.percentiles)
            lines.append(
                f"{it.size:16}{it.pages_per_second:11,.0f}{it.ipis:13,}{it.flushes:10,}{it.retries:10,}{it.waits:8,}"
                f"{half:11,.1f}{most:11,.1f}{all_:12,.1f}"
            )
        lines.append(
            "waits: faults that slept until a page had moved, and how long 50, 99 and 100 % of them took at most"
        )
        return "\n".join(lines)


def measured(point: Point) -> Row:
    """One size of batches, as JSON values."""
    params = {name: it for name, it in point.items() if name not in ("size", "variant", "costs")}
    return beside_writers(in_batches_of(point["size"], point["variant"]), params, costs_of(point.get("costs", {})))


def beside_writers(how: Variant, params: Mapping[str, int], costs: Costs = timed.COSTS) -> Row:
    """One call under *how* moves the region of the lab while others write to it: a :class:`Batch` as JSON values."""
    watcher = _Watcher()
    run = timed.run(WORLD, how, costs=costs, watcher=watcher, params=params)
    return {
        "pages_per_second": run.pages_migrated * 1e9 / max(1, watcher.done),
        "ipis": run.counts["ipis_received"],
        "flushes": run.counts["tlb_flushes"],
        "retries": run.counts["unmap_walks"] - run.pages_migrated,
        "waits": len(watcher.waits),
        "percentiles": [percentile(watcher.waits, it) for it in PERCENTILES],
    }


def percentile(values: list[int], per_cent: int) -> int:
    """The least of *values* that *per_cent* per cent of them do not exceed; 0 if there are none."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * per_cent // 100) - 1)] if ordered else 0


def batches(
    sizes: Iterable[int] = SIZES,
    base: str = "batch_v63",
    *,
    costs: dict[str, float] | None = None,
    executor: Executor | None = None,
    path: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    **params: int,
) -> Lab:
    """Move a region in batches of each of *sizes*.

    *base* is a variant that moves pages in batches; *params* are those of the world ``busy_region``; *costs* maps rows
    of the table of costs to factors; *executor*, *path* and *progress* are as a sweep takes them.
    """
    asked = list(sizes)
    more: dict[str, Any] = {"costs": costs} if costs else {}
    points = [{"size": it, "variant": base, **more, **params} for it in asked]
    table = sweep(points, measure=measured, executor=executor, path=path, progress=progress)
    rows = [{**row, "percentiles": tuple(row["percentiles"])} for row in table.results]
    return Lab([Batch(size, **row) for size, row in zip(asked, rows, strict=True)], base, params)
