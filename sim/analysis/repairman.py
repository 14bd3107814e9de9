"""The machine repairman as a world: threads that think, take one lock, hold it, and give it back.

The lock is a mutex of the model and the clock is the timed engine's own, so what theory says exactly can be held
against what the engine does.  Thinking and holding are tracepoints that cost time and do nothing else.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from itertools import count
from math import log1p

from sim.context import Context
from sim.engines import timed
from sim.engines.costs import ROWS, Costs, Row
from sim.engines.timed_run import TimedRun
from sim.ops import Kernel, Point
from sim.setup import Builder
from sim.structs import AnonVma
from sim.sync import mutex_lock, mutex_unlock
from sim.worlds import World

#: Into how many durations of equal chance an exponential distribution is cut.
GRAIN = 1024


def run(
    threads: int, passages: int, hold: float, think: float, *, exponential: bool = False, seed: int = 1
) -> tuple[TimedRun, float]:
    """Let *threads* threads make *passages* passages in all: the run, and its throughput in passages per ns.

    The lock is handed to whoever waits longest, at no cost.  Durations are in ns.  An exponential distribution stands
    as 1024 values of equal chance, which each thread deals out like a shuffled pack of cards: that is random enough for
    the queue, and the mean of a pack is exact, so that fewer passages suffice.

    Args:
        threads: how many.
        passages: how often the lock is taken, by all of them together.
        hold: how long it holds the lock (ns), or the mean of that.
        think: how long it does without, or the mean of that.
        exponential: whether both are drawn anew for each passage.
        seed: of the dice.
    """
    names = [f"{what}{at}" for what in ("hold", "think") for at in range(GRAIN if exponential else 1)]
    means = {"hold": hold, "think": think}
    rows = [Row(it.name, 0, it.what) for it in ROWS]
    for name in names:
        what = name.rstrip("0123456789")
        factor = _quantile(int(name[len(what) :])) if exponential else 1.0
        rows.append(Row(name, means[what] * factor, "a duration of the machine repairman"))

    def build() -> Builder:
        return _build(threads, passages, exponential, seed)

    world = World("repairman", "threads think, and take one lock", "", {}, {}, build)
    found = timed.run(world, costs=Costs(rows))
    return found, passages / found.elapsed_ns


def _quantile(at: int) -> float:
    """The mean of an exponential variable of mean 1 within the part number *at* of GRAIN parts of equal chance."""
    low, high = at / GRAIN, (at + 1) / GRAIN
    return GRAIN * (_partial_mean(high) - _partial_mean(low))


def _partial_mean(chance: float) -> float:
    """The integral of -log(1 - u) from 0 to *chance*."""
    return 1.0 if chance == 1 else chance + (1 - chance) * log1p(-chance)


def _build(threads: int, passages: int, exponential: bool, seed: int) -> Builder:
    b = Builder()
    mm = b.mm()
    lock: AnonVma = b.memory[b.vma(mm, "heap", 0, 1).anon_vma]
    left = count(passages, -1)  # shared, so that the threads end together and none runs on alone
    for number in range(threads):
        packs = _Pack(f"{seed}/{number}/think", exponential), _Pack(f"{seed}/{number}/hold", exponential)
        body = partial(_thread, lock=lock, left=left, packs=packs)
        b.task(f"thread-{number + 1}", b.cpu(number, 0), mm, body, "thinks, and takes the lock")
    return b


def _thread(_: Context, *, lock: AnonVma, left: Iterator[int], packs: tuple[_Pack, _Pack]) -> Kernel:
    think, hold = packs
    while next(left) > 0:
        yield Point(f"think{think.deal()}")
        yield from mutex_lock(lock.mutex)
        yield Point(f"hold{hold.deal()}")
        yield from mutex_unlock(lock.mutex)


class _Pack:
    """Numbers from 0 to GRAIN - 1 in random order, again and again; or always 0."""

    def __init__(self, seed: str, exponential: bool) -> None:
        self._dice = random.Random(seed) if exponential else None
        self._left: list[int] = []

    def deal(self) -> int:
        """The next one."""
        if self._dice is None:
            return 0
        if not self._left:
            self._left = list(range(GRAIN))
            self._dice.shuffle(self._left)
        return self._left.pop()
