"""The lanes at the bottom: per thread what it held, waited for and copied, from the first step to the last.

What a lane shows is said twice over, once for a state (:func:`bars_at`) and once for a step (:func:`strokes_of`);
whoever has only one of the two at a time, as a player that runs a world itself has, can draw lanes from them too.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from sim.ops import CopyPage, Field
from vizlib.kept import Group, Kept
from vizlib.moments import Actor, Moment, Run
from vizlib.names import held_page, lock_name
from vizlib.scene import Json
from vizlib.waiting import why_blocked

#: What lies over what.
KINDS = ("run", "hold", "wait", "copy")


class Bar(NamedTuple):
    """What a lane shows in a state; as long as *kind* and *key* stay, the bar goes on.

    Attributes:
        kind: ``run``, ``hold`` (a lock), ``wait`` or ``copy``.
        label: what is written on it; rank: the lock's, so that inner locks lie over outer ones.
    """

    kind: str
    key: str
    label: str = ""
    rank: int = 0


def bars_at(actor: Actor, moment: Moment) -> Iterator[Bar]:
    """What the lane of *actor* shows at *moment*."""
    if not moment.finished(actor):
        yield Bar("run", "")
    held: list[Field] = [lock for lock, _ in moment.get(actor.task.held)]
    for lock in held:
        if lock.lock is not None:
            yield Bar("hold", repr(lock), lock_name(lock).removeprefix("the "), lock.lock.rank)
    field = None if actor.kind == "spinner" else moment.waits_for(actor)
    if field is not None and field.lock is not None:
        yield Bar("wait", repr(field), f"waits for {lock_name(field, moment).removeprefix('the ')}")
    elif field is not None:
        yield Bar(
            "wait", repr(field), "waits for answers" if field.base == "csd_pending" else why_blocked(actor, moment)
        )


class Strokes(NamedTuple):
    """What the step itself adds to the lanes: a copy, and requests as (from, to) and (taken by).

    Attributes:
        copy: the label of a copy's bar, or "".
        sent: who interrupts whom; taken: whose oldest request was taken.
    """

    copy: str = ""
    sent: tuple[tuple[str, str], ...] = ()
    taken: tuple[str, ...] = ()


def strokes_of(moment: Moment) -> Strokes:
    """What the step that led to *moment* adds."""
    event = moment.event
    if event is None:
        return Strokes()
    copy, sent, taken = "", [], []
    if isinstance(event.op, CopyPage):
        page = held_page(event.op.dst, moment)
        copy = f"copy{f' {page}' if page else ''}"
    requests = [it for it in event.changes if it.field.base == "call_single_queue"]
    by_cpu = {it.cpu: it.name for it in reversed(moment.run.actors) if requests and it.kind != "handler"}
    for change in requests:
        if change.field.ref not in by_cpu:
            continue
        target = by_cpu[change.field.ref]
        sent += [(by_cpu[it.sender], target) for it in change.new[len(change.old) :] if it.sender in by_cpu]
        taken += [target] if len(change.new) < len(change.old) else []
    return Strokes(copy, tuple(sent), tuple(taken))


class Lanes(NamedTuple):
    """What stands in the lanes of a run.

    Attributes:
        bars: where a thread runs (``run``), holds a lock (``hold``), waits (``wait``) and copies (``copy``).
        arrows: interrupts, from who sent them to the thread on whose CPU they were taken.
    """

    bars: list[Json]
    arrows: list[Json]


def lanes(run: Run, most: int) -> Lanes:
    """The lanes of the steps from 0 to *most*."""
    people = [it for it in run.actors if it.kind != "handler"]
    running: dict[str, dict[tuple[str, str], Json]] = {it.name: {} for it in people}
    done: dict[str, list[Json]] = {it.name: [] for it in people}
    arrows: list[Json] = []
    bars = Group(partial(_bars, it) for it in people)
    kept = Kept(bars)
    for moment in run.moments():
        if moment.step > most:
            break
        kept.at(moment)
        for actor, bar in zip(people, bars.answers, strict=True) if bars.fresh else ():
            _go_on(actor, bar, moment.step, running[actor.name], done[actor.name])
        strokes = strokes_of(moment)
        if strokes.copy and moment.actor is not None:
            done[moment.actor.name].append(_bar(moment.actor, Bar("copy", "", strokes.copy), moment.step))
        _fly(strokes, moment.step, arrows)
    for actor in people:
        _go_on(actor, [], min(run.length, most), running[actor.name], done[actor.name])
        done[actor.name].sort(key=lambda it: (KINDS.index(it["kind"]), it["from"], it["rank"]))
    return Lanes([bar for actor in people for bar in done[actor.name]], arrows)


def _bars(actor: Actor, moment: Moment) -> list[Bar]:
    return list(bars_at(actor, moment))


def _go_on(actor: Actor, bars: list[Bar], step: int, running: dict[tuple[str, str], Json], done: list[Json]) -> None:
    """End the bars that are not among *bars*, begin those that are new."""
    now = {(it.kind, it.key): it for it in bars}
    done.extend(running.pop(key) | {"to": step} for key in [it for it in running if it not in now])
    for key, bar in now.items():
        if key not in running:
            running[key] = _bar(actor, bar, step)


def _bar(actor: Actor, bar: Bar, step: int) -> Json:
    return {
        "task": actor.name,
        "from": step,
        "to": step,
        "kind": bar.kind,
        "label": bar.label,
        "colour": actor.colour,
        "rank": bar.rank,
    }


def _fly(strokes: Strokes, step: int, arrows: list[Json]) -> None:
    """Begin the arrows of the requests that were sent, end that of the oldest that was taken."""
    arrows += [
        {"kind": "ipi", "from": it, "to": other, "sent": step, "taken": None, "label": "IPI"}
        for it, other in strokes.sent
    ]
    for target in strokes.taken:
        waiting = next((it for it in arrows if it["to"] == target and it["taken"] is None), None)
        if waiting is not None:
            waiting["taken"] = step
