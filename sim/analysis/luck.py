"""How often random orders find what the checker finds: runs, failures, and an interval for the frequency."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

from sim.machine import Machine
from sim.ops import Choose
from sim.variants import Variant
from sim.variants import find as find_variant
from sim.worlds import World
from sim.worlds import find as find_world

#: Two-sided 95 % of the normal distribution.
Z = 1.959964


@dataclass(frozen=True)
class Luck:
    """What random runs found.

    Attributes:
        runs: how many there were.
        found: how many ended in a violation, by its kind.
        low, high: the 95 % interval for the frequency of violations (Wilson's), between 0 and 1.
    """

    world: str
    variant: str
    params: dict[str, int]
    runs: int
    seed: int
    preempt: float
    found: dict[str, int]
    low: float
    high: float

    @property
    def failures(self) -> int:
        """How many runs ended in a violation."""
        return sum(self.found.values())

    def to_json(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "world": self.world,
            "variant": self.variant,
            "params": self.params,
            "runs": self.runs,
            "seed": self.seed,
            "preempt": self.preempt,
            "failures": self.failures,
            "found": self.found,
            "interval": [self.low, self.high],
        }

    def __str__(self) -> str:
        kinds = ", ".join(f"{kind}: {count}" for kind, count in self.found.items()) or "no violation"
        return (
            f"{self.world} under {self.variant}: {self.failures} of {self.runs} random runs failed ({kinds};"
            f" a new draw with chance {self.preempt:g} a step);"
            f" 95 % interval {100 * self.low:.2f} to {100 * self.high:.2f} %"
        )


def luck(
    world: str | World,
    variant: str | Variant,
    params: Mapping[str, int] | None = None,
    *,
    runs: int = 2000,
    seed: int = 0,
    preempt: float = 0.01,
    progress: Callable[..., None] | None = None,
) -> Luck:
    """Run *world* in random order, again and again.

    Args:
        world: the world or its name; with the checker's small parameters unless *params* says otherwise.
        variant: the variant or its name.
        params: parameters over those.
        runs: how many.
        seed: of the dice.
        preempt: the chance that after a step the next task is drawn anew: 1 draws after every step, which no machine
            does; the default lets each task make about a hundred steps in a row.
        progress: called now and then with the number of runs done.
    """
    it = find_world(world) if isinstance(world, str) else world
    how = find_variant(variant) if isinstance(variant, str) else variant
    values = it.small(params)
    setup = it.setup(values)
    dice = random.Random(seed)
    found: dict[str, int] = {}
    for number in range(runs):
        violation = _one(Machine(setup, how), dice, preempt)
        if violation is not None:
            found[violation] = found.get(violation, 0) + 1
        if progress is not None and number % 50 == 0:
            progress(number)
    low, high = wilson(sum(found.values()), runs)
    return Luck(it.name, how.name, values, runs, seed, preempt, dict(sorted(found.items())), low, high)


def _one(machine: Machine, dice: random.Random, preempt: float) -> str | None:
    """One run in random order; the kind of its violation, or None."""
    last = None
    while not machine.done and (ready := machine.runnable()):
        if last not in ready or dice.random() < preempt:
            last = dice.choice(ready)
        assert last is not None
        op = machine.pending(last)
        machine.step(last, dice.randrange(op.options) if isinstance(op, Choose) else 0)
    verdict = machine.verdict()
    return None if verdict is None else verdict.kind


def wilson(failures: int, runs: int) -> tuple[float, float]:
    """Wilson's 95 % interval for a frequency: E. B. Wilson, JASA 22 (1927), 209-212."""
    part = failures / runs
    middle = (part + Z * Z / (2 * runs)) / (1 + Z * Z / runs)
    half = Z * sqrt(part * (1 - part) / runs + Z * Z / (4 * runs * runs)) / (1 + Z * Z / runs)
    return max(0.0, middle - half), min(1.0, middle + half)
