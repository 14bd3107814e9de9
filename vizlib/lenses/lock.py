"""Locks in lock order: who holds each, and who waits for it.

A player writes these as text, so the lens gives data and no marks; :mod:`vizlib.chrome` draws them for a still.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from sim.locks import Rwsem, holders
from sim.ops import SHARED, Field
from sim.structs import AnonVma, Mm, Page, PageTable
from vizlib.moments import Actor, Moment, Run
from vizlib.scene import Json

#: With more locks than this, page locks and page-table locks share rows.
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


def lock_json(it: Lock) -> Json:
    """*it* as JSON."""
    holding, waiting = ([dict(hold._asdict()) for hold in holds] for holds in (it.holders, it.waiters))
    return {**it._asdict(), "holders": holding, "waiters": waiting}


class LockLens:
    """The locks that the run takes or tries, in lock order, each on a row of its own.

    Where a run takes many page locks or page-table locks one after the other, they share rows: as many as are held at
    the same time, each with the name of the lock that it shows now.
    """

    def __init__(self, run: Run) -> None:
        self.locks = in_order(run.locked)
        few = len(self.locks) <= MOST or run.any_order
        self.fixed = [it for it in self.locks if few or not isinstance(it.ref, (Page, PageTable))]
        self.shared: dict[str, list[_Row]] = {}
        for field, start, end in sorted(_holds(run), key=lambda it: (it[1], natural(it[0]))):
            if field not in self.fixed:
                _first_free(self.shared.setdefault(_group(field), []), start).append((field, start, end))
        rows = {lock_id(field): [(field, 0, run.length)] for field in self.fixed}
        for group, its in self.shared.items():
            rows |= {f"lock:{group}:{number}": row for number, row in enumerate(its)}
        self._rows = sorted(rows.items(), key=lambda it: _rank(it[1][0][0]))
        self._starts = sorted({start for _, row in self._rows for _, start, _ in row})
        self._shown: dict[int, dict[str, Field]] = {}

    def rows(self) -> int:
        """How many rows a still keeps for them."""
        return min(MOST, len(self.fixed) + sum(len(rows) for rows in self.shared.values()))

    def locks_at(self, moment: Moment) -> dict[str, Lock]:
        """The locks to show now, by id, outermost first."""
        return {name: lock(field, moment) for name, field in self.shown_at(moment.step).items()}

    def shown_at(self, step: int) -> dict[str, Field]:
        """Which locks these are after *step*: the same as before it, unless one is taken that shares its row."""
        taken = bisect_right(self._starts, step)
        if taken not in self._shown:
            self._shown[taken] = {
                name: next((it for it, start, _ in reversed(row) if start <= step), row[0][0])
                for name, row in self._rows
            }
        return self._shown[taken]

    def id_of(self, field: Field, step: int) -> str:
        """The row that shows *field* after *step*, or "" if none does."""
        if field in self.fixed:
            return lock_id(field)
        for number, row in enumerate(self.shared.get(_group(field), [])):
            if any(it is field and start <= step <= end for it, start, end in row):
                return f"lock:{_group(field)}:{number}"
        return ""


#: What a shared row shows: locks, each with the steps from its taking to its release.
_Row = list[tuple[Field, int, int]]


def lock_id(field: Field) -> str:
    """The id of a lock that has a row of its own."""
    return f"lock:{field.ref}.{field.base}"


def _group(field: Field) -> str:
    return f"{type(field.ref).__name__}.{field.base}"


def _first_free(rows: list[_Row], start: int) -> _Row:
    """The first row whose last lock has been released before *start*; a new one if there is none."""
    for row in rows:
        if row[-1][2] < start:
            return row
    rows.append([])
    return rows[-1]


def _holds(run: Run) -> list[tuple[Field, int, int]]:
    """From when to when each lock is held."""
    since: dict[Field, int] = {}
    found = []
    for step, event in enumerate(run.events, 1):
        for field, _, new in event.changes:
            if field in run.locked and not holders(new):
                found.append((field, since.pop(field, 0), step))
            elif field in run.locked:
                since.setdefault(field, step)
    return found + [(field, step, run.length) for field, step in since.items()]


def lock(field: Field, moment: Moment, *, waiting: bool = True) -> Lock:
    """The lock *field* at *moment*; who waits for it is left out unless *waiting*."""
    assert field.lock is not None
    value = moment.get(field)
    kind = f"{field.lock.name} · {'sleeps' if field.lock.sleeps else 'spins'}"
    shared = isinstance(value, Rwsem) and value.writer is None
    holding = tuple(Hold(str(task), "read" if shared else "") for task in holders(value))
    return Lock(_title(field), kind, field.lock.rank, holding, tuple(_waiters(field, value, moment)) if waiting else ())


def _waiters(field: Field, value: object, moment: Moment) -> list[Hold]:
    """Who waits: the queue of a rwsem; for other locks whoever cannot go on because of it."""
    if isinstance(value, Rwsem):
        return [Hold(str(task), "read" if mode == SHARED else "") for task, mode in value.queue]
    return [Hold(it.name) for it in moment.waiters(field)] if value is not None else []


def waits(actor: Actor, field: Field, moment: Moment) -> bool:
    """Whether *actor* cannot go on because of the lock *field*, which is held."""
    return moment.get(field) is not None and moment.waits_for(actor) is field


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


def in_order(fields: Iterable[Field]) -> list[Field]:
    """Locks in lock order, outermost first."""
    return sorted(fields, key=lambda it: (_rank(it), natural(it)))


def _rank(field: Field) -> int:
    return field.lock.rank if field.lock else 0


def natural(field: Field) -> tuple[int, str, str]:
    """What to sort locks of one rank by: f2 comes before f10."""
    return len(field.ref.name), field.ref.name, field.base
