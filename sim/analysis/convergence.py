"""How a process comes together with its memory: which share of its pages is where it is used, what is lost till then.

A page is on a right node if that is a node on whose CPUs user code stores to it in this run; nobody says beforehand
which that is.  A page that threads of several nodes use has several right nodes, and is remote for some of them
wherever it lies: the share of stores that were remote tells that.  Times are simulated.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, Final

from sim.analysis.places import Places
from sim.engines import timed
from sim.engines.costs import Costs
from sim.engines.timed_run import TimedRun
from sim.variants import Variant
from sim.worlds import World

#: The parts of a run of which the text shows a line each.
LINES: Final = 10


@dataclass(frozen=True)
class Convergence:
    """How a run came together with its memory.

    Attributes:
        run: the run.
        right: (ns, share of the pages that are on a right node, 0 to 1), in order of time.
        stores: (ns, whether it was remote) of each store of user code: each stands for filling one page.
        lost_ns: what a remote store costs more than one on the CPU's own node (ns).
    """

    run: TimedRun
    right: list[tuple[int, float]]
    stores: list[tuple[int, bool]]
    lost_ns: int

    @property
    def settled_ns(self) -> int | None:
        """From when on all pages are on a right node to the end (ns); None if at the end some are not."""
        if self.right[-1][1] < 1:
            return None
        last = max((at for at, it in enumerate(self.right) if it[1] < 1), default=-1)
        return self.right[last + 1][0]

    @property
    def remote_ns(self) -> int:
        """What all threads together lost because their stores were remote (ns)."""
        return self.lost_ns * sum(remote for _, remote in self.stores)

    def remote(self, parts: int = LINES) -> list[tuple[int, float]]:
        """For each of *parts* equal parts of the run: when it ends (ns), and which share of its stores was remote."""
        whole = max(1, self.run.elapsed_ns)
        counts, far = [0] * parts, [0] * parts
        for at, remote in self.stores:
            part = min(parts - 1, at * parts // whole)
            counts[part] += 1
            far[part] += remote
        return [
            (whole * (part + 1) // parts, far[part] / counts[part] if counts[part] else 0.0) for part in range(parts)
        ]

    def rows(self) -> list[dict[str, Any]]:
        """By part of the run: its end (ns), the share of pages on a right node then, that of remote stores in it."""
        return [
            {"until_ns": until, "on_a_right_node": self.placed(until), "remote_stores": remote}
            for until, remote in self.remote()
        ]

    def placed(self, at: int) -> float:
        """The share of the pages that were on a right node at time *at* (ns)."""
        return self.right[max(0, bisect_right(self.right, (at, 2.0)) - 1)][1]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "right": [list(it) for it in self.right],
            "remote": [list(it) for it in self.remote()],
            "settled_ns": self.settled_ns,
            "remote_ns": self.remote_ns,
            "elapsed_ns": self.run.elapsed_ns,
        }

    def __str__(self) -> str:
        run = self.run
        lines = [
            f"# how {run.world} under {run.variant} comes together with its memory (simulated; locks by {run.policy})",
            f"{'until, µs':>12}  {'on a right node, %':>18}  {'stores that were remote, %':>26}",
        ]
        for until, placed, remote in (it.values() for it in self.rows()):
            lines.append(f"{until / 1000:12,.1f}  {100 * placed:18.1f}  {100 * remote:26.1f}")
        settled = self.settled_ns
        when = "some never are" if settled is None else f"all are from {settled / 1000:,.1f} µs on"
        far = sum(remote for _, remote in self.stores)
        lines.append(f"pages on a right node: {when}, of {run.elapsed_ns / 1000:,.1f}")
        lines.append(
            f"remote stores: {far:,} of {len(self.stores):,}, which cost all threads together "
            f"{self.remote_ns / 1000:,.1f} µs more"
        )
        return "\n".join(lines)


def convergence(
    world: str | World, variant: str | Variant = "mutex_v37", *, costs: Costs = timed.COSTS, **options: Any
) -> Convergence:
    """Run *world* under the clock and tell how it comes together with its memory; *options* are the timed engine's."""
    watcher = Places()
    run = timed.run(world, variant, costs=costs, watcher=watcher, **options)
    more = costs["memset_page_remote"] - costs["memset_page"]
    return Convergence(run, watcher.arrivals(watcher.users), watcher.stores, more)
