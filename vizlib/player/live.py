"""One step more, made by the kernel for a player that has no world of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sim.engines.stepper import Stepper
from sim.ops import Choose
from sim.trace import Trace
from sim.variants import Variant
from vizlib.film import film as make
from vizlib.moments import Run
from vizlib.scene import Json
from vizlib.stills import Stage

#: How far the run is played on, unseen, so that what comes later has its place from the start.
AHEAD = 2000


def step(film: Mapping[str, Any], variant: Variant | None, schedule: str, task: str, choice: int | None) -> Json:
    """The film of *schedule* and one step of *task* after it, in the world of *film*.

    Raises:
        UserError: if it cannot make that step, naming who could.
    """
    whose = variant or film["variant"]
    stepper = Stepper(film["world"], whose, schedule, **film["params"])
    stepper.step(task, choice or 0)
    start = Stepper(film["world"], whose, **film["params"])
    made = make(stepper.trace, film["title"], stage=stage(stepper, start))
    return {**made, "choices": {str(len(made["steps"])): _choices(stepper)}}


def _choices(stepper: Stepper) -> dict[str, int]:
    """Who stands before a decision, and between how many things."""
    ops = {task: stepper.machine.pending(task) for task in stepper.runnable}
    return {str(task): op.options for task, op in ops.items() if isinstance(op, Choose)}


def stage(*steppers: Stepper) -> Stage:
    """Places for all that these runs of one world show, and would show if everybody now ran to the end.

    Where there is room for a few only, they are the first run's.
    """
    aheads = [_ahead(it.branch()) for it in steppers]
    events = [event for it in aheads for event in it.events]
    return Stage(Run(replace(aheads[0], events=events, violation=None), any_order=True))


def _ahead(stepper: Stepper) -> Trace:
    last = None
    for _ in range(AHEAD):
        ready = stepper.runnable
        if stepper.machine.done or not ready:
            break
        last = last if last in ready else ready[0]
        stepper.step(last)
    return stepper.trace
