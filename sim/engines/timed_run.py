"""What a run under the clock says: simulated time, counts, and who slept where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple

from sim import schedule, worlds
from sim.engines.ledger import Ledger
from sim.invariants import Violation
from sim.machine import Event, Frame
from sim.ops import Field

#: The stack of a thread that ends, outermost first: its last context switch.  kernel/exit.c:1096 (v3.7)
EXIT_STACK: Final = (Frame("sys_exit", "", 0), Frame("do_exit", "", 0))


class Sleep(NamedTuple):
    """One context switch: a task gives up its CPU.

    Attributes:
        time: when, in nanoseconds from the start.
        task: who.
        field: what it waits for, a lock or another field; None if it ended.
        duration: how long until it ran again; 0 if it never did.
        stack: where it stood, outermost first.
    """

    time: int
    task: str
    field: Field | None
    duration: int
    stack: tuple[Frame, ...]


class Site(NamedTuple):
    """A place in the kernel at which threads gave up their CPUs, and for what.

    Attributes:
        struct, base: what they waited for, such as ``AnonVma`` and ``mutex``; "" if they ended.
        kind: what kind of lock that is, or "" if it is none.
        stack: the functions with their lines, outermost first.
    """

    struct: str
    base: str
    kind: str
    stack: tuple[Frame, ...]


@dataclass(slots=True)
class Tally:
    """How often something took time, and how much: in all, and at most (ns)."""

    count: int = 0
    total: int = 0
    most: int = 0

    def add(self, ns: int) -> None:
        """Once more, for *ns*."""
        self.count += 1
        self.total += ns
        self.most = max(self.most, ns)

    @property
    def mean(self) -> float:
        """How much it was on average (ns)."""
        return self.total / self.count if self.count else 0.0


class Switches:
    """The context switches of a run: a tally for each site, which does not grow with the run's length, or each one."""

    def __init__(self, keep: bool) -> None:
        self.sites: dict[Site, Tally] = {}
        self.each: list[Sleep] = []
        self._keep = keep

    def add(self, it: Sleep) -> None:
        """A task that gave up its CPU runs again, or never will."""
        site = _site(it)
        tally = self.sites.get(site)
        if tally is None:
            tally = self.sites[site] = Tally()
        tally.add(it.duration)
        if self._keep:
            self.each.append(it)


def _site(it: Sleep) -> Site:
    if it.field is None:
        return Site("", "", "", it.stack)
    kind = it.field.lock.name if it.field.lock is not None else ""
    return Site(type(it.field.ref).__name__, it.field.base, kind, it.stack)


def how_found(extrapolated: bool, within: float, taped: int) -> str:
    """In brackets how a result was come by, from what it says of that; "" if by the run itself."""
    line = f"within {100 * within:.1f} %" if within else "exactly"
    parts = [f"extrapolated from shorter runs, which lie on a line {line}"] if extrapolated else []
    if taped:
        parts.append(f"replayed from a tape, which with {taped} pages a thread does what the run does")
    return f" ({'; '.join(parts)})" if parts else ""


@dataclass
class TimedRun:
    """The result of a run under the clock.  Times are simulated, from a table of costs.

    What was not kept while it ran is there all the same: asked for, it is had by running again, which gives the same.

    Attributes:
        world, variant, params, policy, seed: what was run.
        pages_migrated: frames that took the place of a frame of another node.
        elapsed_ns: from the start until the last thread has ended (or the run, if by a violation).
        counts: see :mod:`sim.engines.counts`.
        sites: where threads gave up their CPUs: how often, and for how long.
        violation: what was wrong, during the run or at its end; None if nothing was.
        steps: how many were made.
        extrapolated: whether times and counts were computed from shorter runs.
        taped: how many pages the run had that it was checked against, if it was replayed from a tape; 0 if it was not.
        within: how far those are from the line that was prolonged, at most (0.02 is 2 %); 0 if they lie on it exactly.
        again: makes the same run once more and keeps its steps: called with True all of them with their changes, with
            False the schedule only.
    """

    world: str
    variant: str
    params: dict[str, int]
    policy: str
    seed: int
    pages_migrated: int
    elapsed_ns: int
    counts: dict[str, int]
    sites: dict[Site, Tally] = field(repr=False)
    violation: Violation | None = None
    steps: int = 0
    extrapolated: bool = False
    within: float = 0.0
    taped: int = 0
    again: Callable[[bool], TimedRun] | None = field(default=None, repr=False, compare=False)
    kept: Ledger | None = field(default=None, repr=False, compare=False)
    kept_sleeps: list[Sleep] | None = field(default=None, repr=False, compare=False)

    def _with(self, steps: bool) -> TimedRun:
        """This run, or the same with what it is to have kept."""
        if self.kept is not None and (self.kept.recorded or not steps):
            return self
        return self if self.again is None else self.again(steps)

    @cached_property
    def turns(self) -> list[tuple[int, int | None]]:
        """Who went, step by step: (number of the task, choice or None); nothing if the run was extrapolated."""
        kept = self._with(False).kept
        return [] if kept is None else kept.turns

    @cached_property
    def sleeps(self) -> list[Sleep]:
        """Every context switch, in order of time; nothing if the run was extrapolated."""
        return sorted(self._with(False).kept_sleeps or [], key=lambda it: it.time)

    @cached_property
    def events(self) -> list[Event]:
        """The steps, if the run was to record them."""
        return [] if self.kept is None else self.kept.events()

    @cached_property
    def times(self) -> list[int]:
        """When each step began, if the run was to record its steps."""
        return [] if self.kept is None else self.kept.times

    @property
    def pages_per_second(self) -> float:
        """Throughput: pages that moved, by the time it took."""
        return self.pages_migrated * 1e9 / self.elapsed_ns if self.elapsed_ns else 0.0

    @cached_property
    def schedule(self) -> str:
        """The schedule as the stepper takes it; "" if the run was extrapolated."""
        return schedule.format_schedule(self.turns)

    @cached_property
    def run_name(self) -> str:
        """The short string that says exactly what happened (long for a long run)."""
        return schedule.run_name(worlds.find(self.world), self.params, self.variant, self.turns)

    def to_json(self) -> dict[str, Any]:
        """The result as JSON values, without sleeps and events."""
        return {
            "world": self.world,
            "variant": self.variant,
            "params": self.params,
            "policy": self.policy,
            "seed": self.seed,
            "pages_migrated": self.pages_migrated,
            "elapsed_ns": self.elapsed_ns,
            "pages_per_second": self.pages_per_second,
            "counts": self.counts,
            "extrapolated": self.extrapolated,
            "within": self.within,
            "taped": self.taped,
            "run_name": self.run_name,
        }
