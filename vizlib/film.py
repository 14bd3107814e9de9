"""A trace becomes a film: one scene, the differences after it, a sentence a step, and who could have run instead.

The film is JSON and holds everything that a player needs, so that a saved trace, a live run and an offline page show
the same.  It is kept small by omission: a value that is its default, or as it was the step before, is left out, and
texts and source files are kept once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sim.engines.ledger import collector_paused
from sim.worlds import WORLDS
from vizlib import layout
from vizlib.lanes import lanes
from vizlib.lenses.kinship import stop_json
from vizlib.lenses.lock import in_order, lock_id, lock_json
from vizlib.lenses.lock import lock as lock_at
from vizlib.lenses.page import copied
from vizlib.lenses.pte import pages_in_play
from vizlib.lenses.task import Thread
from vizlib.moments import Run
from vizlib.names import field_name, lock_name, page_name
from vizlib.playable import explored, playable
from vizlib.scene import Json, difference, panel_to_json
from vizlib.sources import Sources
from vizlib.stills import MOST_STEPS, Stage, Still, still_panels, stills

if TYPE_CHECKING:
    from sim.trace import Trace

FORMAT, VERSION = "rmapwalk-film", 1
#: So many locks all have a place in the wait-for graph, whether anybody waits for them or not.
FEW_LOCKS = 8


@collector_paused()
def film(
    trace: Trace, title: str = "", open_at: int | None = None, *, hands: bool = False, stage: Stage | None = None
) -> Json:
    """The film of *trace*; a player opens it at step *open_at*, or where the first decision is.

    A *stage* is given to show it at the places of another run of the same world.  With *hands* the world travels along
    (:mod:`vizlib.playable`), so that the reader can take over at any step, and needs no kernel for it.

    Raises:
        BadParameter: if the world is too large for that.
    """
    run = Run(trace)
    whole = explored(trace.world, trace.variant, tuple(trace.params.items())) if hands else None
    stage = stage or (Stage(run) if whole is None else whole.stage)
    sources = Sources()
    shots = list(stills(run, stage))
    first, *rest = shots
    world = WORLDS.get(trace.world)
    steps = [_step(before, shot, sources) for before, shot in zip(shots, rest, strict=False)]
    scope = stage.run
    moved = copied(scope)
    focus = sorted(pages_in_play(scope), key=lambda it: it[1] not in moved)[:1]
    violation = trace.violation
    both = lanes(run, MOST_STEPS)
    world_alive = {} if whole is None else {"hands": playable(whole, sources)}
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
            "locks": {name: lock_json(it) for name, it in first.locks.items()},
            "waits": dict(first.waits),
        },
        "family": {
            "panel": panel_to_json(stage.family.panel),
            "first": {name: sources.mark(mark) for name, mark in first.family.items()},
        },
        "waited_for": _waited_for(run, shots, everything=hands),
        "steps": steps,
        "lanes": both.bars,
        "arrows": both.arrows,
        "focus": [f"pte:{mm}:{vpn}" for mm, vpn in focus] + [f"token:{mm}:{vpn}" for mm, vpn in focus],
        "focus_label": page_name(focus[0][1]) if focus else "",
        "violation": None
        if violation is None
        else {
            "step": run.length,
            "kind": violation.kind,
            "sentence": violation.sentence,
            "marks": stage.marks_of(violation.culprits, run.trace.memory_at(run.length)),
        },
        **world_alive,
        "sources": sources.functions,
        "texts": sources.texts,
    }


def to_text(it: Json) -> str:
    """The film as JSON text, the same bytes every time."""
    return json.dumps(it, ensure_ascii=False, separators=(",", ":"))


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
    step |= _pictures(before, shot, sources)
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


def _pictures(before: Still, shot: Still, sources: Sources) -> Json:
    """What changed in the machine, the family and the wait-for graph."""
    step: Json = {}
    for key, old, new in (("marks", before.marks, shot.marks), ("family", before.family, shot.family)):
        marks = {} if old is new else difference(old, new)
        if marks:
            step[key] = {
                name: None if change is None else sources.interned(change, new[name]) for name, change in marks.items()
            }
    if before.waits != shot.waits:
        step["waits"] = _difference(before.waits, shot.waits)
    stop = stop_json(shot.moment)
    if stop:
        step["walk"] = stop
    return step


def _waited_for(run: Run, shots: list[Still], *, everything: bool) -> Json:
    """What is ever waited for beside tasks, in lock order; *everything* that could be, where the reader may go on."""
    ever = {target for shot in shots for its in shot.waits.values() for target, _ in its}
    last = shots[-1].moment
    found: Json = {}
    everything = everything or len(run.locked) <= FEW_LOCKS
    for field in in_order(run.locked):
        if everything or lock_id(field) in ever:
            it = lock_at(field, last, waiting=False)
            found[lock_id(field)] = {"title": it.title, "kind": it.kind, "said": lock_name(field)}
    others = sorted(run.awaited if everything else ever & run.awaited.keys())
    names = {it: field_name(run.awaited[it], last) for it in others}
    return found | {it: {"title": name, "kind": "", "said": f"the {name}"} for it, name in names.items()}


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
            locks_changed[name] = lock_json(lock)
        elif lock != before.locks[name]:
            locks_changed[name] = _partial(lock_json(before.locks[name]), lock_json(lock))
    if locks_changed:
        step["locks"] = locks_changed
    return step


def _partial(old: Json, new: Json) -> Json:
    return {key: it for key, it in new.items() if old.get(key) != it}


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> Json:
    """What turns *old* into *new*: whole values, None for what is gone; the order is that of the tasks."""
    gone: Json = {name: None for name in old if name not in new}
    return gone | {name: it for name, it in new.items() if old.get(name) != it}


def _pairs(pairs: tuple[tuple[str, str], ...]) -> list[Json]:
    return [{"task": task, "why": why} for task, why in pairs]


def _thread(it: Thread, sources: Sources) -> Json:
    return {"state": it.state, "status": it.status, "stack": sources.stack(it.stack), "user": it.user}
