"""A run to look at, for whoever names a world and no schedule.

Everybody takes turns where it can be seen: as soon as one has changed a PTE, sent an interrupt, used the memory, or
cannot go on, the next has its turn; interrupts are taken after the threads had theirs, so that a stale TLB entry can
be watched.  Deterministic.

Where the variant is known to be unsafe in that world, the run is the checker's shortest counterexample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sim import trace as traces
from sim.engines.stepper import Stepper, replay
from sim.errors import BadSchedule
from sim.ops import Acquire, HandleIpi, UserRead, UserWrite
from sim.schedule import parse_params
from sim.variants import find as find_variant
from sim.worlds import World
from sim.worlds import find as find_world

if TYPE_CHECKING:
    from sim.machine import Event
    from sim.trace import Trace

VARIANT = "mutex_v37"
#: The steps that every thread but the first makes before the turns begin: enough to fill its TLB.
WARM_UP = 3
#: Parameters that make a world worth watching, where the checker's are too small for that.
PARAMS: dict[str, dict[str, int]] = {"one_page": {"rounds": 3}}
#: A run that is longer is cut.
MOST_STEPS = 2000


def named(name: str, variant: str | None = None, *, meeting: bool = False) -> Trace:
    """The run that *name* means: a run name, a world (``move_pages?pages=2``), or the file of a saved trace.

    *meeting* is for a run that has no name: see :func:`showcase`.

    Raises:
        UserError: if it means nothing, naming the nearest that does.
    """
    text = name.strip()
    if text.endswith(".json"):
        return traces.load(text)
    world, _, rest = text.partition(" ")
    if not rest:
        return showcase(world, variant, meeting=meeting)
    if variant is not None and variant not in rest.split()[:1]:
        raise BadSchedule(f"'{text}' names a variant already; leave --variant {variant} away")
    if len(text.split()) == 2:
        return showcase(world, rest.strip(), meeting=meeting)
    return replay(text)


def clocked(name: str) -> tuple[Trace, Sequence[int]]:
    """The run that *name* means, as :func:`named` knows it, and for each of its steps when it happens (ns, simulated).

    Where no schedule is named, who goes next is up to the clock.

    Raises:
        UserError: if it means nothing, naming the nearest that does.
    """
    from sim.engines import timed
    from sim.engines.charge import charge
    from sim.engines.costs import DEFAULT

    if len(words := name.split()) > 2 or name.endswith(".json"):
        trace = named(name)
        turns = [(turn.task, turn.choice) for turn in trace.turns]
        return trace, charge(trace.world, trace.variant, turns, costs=DEFAULT, **trace.params)[1]
    world, params = _with_params(words[0] if words else "")
    run = timed.run(world, words[1] if len(words) > 1 else VARIANT, record=True, schedule=True, params=params)
    return replay(run.run_name), run.times


def showcase(name: str, variant: str | None = None, *, meeting: bool = False) -> Trace:
    """A run of a world that has none named: the counterexample if one is known to exist, or a run with turns.

    With *meeting* whoever takes an anon_vma lock lets the others go on too, so that they meet there.
    """
    world, params = _with_params(name)
    how = find_variant(variant or VARIANT)
    if how.verdicts.get(world.name) == "unsafe" and (found := _counterexample(world.name, how.name, params)):
        return found
    stepper = Stepper(world.name, how, "", **params)
    _take_turns(stepper, meeting=meeting)
    return stepper.trace


def _with_params(name: str) -> tuple[World, dict[str, int]]:
    """The world that *name* begins with, and its parameters: those after a question mark, the others small."""
    called, _, query = name.partition("?")
    world = find_world(called)
    return world, world.small({**PARAMS.get(called, {}), **(parse_params(query) if query else {})})


def _counterexample(world: str, variant: str, params: Mapping[str, int]) -> Trace | None:
    from sim.engines.checker import check

    found = check(find_world(world), find_variant(variant), dict(params)).violations
    return replay(found[0].run_name) if found else None


def _take_turns(stepper: Stepper, *, meeting: bool) -> None:
    infos = stepper.setup.tasks
    threads = [it.task for it in infos if not it.daemon]
    turns = [*threads, *(it.task for it in infos if it.daemon)]
    for task in threads[1:]:
        stepper.run(task, WARM_UP)
    at = 0
    while not stepper.machine.done and len(stepper.events) < MOST_STEPS and (ready := stepper.runnable):
        while turns[at % len(turns)] not in ready:
            at += 1
        event = stepper.step(turns[at % len(turns)])
        at += _ends_turn(event) or (meeting and _takes_anon_vma(event))


def _takes_anon_vma(event: Event) -> bool:
    return isinstance(event.op, Acquire) and type(event.op.lock.ref).__name__ == "AnonVma"


def _ends_turn(event: Event) -> bool:
    """Whether others can see what happened: the page table changed, or user code had its way."""
    if isinstance(event.op, (UserRead, UserWrite)):
        return event.answer is not False
    if isinstance(event.op, HandleIpi):
        return True
    return any(change.field.base in ("pte", "call_single_queue") for change in event.changes)
