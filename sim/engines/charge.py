"""Charging costs along a given schedule: the clock follows, nobody decides.

A step begins when its task is ready for it, and not before the step that precedes it in the schedule.
"""

from __future__ import annotations

from collections.abc import Iterable

from sim.engines.costs import DEFAULT, Costs
from sim.engines.ledger import Ledger
from sim.errors import BadSchedule
from sim.machine import Event, Machine
from sim.variants import Variant
from sim.variants import find as find_variant
from sim.worlds import World
from sim.worlds import find as find_world


def charge(
    world: str | World,
    variant: str | Variant,
    schedule: Iterable[tuple[int, int | None]],
    *,
    costs: Costs = DEFAULT,
    **params: int,
) -> tuple[list[Event], list[int], int]:
    """Follow *schedule* and charge for it: the events, when each began, and when the last task was done (ns).

    Raises:
        BadSchedule: if it cannot be followed, naming the step.
    """
    it = find_world(world) if isinstance(world, str) else world
    machine = Machine(it.setup(params), find_variant(variant) if isinstance(variant, str) else variant)
    ledger = Ledger(machine, costs, record=True)
    ready = [ledger.start(i) for i in range(len(machine.tasks))]
    now = 0
    for i, choice in schedule:
        op = machine.ops[i] if i < len(ready) else None
        if op is None or not machine.enabled(machine.tasks[i].task):
            raise BadSchedule(f"step {machine.steps + 1}: task number {i} cannot make it")
        now = max(now, ready[i])
        ready[i] = now + ledger.step(i, op, now, choice)
    return ledger.events(), ledger.times, max(ready, default=0)
