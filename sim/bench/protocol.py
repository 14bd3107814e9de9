"""A small migration protocol that other checkers have been run on too, in our operations.

A migrator moves P pages one after another; an munmap clears their PTEs, flushes, and drops its reference on the
anon_vma; U users write each page and read it back through a TLB of their own, W rounds.  Two broken forms: ``noref``
(the migrator takes no reference) and ``late`` (the flush comes after the copy).  The labels M1, N1, U1 are those of the
same protocol in PlusCal, on which TLC was run; :mod:`sim.bench.spin` has it in Promela.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from sim.invariants import Violation
from sim.ops import Acquire, Add, Field, Kernel, Op, Release, Until
from sim.setup import Builder
from sim.structs import ANON_VMA_MUTEX, PAGE_LOCK, Struct, declare, table
from sim.worlds import World

NONE, OLD, NEW, MIGRATING = range(4)


class Cell(NamedTuple):
    """All that concerns one virtual page.

    PlusCal does several things under one label, so they stand in one field here, which one atomic operation changes.
    """

    pte: int
    frames: tuple[int, int]  # the last write that is in the old frame and in the new one
    written: int  # the last write that was made
    tlb: tuple[int, ...]  # per user the frame, or none


@dataclass(frozen=True)
class Atomic:
    """What an atomic operation does to a cell: ``yield atomically(cell, flush)``."""

    change: Callable[..., Cell]
    args: tuple[Any, ...] = ()

    def __radd__(self, old: Cell) -> Cell:
        return self.change(old, *self.args)


def atomically(cell: Field, change: Callable[..., Cell], *args: Any) -> Op:
    """Change a cell in one step; the answer is what it is then."""
    return Add(cell, Atomic(change, args))  # type: ignore[arg-type]  # it is added to a cell as a number to a number


class References(int):
    """A reference count that is true when it is 0: as the ``life`` of a lock it says "freed"."""

    def __bool__(self) -> bool:
        return self == 0

    def __add__(self, other: int) -> References:
        return References(int(self) + other)


class Shared(Struct):
    """What the tasks share."""

    cell = table(None, guard="atomic")
    page_lock = table(None, guard="itself", lock=PAGE_LOCK)
    references = declare(References(1), guard="atomic")


S = Shared("shared")
#: The anon_vma's lock; taking it once the last reference is gone is a use after free.
ANON_VMA_LOCK = Field(S, "anon_vma_lock", lock=ANON_VMA_MUTEX, life=S.references)


def set_pte(cell: Cell, pte: int) -> Cell:
    """Store a PTE."""
    return cell._replace(pte=pte)


def flush(cell: Cell) -> Cell:
    """Every user's TLB entry is dropped."""
    return cell._replace(tlb=(NONE,) * len(cell.tlb))


def copy(cell: Cell, data: int) -> Cell:
    """Store data into the new frame."""
    return cell._replace(frames=(cell.frames[0], data))


def fill(cell: Cell, user: int) -> Cell:
    """The MMU fills a user's TLB from the PTE, if that is present."""
    if cell.pte in (NONE, MIGRATING):
        return cell
    return cell._replace(tlb=(*cell.tlb[:user], cell.pte, *cell.tlb[user + 1 :]))


def touch(cell: Cell, user: int, reading: bool) -> Cell:
    """A user writes through its TLB, or reads and looks whether it is the last write; nothing on a miss."""
    frame = cell.tlb[user]
    if frame == NONE:
        return cell
    if reading:
        if cell.frames[frame - 1] != cell.written:
            raise Violation("lost write", f"user {user} reads {cell.frames[frame - 1]}, not {cell.written}")
        return cell
    last = cell.written + 1
    frames = (last, cell.frames[1]) if frame == OLD else (cell.frames[0], last)
    return cell._replace(frames=frames, written=last)


def migrator(k: Any, *, pages: int, form: str) -> Kernel:
    """Moves the pages one after another."""
    number = 0
    while number < pages:
        cell, lock = S.cell[number], S.page_lock[number]
        yield Acquire(lock)  # M1
        now = yield cell  # M2
        go = now.pte != NONE
        if go and form != "noref":
            go = yield S.references.add_unless(1, 0)  # M3
        if go:
            yield from move(cell, form)
            if form != "noref":
                yield S.references.add(-1)  # M11
        yield Release(lock)  # M12
        number += 1


def move(cell: Field, form: str) -> Kernel:
    """Moves one page, which the caller has locked and whose anon_vma it holds."""
    yield Acquire(ANON_VMA_LOCK)  # M4
    now = yield cell  # M5
    if now.pte != OLD:
        yield Release(ANON_VMA_LOCK)  # M8b
        return
    yield atomically(cell, set_pte, MIGRATING)  # M6
    if form != "late":
        yield atomically(cell, flush)  # M7
    yield Release(ANON_VMA_LOCK)  # M8
    now = yield cell  # M9
    data = now.frames[0]
    yield atomically(cell, copy, data)  # M10
    if form == "late":
        yield atomically(cell, flush)  # M10b
    yield Acquire(ANON_VMA_LOCK)  # M10c
    now = yield cell  # M10d
    if now.pte == MIGRATING:
        yield atomically(cell, set_pte, NEW)  # M10e
    yield Release(ANON_VMA_LOCK)  # M10f


def munmap(k: Any, *, pages: int) -> Kernel:
    """Unmaps all pages."""
    yield Acquire(ANON_VMA_LOCK)  # N1
    number = 0
    while number < pages:
        yield atomically(S.cell[number], set_pte, NONE)  # N2
        yield atomically(S.cell[number], flush)  # N3
        number += 1
    yield Release(ANON_VMA_LOCK)  # N4
    yield S.references.add(-1)  # N5


def user(k: Any, *, me: int, pages: int, rounds: int) -> Kernel:
    """Writes each page and reads it back."""
    number, reading = 0, False
    while number < rounds:
        cell = S.cell[number % pages]
        now = yield atomically(cell, touch, me, reading)  # U1
        if now.tlb[me] != NONE:
            number += reading
            reading = not reading
            continue
        now = yield atomically(cell, fill, me)  # U2
        if now.pte == NONE:
            return
        if now.pte == MIGRATING:
            yield Until(S.page_lock[number % pages], None)  # U3


def protocol(pages: int, users: int, rounds: int, form: str = "") -> World:
    """The protocol as a world, all on one CPU, since its TLBs and flushes are its own."""

    def build() -> Builder:
        b = Builder()
        mm, cpu = b.mm(), b.cpu(0, 0)
        b.memory[S.references] = References(1)
        for number in range(pages):
            b.memory[S.cell[number]] = Cell(OLD, (0, 0), 0, (NONE,) * users)
        b.task("migrator", cpu, mm, partial(migrator, pages=pages, form=form), "moves the pages")
        b.task("munmap", cpu, mm, partial(munmap, pages=pages), "unmaps them")
        for me in range(users):
            b.task(f"user{me}", cpu, mm, partial(user, me=me, pages=pages, rounds=rounds), "writes and reads")
        return b

    return World(f"protocol_{form}", "a protocol", "", {}, {}, build)
