"""A trace becomes a film: one scene, the differences after it, a sentence a step, and who could have run instead.

The film is JSON and holds everything that a player needs, so that a saved trace, a live run and an offline page show
the same.  It is kept small by omission: a value that is its default, or as it was the step before, is left out, and
texts and source files are kept once.  :func:`stills` gives the same as whole scenes, for renderers without a player.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sim.ops import Acquire, AddUnless, Choose, CopyPage, HandleIpi, Release, TryAcquire, Until
from sim.worlds import WORLDS
from vizlib import layout
from vizlib.explain import sentence
from vizlib.lanes import arrows, lanes
from vizlib.lenses.cpu import CpuLens
from vizlib.lenses.ipi import IpiLens
from vizlib.lenses.key import KeyLens
from vizlib.lenses.lock import Lock, LockLens
from vizlib.lenses.page import PageLens, copied
from vizlib.lenses.pte import PteLens, pages_in_play
from vizlib.lenses.reverse_map import ReverseMapLens
from vizlib.lenses.task import Thread, threads
from vizlib.moments import Moment, Run
from vizlib.names import GHOSTS, field_name, page_name, value, vpn_of
from vizlib.scene import Json, Mark, Panel, difference, panel_to_json, scene
from vizlib.sources import Sources
from vizlib.waiting import intent, why_blocked

if TYPE_CHECKING:
    from sim.trace import Trace

FORMAT, VERSION = "rmapwalk-film", 1
#: The most steps of a film; a longer trace is cut, and the film says so.
MOST_STEPS = 2000

#: The lenses of the machine, from top to bottom.
LENSES = (CpuLens, IpiLens, PteLens, PageLens, ReverseMapLens, KeyLens)

#: What is counted, and how many of it a step is.
COUNTS = ("locks", "flushes", "interrupts", "copies")


@dataclass(frozen=True)
class Still:
    """The whole picture after one step, as data.

    Attributes:
        marks: the machine.
        threads: each task's state and stack; locks: each lock's holders and waiters.
        changed: the fields that the step changed, as (what, from, to, mark).
        next: (task, what it would do); blocked: (task, why not); done: who has finished.
    """

    moment: Moment
    marks: Mapping[str, Mark]
    threads: Mapping[str, Thread]
    locks: Mapping[str, Lock]
    sentence: str
    changed: tuple[tuple[str, str, str, str], ...]
    next: tuple[tuple[str, str], ...]
    blocked: tuple[tuple[str, str], ...]
    done: tuple[str, ...]
    counts: Mapping[str, int]
    flags: tuple[str, ...]


class Stage:
    """The lenses of a run with their places, and the panels that they stand in."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.places = layout.Places()
        self.lenses = [lens(run, self.places) for lens in LENSES]
        self.locks = LockLens(run)

    @property
    def panels(self) -> tuple[Panel, ...]:
        """The panels of the machine, in its plane."""
        return tuple(self.places.panels.values())

    def marks(self, moment: Moment) -> dict[str, Mark]:
        """The machine after a step."""
        found = scene(self.panels, (mark for lens in self.lenses for mark in lens.marks(moment)))
        return dict(found.marks)


def stills(run: Run, stage: Stage, last: int = MOST_STEPS) -> Iterator[Still]:
    """The picture after each step, from 0 to *last*."""
    counts = dict.fromkeys(COUNTS, 0)
    before: Still | None = None
    for moment in run.moments():
        if moment.step > last:
            return
        counts = _count(moment, counts)
        could = tuple((it.name, intent(it, moment)) for it in run.actors if moment.can_run(it))
        before = Still(
            moment,
            stage.marks(moment),
            {actor.name: it for actor, it in threads(moment)},
            stage.locks.locks_at(moment),
            sentence(moment),
            tuple(_changes(moment, stage)),
            could,
            tuple(_blocked(moment)),
            tuple(it.name for it in run.actors if moment.finished(it)),
            counts,
            tuple(_flags(moment, before)),
        )
        yield before


def _blocked(moment: Moment) -> Iterator[tuple[str, str]]:
    for actor in moment.run.actors:
        stuck = not moment.can_run(actor) and not moment.finished(actor) and not moment.stopped(actor)
        if actor.kind == "thread" and stuck:
            yield actor.name, why_blocked(actor, moment)


