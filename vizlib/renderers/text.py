"""One step as plain text: for a terminal, for a screen reader, and for tests whose differences a person can read.

Says what the picture shows, by the same marks: each line is what a mark says of itself.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from vizlib.lenses import kinship
from vizlib.lenses.family import FamilyLens
from vizlib.lenses.lock import Hold
from vizlib.lenses.task import STATES
from vizlib.moments import Run
from vizlib.sources import source
from vizlib.stills import COUNTS, Stage, Still, stills
from vizlib.waitfor import busiest, told, wait_graph

if TYPE_CHECKING:
    from sim.trace import Trace

WIDTH = 100


def render(trace: Trace, step: int | None = None) -> str:
    """*trace* after *step*; after the last step if none is given."""
    run = Run(trace)
    at = run.length if step is None else step
    if not 0 <= at <= run.length:
        raise IndexError(f"step {at} is not between 0 and {run.length}")
    stage = Stage(run)
    shot = next(it for it in stills(run, stage, at) if it.moment.step == at)
    return "\n".join(line.rstrip() for line in _lines(shot, stage)) + "\n"


def waits(trace: Trace, step: int | None = None) -> str:
    """Who waits for whom in *trace* after *step*; after the last step if none is given."""
    run = Run(trace)
    at = run.length if step is None else step
    lines = list(told(wait_graph(run.moment(at))))
    if not lines:
        most = busiest(run)
        lines = ["Nobody waits." + ("" if most is None else f" Most threads wait after step {most}.")]
    wrapped = [textwrap.fill(it, WIDTH, initial_indent="  ", subsequent_indent="      ") for it in lines]
    return "\n".join([f"{trace.world} · {trace.variant} · step {at} of {run.length}", "", *wrapped]) + "\n"


def family(trace: Trace, step: int | None = None) -> str:
    """The family of anon_vmas in *trace* after *step*, and the walks in it; after the last step if none is given."""
    run = Run(trace)
    at = run.length if step is None else step
    moment = run.moment(at)
    walks = list(kinship.told(kinship.walks_at(run, at), moment)) or ["Nobody walks."]
    lines = [*walks, "", *(mark.say for mark in FamilyLens(run).marks(moment))]
    wrapped = [textwrap.fill(it, WIDTH, initial_indent="  ", subsequent_indent="      ") for it in lines]
    return "\n".join([f"{trace.world} · {trace.variant} · step {at} of {run.length}", "", *wrapped]) + "\n"


def transcript(trace: Trace) -> str:
    """Every sentence of *trace*, one step a line."""
    run = Run(trace)
    stage = Stage(run)
    return "".join(f"{it.moment.step:5}  {it.sentence}\n" for it in stills(run, stage))


def _lines(shot: Still, stage: Stage) -> Iterator[str]:
    run = stage.run
    trace = run.trace
    yield f"{trace.world} · {trace.variant} · step {shot.moment.step} of {run.length}"
    yield ""
    yield from textwrap.wrap(shot.sentence, WIDTH, initial_indent="  ", subsequent_indent="  ")
    yield from _section("Changed", [f"{what}: {old} ⇒ {new}" for what, old, new, _ in shot.changed] or ["nothing"])
    yield from _section("Threads", list(_threads(shot, run)))
    yield from _section("Who could run next", [f"{task}: {why}" for task, why in shot.next] or ["nobody"])
    yield from _section("Locks, outer to inner", list(_locks(shot)))
    for panel in stage.panels:
        says = [mark.say for mark in shot.marks.values() if mark.panel == panel.id and mark.say]
        if says:
            yield from _section(f"{panel.title}{f' ({panel.note})' if panel.note else ''}", says)
    arrows = [mark.say for mark in shot.marks.values() if mark.panel == "machine" and mark.say]
    if arrows:
        yield from _section("Arrows", arrows)
    yield ""
    yield "Counts so far: " + ", ".join(f"{name} {shot.counts[name]}" for name in COUNTS)


def _section(title: str, lines: list[str]) -> Iterator[str]:
    yield ""
    yield title
    for line in lines:
        yield from textwrap.wrap(line, WIDTH, initial_indent="  ", subsequent_indent="      ") or [""]


def _threads(shot: Still, run: Run) -> Iterator[str]:
    for actor in run.actors:
        it = shot.threads[actor.name]
        if actor.kind == "handler" and it.state == "idle":
            continue
        status = f": {it.status}" if it.status else ""
        yield f"{actor.name} on {actor.cpu_name} — {STATES[it.state]}{status}"
        if it.stack and it.state != "done":
            yield "  in " + " › ".join(frame.function for frame in it.stack[-5:])
            frame = it.stack[-1]
            found = source(frame.function, frame.file, frame.line)
            at = frame.line - found["first"]
            code = found["lines"][at].strip() if 0 <= at < len(found["lines"]) else ""
            yield f"  {frame.file}:{frame.line}  {code}"


def _locks(shot: Still) -> Iterator[str]:
    def names(holds: tuple[Hold, ...]) -> str:
        return ", ".join(f"{it.task}{' (read)' if it.mode else ''}" for it in holds)

    for lock in shot.locks.values():
        holders = f"held by {names(lock.holders)}" if lock.holders else "free"
        waiters = f"; waiting: {names(lock.waiters)}" if lock.waiters else ""
        yield f"{lock.title} — {holders}{waiters}"
