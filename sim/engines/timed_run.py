"""What a run under the clock says: simulated time, counts, and who slept where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from sim import schedule, worlds
from sim.invariants import Memory, Violation
from sim.machine import Event, Frame
from sim.ops import Field
from sim.structs import Pte

#: The stack of a thread that ends, outermost first: its last context switch.  kernel/exit.c:1096 (v3.7)
EXIT_STACK: Final = (Frame("sys_exit", "", 0), Frame("do_exit", "", 0))


@dataclass(slots=True)
class Sleep:
    """One context switch: a task gives up its CPU.

    Attributes:
        time: when, in nanoseconds from the start.
        task: who.
        field: what it waits for, a lock or another field; None if it ended.
        duration: how long until it ran again.
        stack: where it stood, outermost first.
    """

    time: int
    task: str
    field: Field | None
    duration: int
    stack: tuple[Frame, ...]


@dataclass
class TimedRun:
    """The result of a run under the clock.  Times are simulated, from a table of costs.

    Attributes:
        world, variant, params, policy, seed: what was run.
        pages_migrated: base pages whose PTE maps a frame at the start and at the end, on different nodes.
        elapsed_ns: from the start until the last thread has ended (or the run, if by a violation).
        counts: see :mod:`sim.engines.counts`.
        sleeps: every context switch, in order of time.
        turns: who went, step by step: (number of the task, choice or None).
        violation: what was wrong, during the run or at its end; None if nothing was.
        extrapolated: whether times and counts were computed from shorter runs.
        times: when each step began, if the run was to record its steps.
        make_events: makes the steps as events.
    """

    world: str
    variant: str
    params: dict[str, int]
    policy: str
    seed: int
    pages_migrated: int
    elapsed_ns: int
    counts: dict[str, int]
    sleeps: list[Sleep] = field(repr=False)
    turns: list[tuple[int, int | None]] = field(repr=False)
    violation: Violation | None = None
    extrapolated: bool = False
    times: list[int] = field(default_factory=list, repr=False)
    make_events: Callable[[], list[Event]] = field(default=list, repr=False, compare=False)

    @cached_property
    def events(self) -> list[Event]:
        """The steps, if the run was to record them."""
        return self.make_events()

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
            "run_name": self.run_name,
        }


def pages_migrated(before: Memory, after: Mapping[Field, Any]) -> int:
    """How many PTEs map a frame in both memories, on different nodes."""
    moved = 0
    for place, old in before.items():
        if place.base == "pte" and _maps(old):
            new = after.get(place)
            moved += new is not None and _maps(new) and _node(before, old) != _node(after, new)
    return moved


def _maps(pte: Pte | None) -> bool:
    return pte is not None and pte.kind != "migration"


def _node(memory: Mapping[Field, Any], pte: Pte) -> int:
    return int(memory.get(pte.page.node, pte.page.node.default))
