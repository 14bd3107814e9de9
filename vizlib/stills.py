"""The whole picture after each step of a trace, as data: what every renderer and the film begin with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from sim.ops import Acquire, AddUnless, Choose, CopyPage, Field, HandleIpi, Release, TryAcquire, Until
from vizlib import layout
from vizlib.explain import sentence
from vizlib.kept import Group, Kept
from vizlib.lenses import Lens, Part
from vizlib.lenses.cpu import CpuLens
from vizlib.lenses.family import FamilyLens
from vizlib.lenses.ipi import IpiLens
from vizlib.lenses.key import KeyLens
from vizlib.lenses.lock import Lock, LockLens, lock
from vizlib.lenses.page import PageLens
from vizlib.lenses.pmd import PmdLens
from vizlib.lenses.pte import PteLens
from vizlib.lenses.reverse_map import ReverseMapLens
from vizlib.lenses.task import Thread, thread
from vizlib.moments import Actor, Moment, Run
from vizlib.names import GHOSTS, PTES_PER_TABLE, field_name, value, vpn_of
from vizlib.scene import Mark, Panel, scene
from vizlib.waitfor import edges_at
from vizlib.waiting import intent, why_blocked

#: The most steps of a film; a longer trace is cut, and the film says so.
MOST_STEPS = 2000

#: The lenses of the machine, from top to bottom.
LENSES = (CpuLens, IpiLens, PmdLens, PteLens, PageLens, ReverseMapLens, KeyLens)

#: Fields whose change others see, beside locks.
SEEN = ("pte", "call_single_queue", "data", "rb_root", "vm_start", "vm_pgoff")

#: What is counted, and how many of it a step is.
COUNTS = ("locks", "flushes", "interrupts", "copies")


@dataclass(frozen=True)
class Still:
    """The whole picture after one step, as data.

    Attributes:
        marks: the machine.
        threads: each task's state and stack; locks: each lock's holders and waiters.
        changed: the fields that the step changed, as (what, from, to, mark).
        family: the family of anon_vmas, in its own plane.
        waits: who waits for whom: by task or lock, what it waits for or who holds it, and in which words.
        next: (task, what it would do); blocked: (task, why not); done: who has finished.
    """

    moment: Moment
    marks: Mapping[str, Mark]
    family: Mapping[str, Mark]
    waits: Mapping[str, tuple[tuple[str, str], ...]]
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
        self.lenses: list[Lens] = [lens(run, self.places) for lens in LENSES]
        self.locks = LockLens(run)
        self.family = FamilyLens(run)

    @property
    def panels(self) -> tuple[Panel, ...]:
        """The panels of the machine, in its plane."""
        return tuple(self.places.panels.values())

    def marks_of(self, culprits: Iterable[Any], memory: Mapping[Any, Any]) -> list[str]:
        """The marks that show the objects at fault: themselves, and the PTEs that name them."""
        found = [name for it in culprits for name in (f"page:{it}", f"rm:page:{it}", f"rm:{it}", f"cpu:{it}")]
        faulty = set(culprits)
        for field, now in memory.items():
            slot: Any = self.run.tables.get(field.ref) if field.base == "pte" else None
            if slot is not None and getattr(now, "page", None) in faulty:
                found.append(f"pte:{slot.ref}:{slot.key * PTES_PER_TABLE + field.key}")
        return [name for name in found if name in self.places.boxes]


def stills(run: Run, stage: Stage, last: int = MOST_STEPS) -> Iterator[Still]:
    """The picture after each step, from 0 to *last*."""
    counts = dict.fromkeys(COUNTS, 0)
    before: Still | None = None
    machine = _Drawn(part for lens in stage.lenses for part in lens.parts())
    family = _Drawn(stage.family.parts())
    people = Group(partial(_person, it) for it in run.actors)
    locks = Group(partial(_lock, it) for it in stage.locks.locks)
    waits = Group([_waits])
    kept = Kept(machine.parts, family.parts, people, locks, waits)
    for moment in run.moments():
        if moment.step > last:
            return
        kept.at(moment)
        counts = count(moment, counts)
        its = list(zip(run.actors, people.answers, strict=True))
        held = dict(locks.answers)
        before = Still(
            moment,
            machine.marks(),
            family.marks(),
            waits.answers[0],
            {actor.name: it.thread for actor, it in its},
            {name: held[it] for name, it in stage.locks.shown_at(moment.step).items()},
            sentence(moment),
            tuple(changes_at(moment, stage)),
            tuple((actor.name, it.next) for actor, it in its if it.next),
            tuple((actor.name, it.blocked) for actor, it in its if it.blocked),
            tuple(actor.name for actor, it in its if it.done),
            counts,
            tuple(_flags(moment, before)),
        )
        yield before


class _Drawn:
    """The marks of parts of a picture; as long as none has changed they are the same object."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self.parts = Group(partial(_marks, it) for it in parts)
        self._shown: Mapping[str, Mark] = {}

    def marks(self) -> Mapping[str, Mark]:
        if self.parts.fresh:
            self._shown = scene((), chain.from_iterable(self.parts.answers)).marks
        return self._shown


