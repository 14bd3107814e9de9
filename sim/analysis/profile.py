"""Who slept where: the context switches of a run as ``perf report`` shows a call graph of them.

Shares are shares of context switches, not of time.  The format is the mail's: leaf first, its callers below.
The frames come from the coroutines' own call stacks; only the scheduler's are added, because a sleep is one
operation here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from sim.analysis.callgraph import CallGraph
from sim.engines.timed_run import Site, TimedRun

#: Functions that the profile leaves out, because the compiler inlined them in the mail's kernel (they are static
#: or in a header and have one caller), or because they are ours.  kernel-facts: message 1354305521-11583-1.
INLINED = frozenset(
    {
        "anon_vma_lock",
        "anon_vma_lock_read",
        "anon_vma_lock_write",
        "rmap_walk_anon",
        "remove_migration_ptes",
        "unmap_and_move",
        "__unmap_and_move",
        "do_numa_page",
    }
)

#: What stands above the call that sleeps, leaf first, by kind of lock.
SCHEDULER = {
    "mutex": (
        "perf_trace_sched_switch", "__schedule", "schedule", "schedule_preempt_disabled",
        "__mutex_lock_common.isra.6", "__mutex_lock_slowpath",
    ),
    "rwsem": ("perf_trace_sched_switch", "__schedule", "schedule", "rwsem_down_failed_common"),
    "page lock": ("perf_trace_sched_switch", "__schedule", "schedule", "io_schedule", "sleep_on_page"),
    "": ("perf_trace_sched_switch", "__schedule", "schedule"),
}  # fmt: skip


@dataclass(frozen=True)
class Branch:
    """A site at which threads slept: the function that asked for the lock, and its call chain.

    Attributes:
        site: the first function below the lock's own, such as ``rmap_walk``.
        count: how many context switches.
        share: of all those in the profile that come from the anon_vma lock, in per cent.
        error: one standard error of the share, in percentage points.
        chain: the functions, leaf first.
    """

    site: str
    count: int
    share: float
    error: float
    chain: tuple[str, ...]


@dataclass(frozen=True)
class Profile:
    """The context switches of one run.

    Attributes:
        switches: how many in all.
        anon_vma: how many of them waited for an anon_vma's lock.
        branches: where those came from, the most frequent first.
        others: what the rest waited for, and how often.
    """

    world: str
    variant: str
    policy: str
    switches: int
    anon_vma: int
    branches: tuple[Branch, ...]
    others: tuple[tuple[str, int], ...]

    @property
    def share(self) -> float:
        """The anon_vma lock's share of all context switches, in per cent."""
        return 100 * self.anon_vma / self.switches if self.switches else 0.0

    def branch(self, site: str) -> Branch:
        """The branch of *site*; one with no context switches if nobody slept there."""
        return next((it for it in self.branches if it.site == site), Branch(site, 0, 0.0, 0.0, ()))

    def to_json(self) -> dict[str, Any]:
        """The profile as JSON values."""
        return {
            "world": self.world,
            "variant": self.variant,
            "policy": self.policy,
            "context_switches": self.switches,
            "anon_vma_lock": {"count": self.anon_vma, "percent": self.share},
            "branches": [
                {"site": it.site, "count": it.count, "percent": it.share, "error": it.error, "chain": list(it.chain)}
                for it in self.branches
            ],
            "others": [{"what": what, "count": count} for what, count in self.others],
        }

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"# context switches of {self.world} under {self.variant} (simulated; locks by {self.policy})"
        yield f"# {self.switches:,} in all, {self.anon_vma:,} on an anon_vma lock: shares of events, not of time"
        if self.branches:
            common = _common([it.chain for it in self.branches])
            yield f"{self.share:6.2f}%  process 0  [kernel.kallsyms]  [k] {common[0]}"
            yield "        |"
            yield f"        --- {common[0]}"
            yield from (f"            {name}" for name in common[1:])
            yield "            |"
            for it in self.branches:
                chain = it.chain[len(common) :]
                yield f"            |--{it.share:.2f}%-- {chain[0]}"
                yield from (f"            |          {name}" for name in chain[1:])
                yield "            |"
        for what, count in self.others:
            yield f"{100 * count / self.switches:6.2f}%  {what}"
        for it in self.branches:
            yield f"# {it.site}: {it.count:,}, {it.share:.2f} % +- {it.error:.2f} (one standard error)"


def profile(run: TimedRun) -> Profile:
    """The profile of a run."""
    chains: Counter[tuple[str, ...]] = Counter()
    others: Counter[str] = Counter()
    for site, tally in run.sites.items():
        if site.struct == "AnonVma":
            chains[_chain(site)] += tally.count
        else:
            others[_what(site)] += tally.count
    total = chains.total()
    sites: dict[str, list[tuple[tuple[str, ...], int]]] = {}
    for chain, count in chains.items():
        sites.setdefault(_site(chain), []).append((chain, count))
    branches = [_branch(site, its, total) for site, its in sites.items()]
    return Profile(
        run.world,
        run.variant,
        run.policy,
        total + others.total(),
        total,
        tuple(sorted(branches, key=lambda it: (-it.count, it.site))),
        tuple(sorted(others.items(), key=lambda it: (-it[1], it[0]))),
    )


def graph(run: TimedRun) -> CallGraph:
    """The context switches of a run as a call graph: all of them, whatever they waited for."""
    chains: Counter[tuple[str, ...]] = Counter()
    for site, tally in run.sites.items():
        chains[_chain(site)[::-1]] += tally.count
    return CallGraph(f"{run.world} under {run.variant} (locks by {run.policy})", "context switches", chains)


def _branch(site: str, chains: list[tuple[tuple[str, ...], int]], total: int) -> Branch:
    count = sum(number for _, number in chains)
    part = count / total
    most = max(chains, key=lambda it: (it[1], it[0]))[0]
    return Branch(site, count, 100 * part, 100 * sqrt(part * (1 - part) / total), most)


def _chain(it: Site) -> tuple[str, ...]:
    """The call chain of a sleep, leaf first, as the mail's kernel would show it."""
    called = [frame.function for frame in reversed(it.stack) if frame.function not in INLINED]
    return (*SCHEDULER[it.kind], *called)


def _site(chain: Sequence[str]) -> str:
    """The function that asked for the lock: the one below mutex_lock or down_read."""
    taking = [at for at, name in enumerate(chain) if name in ("mutex_lock", "down_read", "down_write")]
    return chain[taking[0] + 1]


def _common(chains: list[tuple[str, ...]]) -> tuple[str, ...]:
    """What all chains begin with; with one chain, all down to the site."""
    if len(chains) == 1:
        return chains[0][: chains[0].index(_site(chains[0]))]
    size = 0
    while len({chain[: size + 1] for chain in chains}) == 1:
        size += 1
    return chains[0][:size]


def _what(it: Site) -> str:
    return f"waits for {it.base} of a {it.struct}" if it.struct else "a thread ends (do_exit)"
