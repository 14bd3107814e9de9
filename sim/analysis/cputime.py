"""Where the CPUs' time goes in a run under the clock: a call graph of simulated CPU time.

Another question than who sleeps where (:mod:`sim.analysis.profile`): a thread that sleeps costs no CPU time, and one
that spins costs all of it.  Every CPU is counted, also those that answer interrupts.
"""

from __future__ import annotations

from typing import Any

from sim.analysis.callgraph import CallGraph
from sim.analysis.profile import INLINED
from sim.engines import timed
from sim.engines.timed_run import TimedRun
from sim.engines.watching import Watcher
from sim.machine import Frame
from sim.ops import Acquire, Op
from sim.variants import Variant
from sim.worlds import World

#: What runs on a CPU whose thread spins, by kind of lock.  kernel/sched/core.c:2991, arch/x86/include/asm/spinlock.h:49
SPINNING = {"mutex": ("mutex_spin_on_owner",), "spinlock": ("do_raw_spin_lock",)}


class CpuWatcher(Watcher):
    """Adds up what each step costs, and the time that is spent spinning, by call chain.

    Attributes:
        chains: (functions, outermost first) to nanoseconds.
    """

    stacks = None

    def __init__(self) -> None:
        self.chains: dict[tuple[str, ...], int] = {}
        self._spins: dict[int, tuple[str, ...]] = {}

    def step(self, i: int, op: Op, answer: Any, at: int, ns: int, stack: tuple[Frame, ...]) -> None:
        """A step cost its CPU *ns*."""
        self._add(self._chain(stack), ns)

    def blocked(self, i: int, op: Op, at: int, sleeps: bool) -> None:
        """If the thread does not sleep, its CPU spins from now on."""
        if not sleeps:
            lock = op.lock.lock if isinstance(op, Acquire) else None
            leaf = SPINNING.get(lock.name, ()) if lock is not None else ()
            self._spins[i] = (*self._chain(self.machine.stack(self.machine.tasks[i].task)), *leaf)

    def unblocked(self, i: int, op: Op, since: int, at: int, sleeps: bool) -> None:
        """It has spun until now."""
        if not sleeps:
            self._add(self._spins.pop(i), at - since)

    def _add(self, chain: tuple[str, ...], ns: int) -> None:
        self.chains[chain] = self.chains.get(chain, 0) + ns

    @staticmethod
    def _chain(stack: tuple[Frame, ...]) -> tuple[str, ...]:
        return tuple(frame.function for frame in stack if frame.function not in INLINED)


def cputime(world: str | World, variant: str | Variant = "mutex_v37", **options: Any) -> tuple[CallGraph, TimedRun]:
    """Run *world* under the clock and tell where its CPUs' time went; *options* are those of the timed engine."""
    watcher = CpuWatcher()
    run = timed.run(world, variant, watcher=watcher, **options)
    title = f"{run.world} under {run.variant} (locks by {run.policy})"
    chains = {chain: ns for chain, ns in watcher.chains.items() if ns}
    return CallGraph(title, "CPU time", chains), run