def _marks(part: Part, moment: Moment) -> tuple[Mark, ...]:
    return tuple(part(moment))


class _Person(NamedTuple):
    """What is said of one task after a step."""

    thread: Thread
    next: str
    blocked: str
    done: bool


def _person(actor: Actor, moment: Moment) -> _Person:
    words = intent(actor, moment) if moment.can_run(actor) else ""
    blocked = next((why for _, why in blocked_at(moment, [actor])), "")
    return _Person(thread(actor, moment), words, blocked, moment.finished(actor))


def _lock(field: Field, moment: Moment) -> tuple[Field, Lock]:
    return field, lock(field, moment)


def _waits(moment: Moment) -> Mapping[str, tuple[tuple[str, str], ...]]:
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for source, target, words in edges_at(moment):
        found[source] = (*found.get(source, ()), (target, words))
    return found


def blocked_at(moment: Moment, actors: Iterable[Actor]) -> Iterator[tuple[str, str]]:
    """Those of *actors* that are stuck, each with the reason."""
    for actor in actors:
        stuck = not moment.can_run(actor) and not moment.finished(actor) and not moment.stopped(actor)
        if actor.kind == "thread" and stuck:
            yield actor.name, why_blocked(actor, moment)


def count(moment: Moment, counts: dict[str, int]) -> dict[str, int]:
    """*counts* after the step that led to *moment*."""
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


def changes_at(moment: Moment, stage: Stage) -> Iterator[tuple[str, str, str, str]]:
    """The fields that the step changed, as (what, from, to, mark)."""
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


def flags_of(moment: Moment) -> Iterator[str]:
    """What kind of step led to *moment*, as far as the step itself says."""
    event = moment.event
    if event is None:
        return
    if isinstance(event.op, (Acquire, TryAcquire, Release)) or (
        isinstance(event.op, Until) and event.op.field.lock is not None
    ):
        yield "lock"
    if any(it.base == "pte" for it in moment.changed):
        yield "pte"
    if event.outcome == "bug":
        yield "bug"
    if isinstance(event.op, Choose):
        yield "choice"
    if not isinstance(event.op, AddUnless) and any(it.base in SEEN or it.lock is not None for it in moment.changed):
        yield "seen"


def _flags(moment: Moment, before: Still | None) -> Iterator[str]:
    """What kind of step it was: those of :func:`flags_of`, ``preempt`` and ``decision``."""
    flags = list(flags_of(moment))
    yield from (it for it in flags if it != "seen")
    event = moment.event
    if event is not None and before is not None:
        last = before.moment.event
        if last is not None and last.task is not event.task and str(last.task) in before.moment.runnable:
            yield "preempt"
    if is_decision(moment, before, seen="seen" in flags):
        yield "decision"


def is_decision(moment: Moment, before: Still | None, *, seen: bool) -> bool:
    """Whether somebody who chooses the next task should stop here.

    Two can run, and who can has changed, or the step was one that others see: a lock, a PTE, an interrupt, a copy.
    """
    if len(moment.runnable) < 2:
        return False
    if before is None or before.moment.event is None or moment.runnable != before.moment.runnable:
        return True
    return seen


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