def _count(moment: Moment, counts: dict[str, int]) -> dict[str, int]:
    event = moment.event
    if event is None:
        return counts
    more = dict.fromkeys(COUNTS, 0)
    match event.op:
        case Acquire(lock, _) if event.outcome == "done" and type(lock.ref).__name__ == "AnonVma":
            more["locks"] = 1
        case TryAcquire(lock, _) if event.answer and type(lock.ref).__name__ == "AnonVma":
            more["locks"] = 1
        case CopyPage():
            more["copies"] = 1
        case HandleIpi():
            more["interrupts"] = 1
    more["flushes"] = event.points.count("tlb_flush")
    return {name: counts[name] + more[name] for name in COUNTS} if any(more.values()) else counts


def _changes(moment: Moment, stage: Stage) -> Iterator[tuple[str, str, str, str]]:
    for it, old in moment.changed.items():
        if it.base in GHOSTS:
            continue
        yield field_name(it, moment), value(it, old), value(it, moment.get(it)), _mark_of(it, moment, stage)


def _mark_of(it: Any, moment: Moment, stage: Stage) -> str:
    """The mark that shows a field, or "" if none does."""
    boxes = stage.places.boxes
    if it.lock is not None:
        return stage.locks.id_of(it, moment.step)
    if it.base == "pte":
        slot = moment.run.tables.get(it.ref)
        wanted = f"pte:{slot.ref}:{vpn_of(it, moment)}" if slot is not None else ""
    elif it.base == "tlb":
        return f"tlb:{it.ref}:{it.key[0]}:{it.key[1]}"
    else:
        wanted = next((name for name in (f"page:{it.ref}", f"cpu:{it.ref}", f"rm:{it.ref}") if name in boxes), "")
    return wanted if wanted in boxes else ""


def _flags(moment: Moment, before: Still | None) -> Iterator[str]:
    event = moment.event
    if event is not None and before is not None:
        if isinstance(event.op, (Acquire, TryAcquire, Release)) or (
            isinstance(event.op, Until) and event.op.field.lock is not None
        ):
            yield "lock"
        if any(it.base == "pte" for it in moment.changed):
            yield "pte"
        last = before.moment.event
        if last is not None and last.task is not event.task and str(last.task) in before.moment.runnable:
            yield "preempt"
        if event.outcome == "bug":
            yield "bug"
        if isinstance(event.op, Choose):
            yield "choice"
    if is_decision(moment, before):
        yield "decision"


def is_decision(moment: Moment, before: Still | None) -> bool:
    """Whether somebody who chooses the next task should stop here.

    Two can run, and who can has changed, or the step was one that others see: a lock, a PTE, an interrupt, a copy.
    """
    if len(moment.runnable) < 2:
        return False
    if before is None or before.moment.event is None:
        return True
    event = moment.event
    if event is None or moment.runnable != before.moment.runnable:
        return True
    if isinstance(event.op, AddUnless):
        return False
    seen_by_others = ("pte", "call_single_queue", "data", "rb_root", "vm_start", "vm_pgoff")
    return any(it.base in seen_by_others or it.lock is not None for it in moment.changed)


# --- the film ------------------------------------------------------------------------------------------------------


def film(trace: Trace, title: str = "", open_at: int | None = None) -> Json:
    """The film of *trace*; a player opens it at step *open_at*, or where the first decision is."""
    run = Run(trace)
    stage = Stage(run)
    sources = Sources()
    shots = list(stills(run, stage))
    first, *rest = shots
    world = WORLDS.get(trace.world)
    steps = [_step(before, shot, sources) for before, shot in zip(shots, rest, strict=False)]
    moved = copied(run)
    focus = sorted(pages_in_play(run), key=lambda it: it[1] not in moved)[:1]
    violation = trace.violation
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": title or (world.title.rstrip(".") if world else trace.world),
        "run_name": trace.run_name,
        "world": trace.world,
        "variant": trace.variant,
        "variant_title": trace.variant_title,
        "params": dict(trace.params),
        "cut": run.length - len(steps),
        **({} if open_at is None else {"open_at": open_at}),
        "stage": {"w": layout.PLANE, "h": round(stage.places.bottom, 1)},
        "panels": [
            *(panel_to_json(it) for it in still_panels(run, stage)),
            *(panel_to_json(it) for it in stage.panels),
        ],
        "tasks": [
            {
                "id": it.name,
                "letter": it.letter,
                "cpu": int(re.sub(r"\D", "", str(it.cpu)) or 0),
                "colour": it.colour,
                "kind": it.kind,
                "title": it.title,
            }
            for it in run.actors
        ],
        "first": {name: sources.mark(mark) for name, mark in first.marks.items()},
        "start": {
            "sentence": first.sentence,
            "next": _pairs(first.next),
            "blocked": _pairs(first.blocked),
            "done": list(first.done),
            "counts": dict(first.counts),
            "flags": list(first.flags),
            "threads": {name: _thread(it, sources) for name, it in first.threads.items()},
            "locks": {name: _lock(it) for name, it in first.locks.items()},
        },
        "steps": steps,
        "lanes": lanes(run, MOST_STEPS),
        "arrows": arrows(run, MOST_STEPS),
        "focus": [f"pte:{mm}:{vpn}" for mm, vpn in focus] + [f"token:{mm}:{vpn}" for mm, vpn in focus],
        "focus_label": page_name(focus[0][1]) if focus else "",
        "violation": None
        if violation is None
        else {"step": run.length, "kind": violation.kind, "sentence": violation.sentence},
        "sources": sources.functions,
        "texts": sources.texts,
    }


