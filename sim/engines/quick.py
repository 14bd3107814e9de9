"""Answers that come at once: from runs with few pages, where that was checked, and from memory.

With costs that no seed varies, what a page costs a thread is soon the same for every page: time and counts are affine
in the number of pages, and of 2 MiB ranges.  That is not assumed: three short runs must lie on one line, in every
number that is told, before it is prolonged; the result says that it was.  Where they do not, longer ones are tried.

Where many threads move many pages the shorter runs, and the whole one, are replayed from a tape
(:mod:`sim.engines.replay`), if that agrees with a run; the result says so, too.

With many threads that share a lock the order in which they come wanders a little for ever.  Then a line is prolonged
that the short runs keep to within a few per cent, for much longer runs only, and the result says within how many.
Where that was done along pages, three runs make a line along ranges, and both errors are added.  In the end there is
the run itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final

from sim.engines import replay, timed
from sim.engines.costs import Costs
from sim.engines.identity import identity, remembered
from sim.engines.tape import SOME
from sim.engines.timed_run import Tally, TimedRun
from sim.errors import BadParameter, Untaped
from sim.variants import Variant
from sim.variants import find as find_variant
from sim.worlds import World
from sim.worlds import find as find_world

#: Numbers of pages that are tried, three at a time: equally far apart.
TRIALS: Final[tuple[tuple[int, ...], ...]] = ((1, 2, 3), (4, 6, 8), (12, 16, 20), (16, 24, 32))

#: What is prolonged, the first that can be.
AXES: Final = ("ranges", "pages")

#: Where nothing is exact: from which runs a line is made, as soon as those of a trial among them are there; how many
#: times as many pages as the longest of them it must be for, to be worth it; and how far its parts may be from it.
LOOSE_TRIAL: Final = (4, 6, 8, 16)
WORTH: Final = 5
LOOSE: Final = 0.05

#: From how many pages of all threads on a tape is worth making.
TAPED: Final = 4096

#: Results that are remembered.
REMEMBERED: Final = 512

_results: OrderedDict[tuple[Any, ...], TimedRun] = OrderedDict()


def quick(
    world: str | World,
    variant: str | Variant = "mutex_v37",
    *,
    policy: str = "handoff",
    seed: int = 0,
    costs: Costs = timed.COSTS,
    progress: Callable[..., None] | None = None,
    params: Mapping[str, int] | None = None,
    **more: int,
) -> TimedRun:
    """What :func:`sim.engines.timed.run` says, as soon as it can be said: remembered, extrapolated, or run.

    A result is remembered for its world, variant, parameters, costs, policy and seed.  One that was extrapolated says
    so (``extrapolated``), and so does one from a tape (``taped``); neither has a schedule.  With a seed there is
    neither: then no two pages cost the same.

    Raises:
        UserError: as the engine.
    """
    it = find_world(world) if isinstance(world, str) else world
    how = find_variant(variant) if isinstance(variant, str) else variant
    values = it.values({**(params or {}), **more})

    options: dict[str, Any] = {"policy": policy, "costs": costs}

    def made(its: Mapping[str, int], taped: bool) -> TimedRun:
        if taped and its["pages"] >= SOME:
            with suppress(Untaped):
                return replay.replay(it, how, progress=progress, params=its, **options)
        return timed.run(it, how, seed=seed, progress=progress, params=its, **options)

    def answer() -> TimedRun:
        taped = _worth_a_tape(values) and not seed and replay.can(it, how, params=values, **options)

        def run(its: Mapping[str, int]) -> TimedRun:
            return remembered(_results, (*asked, tuple(its.items())), REMEMBERED, lambda: made(its, taped))

        return run(values) if seed else _answer(it, values, run, SOME if taped else 0)

    asked = (identity(it), identity(how), costs, policy, seed)
    return remembered(_results, (*asked, tuple(values.items()), "quick"), REMEMBERED, answer)


def _worth_a_tape(values: Mapping[str, int]) -> bool:
    return values.get("ranges", 1) == 1 and values.get("threads", 0) * values.get("pages", 0) >= TAPED


def forget() -> None:
    """Forget every result."""
    _results.clear()


# --- prolonging a line -----------------------------------------------------------------------------------


def _answer(
    world: World, values: Mapping[str, int], run: Callable[[Mapping[str, int]], TimedRun], least: int = 0
) -> TimedRun:
    """The run with *values*, computed from shorter ones if that can be done, along one parameter after the other.

    Of a parameter those are with *least* or more.
    """
    for axis in AXES:
        if axis in world.params and values[axis] <= (world.params[axis].even or world.params[axis].high):

            def shorter(number: int, axis: str = axis) -> TimedRun:
                return _answer(world, {**values, axis: number}, run, least)

            found = _along(axis, max(least, world.params[axis].low), values, shorter)
            if found is not None:
                return found
    return run(values)


def _along(axis: str, low: int, values: Mapping[str, int], run: Callable[[int], TimedRun]) -> TimedRun | None:
    """The run with ``values[axis]`` pages (or ranges), from runs with fewer; None if that cannot be done."""
    whole = values[axis]
    for trial in TRIALS:
        if trial[-1] * 2 > whole or trial[0] < low:
            continue
        try:
            runs = [run(it) for it in trial]
        except BadParameter:  # the world allows none so short
            continue
        if any(it.violation is not None for it in runs):
            return None
        lines = [_numbers(it) for it in runs]
        within = max(it.within for it in runs)
        if all(lines[0].keys() == it.keys() for it in lines):
            found = _prolonged(lines, Fraction(whole - trial[-1], trial[1] - trial[0]))
            if found is not None:
                return _result(runs[-1], {**values}, found, within)
        loose: tuple[int, ...] = ()
        if within:  # what was rounded on one line lies on no other exactly, however long the runs
            loose = trial
        elif trial == LOOSE_TRIAL[:3] and whole >= WORTH * LOOSE_TRIAL[-1]:
            loose = LOOSE_TRIAL
        loosely = _loosely({it: run(it) for it in loose}, whole) if loose else None
        if loosely is not None:
            return _result(run(loose[-1]), {**values}, loosely[0], within + loosely[1])
    return None


def _loosely(runs: Mapping[int, TimedRun], whole: int) -> tuple[dict[Any, int], float] | None:
    """The numbers at *whole* on the line from the first of *runs* to the last, and how far the others are from it.

    That is the largest relative difference between the slope of a part and that of the whole line; None if it is more
    than :data:`LOOSE` in any number.
    """
    lines = {number: _numbers(it) for number, it in runs.items()}
    numbers = list(lines)
    first, last = lines[numbers[0]], lines[numbers[-1]]
    if any(it.keys() != last.keys() for it in lines.values()):
        return None
    found, within = {}, 0.0
    for name, end in last.items():
        slope = Fraction(end - first[name], numbers[-1] - numbers[0])
        for before, after in pairwise(numbers):
            part = Fraction(lines[after][name] - lines[before][name], after - before)
            if part != slope:
                within = max(within, float(abs(part - slope) / abs(slope)) if slope else 1.0)
        found[name] = round(end + slope * (whole - numbers[-1]))
    return (found, within) if within <= LOOSE else None


def _numbers(run: TimedRun) -> dict[Any, int]:
    """Everything that has to lie on a line."""
    found: dict[Any, int] = {"elapsed_ns": run.elapsed_ns, "pages_migrated": run.pages_migrated}
    found |= {"steps": run.steps, **run.counts}
    for site, tally in run.sites.items():
        found[site, "count"] = tally.count
    return found


def _prolonged(lines: list[dict[Any, int]], steps: Fraction) -> dict[Any, int] | None:
    """The numbers *steps* steps beyond the last of three, or None if they are not on a line or not whole there."""
    first, second, third = lines
    found = {}
    for name, last in third.items():
        slope = last - second[name]
        value = last + steps * slope
        if second[name] - first[name] != slope or value.denominator != 1:
            return None
        found[name] = int(value)
    return found


def _result(longest: TimedRun, params: dict[str, int], numbers: Mapping[Any, int], within: float = 0.0) -> TimedRun:
    counts = {name: numbers[name] for name in longest.counts}
    sites = {
        site: Tally(numbers[site, "count"], round(tally.mean * numbers[site, "count"]), tally.most)
        for site, tally in longest.sites.items()
    }
    return TimedRun(
        longest.world,
        longest.variant,
        params,
        longest.policy,
        longest.seed,
        numbers["pages_migrated"],
        numbers["elapsed_ns"],
        counts,
        sites,
        steps=numbers["steps"],
        extrapolated=True,
        within=within,
        taped=longest.taped,
    )


def curve(
    world: str | World, variant: str | Variant, threads: Iterable[int], **options: Any
) -> list[tuple[int, TimedRun]]:
    """Runs for several numbers of threads, as quickly as they can be had: what a slider or a chart shows."""
    return [(number, quick(world, variant, threads=number, **options)) for number in threads]
