"""Locks in lock order: who holds each, and who waits for it.

A player writes these as text, so the lens gives data and no marks; :mod:`vizlib.chrome` draws them for a still.
"""

from __future__ import annotations

from typing import NamedTuple

from sim.locks import Rwsem, holders
from sim.ops import SHARED, Acquire, Field, Until
from sim.structs import AnonVma, Mm, Page, PageTable
from vizlib.moments import Moment, Run

#: With more locks than this, page locks and page-table locks are shown only while somebody holds or wants them.
MOST = 6


class Hold(NamedTuple):
    """Somebody who holds a lock or waits for it; *mode* is ``read``, or empty."""

    task: str
    mode: str = ""


class Lock(NamedTuple):
    """One lock at one moment."""

    title: str
    kind: str
    rank: int
    holders: tuple[Hold, ...]
    waiters: tuple[Hold, ...]


class LockLens:
    """The locks that the run takes or tries, in lock order."""

    def __init__(self, run: Run) -> None:
        self.locks = sorted(run.locked, key=lambda it: (it.lock.rank if it.lock else 0, _natural(it)))
        self.fixed = [it for it in self.locks if len(self.locks) <= MOST or not isinstance(it.ref, (Page, PageTable))]

    def rows(self) -> int:
        """How many rows a still keeps for them."""
        return len(self.locks) if len(self.locks) <= MOST else min(MOST, len(self.fixed) + 3)

    def locks_at(self, moment: Moment) -> dict[str, Lock]:
        """The locks to show now, by id, outermost first."""
        found = {}
        for field in self.locks:
            it = lock(field, moment)
            if field in self.fixed or it.holders or it.waiters:
                found[f"lock:{field.ref}.{field.base}"] = it
        return found


def lock(field: Field, moment: Moment) -> Lock:
    """The lock *field* at *moment*."""
    assert field.lock is not None
    value = moment.get(field)
    kind = f"{field.lock.name} · {'sleeps' if field.lock.sleeps else 'spins'}"
    shared = isinstance(value, Rwsem) and value.writer is None
    holding = tuple(Hold(str(task), "read" if shared else "") for task in holders(value))
    return Lock(_title(field), kind, field.lock.rank, holding, tuple(_waiters(field, value, moment)))


def _waiters(field: Field, value: object, moment: Moment) -> list[Hold]:
    """Who waits: the queue of a rwsem; for other locks whoever cannot go on because of it."""
    if isinstance(value, Rwsem):
        return [Hold(str(task), "read" if mode == SHARED else "") for task, mode in value.queue]
    waiting = []
    for actor in moment.run.actors:
        op = moment.pending.get(actor.task)
        wants = (isinstance(op, Acquire) and op.lock is field) or (isinstance(op, Until) and op.field is field)
        if wants and not moment.can_run(actor) and value is not None:
            waiting.append(Hold(actor.name))
    return waiting


def _title(field: Field) -> str:
    match field.ref:
        case Mm():
            return f"{field.base} of {field.ref}"
        case Page():
            return f"page lock of {field.ref}"
        case AnonVma():
            return f"anon_vma lock of {field.ref}"
        case PageTable() if field.base == "ptl":
            return f"page-table lock of {field.ref}"
        case PageTable():
            return f"lock of page table {field.ref}"
    return repr(field)


def _natural(field: Field) -> tuple[int, str, str]:
    return len(field.ref.name), field.ref.name, field.base
