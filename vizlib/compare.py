"""Two runs beside each other: before and after, failing and passing.

The film of a comparison holds two films and an axis: for each place on it a place in either.  On the *step* axis the
n-th step of both stands at one place; on the *clock* axis what has happened by the same simulated time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sim.engines.checker import nearest_passing
from sim.engines.search_nearest import Swap
from sim.engines.stepper import replay
from sim.errors import BadParameter, UserError
from vizlib.film import FORMAT, VERSION, film
from vizlib.moments import Moment, Run
from vizlib.names import field_name, listed
from vizlib.scene import Json
from vizlib.stills import Stage

if TYPE_CHECKING:
    from sim.trace import Trace

#: The most swaps that are told one by one.
MOST_SWAPS = 6


def compare(
    one: Trace,
    other: Trace,
    *,
    labels: tuple[str, str] | None = None,
    title: str = "",
    times: tuple[Sequence[float], Sequence[float]] | None = None,
) -> Json:
    """The film of two runs.

    Args:
        one: the run on the left.
        other: the one on the right.
        labels: what they are called; their variants (and, where those are equal, their worlds) if not given.
        title: what stands above both.
        times: for each step of each run the simulated nanoseconds at which it happens; then they share a clock.
    """
    runs = (one, other)
    called = labels or _labels(one, other)
    stage = _common_stage(one, other)
    films = [film(run, label, stage=stage) | {"label": label} for run, label in zip(runs, called, strict=True)]
    lengths = [len(it["steps"]) for it in films]
    axis = _step_axis(lengths) if times is None else _clock_axis(lengths, times)
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": title or f"{called[0]} and {called[1]}",
        "note": "the same step in both" if times is None else "the same simulated time in both",
        "run_name": f"{one.run_name} | {other.run_name}",
        "compare": films,
        "axis": axis,
        "tasks": [],
        "panels": [],
        "start": {"sentence": _both(called, [it["start"] for it in films]), "flags": []},
        "steps": [
            _place(called, films, before, now) for before, now in zip(axis["places"], axis["places"][1:], strict=False)
        ],
    }


def counterexample(trace: Trace, title: str = "") -> Json:
    """A run that goes wrong beside the nearest that does not, with what lies between the two.

    Raises:
        BadParameter: if nothing goes wrong in *trace*, or no order of its steps passes.
    """
    violation = trace.violation
    if violation is None:
        raise BadParameter(f"nothing goes wrong in {trace.run_name}: there is nothing to compare it with")
    turns = tuple((turn.task, turn.choice) for turn in trace.turns)
    found = nearest_passing(trace.world, trace.variant, trace.params, schedule=turns)
    if found is None:
        raise BadParameter(f"no order of the steps of {trace.run_name} passes: its violation is no matter of order")
    passing = replay(found.run_name)
    kind = violation.kind[:1].upper() + violation.kind[1:]
    heading = title or f"{kind}, and the nearest run without it"
    made = compare(trace, passing, labels=("goes wrong", "passes"), title=heading)
    wrong = made["compare"][0]
    run = Run(trace)
    end = run.moment(run.length)
    telling = [it for it in found.swaps if it.fields]
    shown = telling[:MOST_SWAPS]
    wrong["ticks"] = [
        {"step": number, "label": f"step {number} stands the other way round in the run that passes"}
        for it in shown
        for number in (it.earlier, it.later)
    ]
    rest = len(telling) - len(shown)
    return {
        **made,
        "open_at": len(trace.events),
        "why": {
            "sentence": f"{kind}: {violation.sentence}. {_counted(len(found.swaps), len(telling))}",
            "swaps": [_told(it, wrong, end) for it in shown],
            "note": f"{rest} more such pair{'s stand' if rest > 1 else ' stands'} the other way round." if rest else "",
        },
    }


def _counted(swaps: int, telling: int) -> str:
    """How far a run that passes is, in swaps, and how many of them matter."""
    if swaps == 1:
        return "One swap of neighbouring steps leads to a run that passes."
    told = f"{swaps} swaps of neighbouring steps lead to a run that passes, and no fewer do"
    if swaps == telling:
        return f"{told}."
    changes = "changes" if swaps - telling == 1 else "change"
    return f"{told}; {swaps - telling} of them {changes} nothing, because the two steps have nothing in common."


def _told(swap: Swap, wrong: Json, end: Moment) -> Json:
    """A swap in words, and where to look at it."""
    first, then = (wrong["steps"][number - 1]["sentence"].rstrip(".") for number in (swap.earlier, swap.later))
    where = listed(sorted({f"the {field_name(field, end)}" for field in swap.fields}))
    words = (
        f"Goes wrong: first “{first}” (step {swap.earlier}), then “{then}” (step {swap.later}). "
        f"Passes: the other way round. Both touch {where}."
    )
    return {"words": words, "place": swap.earlier}


def _common_stage(one: Trace, other: Trace) -> Stage | None:
    """One stage for both, if they begin in the same world: a thing has one place then."""
    if (one.world, one.params) != (other.world, other.params):
        return None
    events = [*one.events, *other.events]
    return Stage(Run(replace(one, events=events, violation=None), any_order=True))


def _labels(one: Trace, other: Trace) -> tuple[str, str]:
    if one.variant != other.variant:
        return one.variant, other.variant
    if (one.world, one.params) != (other.world, other.params):
        return one.run_name.split()[0], other.run_name.split()[0]
    return "first run", "second run"


def _step_axis(lengths: Sequence[int]) -> Json:
    return {"places": [[min(step, length) for length in lengths] for step in range(max(lengths) + 1)]}


def _clock_axis(lengths: Sequence[int], times: tuple[Sequence[float], Sequence[float]]) -> Json:
    for length, its in zip(lengths, times, strict=True):
        if len(its) < length:
            raise UserError(f"a time is needed for each of {length} steps, and there are {len(its)}")
    stamps = sorted({0.0, *(float(it) for its, length in zip(times, lengths, strict=True) for it in its[:length])})
    places = [[bisect_right(its[:length], at) for its, length in zip(times, lengths, strict=True)] for at in stamps]
    return {"places": places, "at": stamps, "unit": "ns, simulated"}


def _place(called: Sequence[str], films: Sequence[Json], before: Sequence[int], now: Sequence[int]) -> Json:
    """What one place on the axis says: both sentences, and the flags of the steps made on the way."""
    made = [it["steps"][old:new] for it, old, new in zip(films, before, now, strict=True)]
    flags = {flag for steps in made for step in steps for flag in step.get("flags", ())}
    tasks = [[step["task"] for step in steps] for steps in made]
    if tasks[0] != tasks[1]:
        flags.add("differ")
    states = [it["steps"][at - 1] if at else it["start"] for it, at in zip(films, now, strict=True)]
    return {"sentence": _both(called, states), "flags": sorted(flags)}


def _both(called: Sequence[str], states: Sequence[Any]) -> str:
    return " ".join(f"{label}: {state['sentence']}" for label, state in zip(called, states, strict=True))