def to_text(it: Json) -> str:
    """The film as JSON text, the same bytes every time."""
    return json.dumps(it, ensure_ascii=False, separators=(",", ":"))


def still_panels(run: Run, stage: Stage) -> tuple[Panel, ...]:
    """Where a still has its columns."""
    threads_shown = [it for it in run.actors if it.kind != "handler"]
    lanes_shown = min(len(threads_shown), layout.MOST_LANES)
    return layout.stage(
        layout.threads_height(len(threads_shown)),
        stage.places.bottom,
        layout.locks_height(stage.locks.rows()),
        lanes_shown,
    )


def _step(before: Still, shot: Still, sources: Sources) -> Json:
    """What the player has to know about one step: the differences to the step before."""
    event = shot.moment.event
    assert event is not None
    step: Json = {"task": str(event.task), "sentence": shot.sentence}
    if event.outcome != "done":
        step["outcome"] = event.outcome
    if event.choice is not None:
        step["choice"] = event.choice
    if shot.changed:
        step["changed"] = [
            {"what": what, "from": old, "to": new, **({"mark": mark} if mark else {})}
            for what, old, new, mark in shot.changed
        ]
    marks = difference(before.marks, shot.marks)
    if marks:
        step["marks"] = {
            name: None if change is None else sources.interned(change, shot.marks[name])
            for name, change in marks.items()
        }
    for key, old_pairs, pairs in (("next", before.next, shot.next), ("blocked", before.blocked, shot.blocked)):
        if old_pairs != pairs:
            step[key] = _difference(dict(old_pairs), dict(pairs))
    if before.done != shot.done:
        step["done"] = list(shot.done)
    counts = {name: number for name, number in shot.counts.items() if number != before.counts[name]}
    if counts:
        step["counts"] = counts
    if shot.flags:
        step["flags"] = list(shot.flags)
    step |= _people(before, shot, sources)
    return step


def _people(before: Still, shot: Still, sources: Sources) -> Json:
    """What changed for threads and locks."""
    step: Json = {}
    threads_changed = {
        name: _partial(_thread(before.threads[name], sources), _thread(it, sources))
        for name, it in shot.threads.items()
        if it != before.threads[name]
    }
    if threads_changed:
        step["threads"] = threads_changed
    locks_changed: Json = {name: None for name in before.locks if name not in shot.locks}
    for name, lock in shot.locks.items():
        if name not in before.locks:
            locks_changed[name] = _lock(lock)
        elif lock != before.locks[name]:
            locks_changed[name] = _partial(_lock(before.locks[name]), _lock(lock))
    if locks_changed:
        step["locks"] = locks_changed
    return step


def _partial(old: Json, new: Json) -> Json:
    return {key: it for key, it in new.items() if old.get(key) != it}


def _difference(old: Mapping[str, str], new: Mapping[str, str]) -> Json:
    """What turns *old* into *new*; None for a task that is no longer there.  Their order is that of the tasks."""
    gone: Json = {task: None for task in old if task not in new}
    return gone | {task: why for task, why in new.items() if old.get(task) != why}


def _pairs(pairs: tuple[tuple[str, str], ...]) -> list[Json]:
    return [{"task": task, "why": why} for task, why in pairs]


def _thread(it: Thread, sources: Sources) -> Json:
    return {"state": it.state, "status": it.status, "stack": sources.stack(it.stack), "user": it.user}


def _lock(it: Lock) -> Json:
    data = it._asdict()
    return {
        **data,
        "holders": [dict(h._asdict()) for h in it.holders],
        "waiters": [dict(h._asdict()) for h in it.waiters],
    }
