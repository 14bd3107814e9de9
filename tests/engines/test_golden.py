"""A small migration protocol with known answers: the checker gives TLC's numbers of states, and its depths.

The protocol: a migrator moves P pages one after another; an munmap clears their PTEs, flushes, and drops its
reference on the anon_vma; U users write each page and read it back through a TLB of their own, W rounds.  Two
broken forms: ``noref`` (the migrator takes no reference) and ``late`` (the flush comes after the copy).  The
labels M1, N1, U1 are those of the same protocol in PlusCal, on which TLC was run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import pytest

from sim import variants
from sim.engines.checker import Search, Verdict, check, fewest_preemptions
from sim.engines.checker_tables import Tables
from sim.invariants import Violation
from sim.machine import Machine
from sim.ops import Acquire, Field, Kernel, Release, Until
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
    """What an atomic operation does to a cell: ``yield cell.add(Atomic(flush))``."""

    change: Callable[..., Cell]
    args: tuple[Any, ...] = ()

    def __radd__(self, old: Cell) -> Cell:
        return self.change(old, *self.args)


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
    return cell._replace(pte=pte)


def flush(cell: Cell) -> Cell:
    return cell._replace(tlb=(NONE,) * len(cell.tlb))


def copy(cell: Cell, data: int) -> Cell:
    return cell._replace(frames=(cell.frames[0], data))


def fill(cell: Cell, user: int) -> Cell:
    if cell.pte in (NONE, MIGRATING):
        return cell
    return cell._replace(tlb=(*cell.tlb[:user], cell.pte, *cell.tlb[user + 1 :]))


def touch(cell: Cell, user: int, reading: bool) -> Cell:
    frame = cell.tlb[user]
    if frame == NONE:
        return cell
    if reading:
        if cell.frames[frame - 1] != cell.written:
            raise Violation("lost write", f"user {user} reads {cell.frames[frame - 1]}, not {cell.written}")
        return cell
    frames = list(cell.frames)
    frames[frame - 1] = cell.written + 1
    return cell._replace(frames=tuple(frames), written=cell.written + 1)


def migrator(k: Any, *, pages: int, form: str) -> Kernel:
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
    yield Acquire(ANON_VMA_LOCK)  # M4
    now = yield cell  # M5
    if now.pte != OLD:
        yield Release(ANON_VMA_LOCK)  # M8b
        return
    yield cell.add(Atomic(set_pte, (MIGRATING,)))  # M6
    if form != "late":
        yield cell.add(Atomic(flush))  # M7
    yield Release(ANON_VMA_LOCK)  # M8
    now = yield cell  # M9
    data = now.frames[0]
    yield cell.add(Atomic(copy, (data,)))  # M10
    if form == "late":
        yield cell.add(Atomic(flush))  # M10b
    yield Acquire(ANON_VMA_LOCK)  # M10c
    now = yield cell  # M10d
    if now.pte == MIGRATING:
        yield cell.add(Atomic(set_pte, (NEW,)))  # M10e
    yield Release(ANON_VMA_LOCK)  # M10f


def munmap(k: Any, *, pages: int) -> Kernel:
    yield Acquire(ANON_VMA_LOCK)  # N1
    number = 0
    while number < pages:
        yield S.cell[number].add(Atomic(set_pte, (NONE,)))  # N2
        yield S.cell[number].add(Atomic(flush))  # N3
        number += 1
    yield Release(ANON_VMA_LOCK)  # N4
    yield S.references.add(-1)  # N5


def user(k: Any, *, me: int, pages: int, rounds: int) -> Kernel:
    number, reading = 0, False
    while number < rounds:
        cell = S.cell[number % pages]
        now = yield cell.add(Atomic(touch, (me, reading)))  # U1
        if now.tlb[me] != NONE:
            number += reading
            reading = not reading
            continue
        now = yield cell.add(Atomic(fill, (me,)))  # U2
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


def verdict_of(pages: int, users: int, rounds: int, form: str = "") -> Verdict:
    return check(protocol(pages, users, rounds, form), "mutex_v37")


@pytest.mark.parametrize(
    ("pages", "users", "rounds", "states"),
    [
        (1, 1, 1, 619),
        (2, 1, 2, 4_255),
        (1, 2, 1, 5_163),
        (2, 2, 2, 92_532),
        pytest.param(1, 3, 2, 325_141, marks=pytest.mark.slow),
    ],
)
def test_the_correct_form_is_safe_with_as_many_states_as_tlc_finds(pages, users, rounds, states) -> None:
    """Locals that no longer matter are no part of the state, and all that matters is."""
    found = verdict_of(pages, users, rounds)
    assert (found.verdict, found.complete, found.states) == ("safe", True, states)


@pytest.mark.parametrize(
    ("pages", "users", "rounds", "noref", "late"),
    [(1, 1, 1, 8, 19), (2, 1, 2, 10, 19), (1, 2, 1, 8, 19), (2, 2, 2, 10, 19), (1, 3, 2, 8, 19)],
)
def test_counterexamples_are_as_short_as_tlc_s(pages, users, rounds, noref, late) -> None:
    for form, kind, steps in (("noref", "use after free", noref), ("late", "lost write", late)):
        found = verdict_of(pages, users, rounds, form)
        assert [(it.kind, it.steps) for it in found.violations] == [(kind, steps)]


@pytest.mark.parametrize("form", ["noref", "late"])
def test_a_counterexample_goes_wrong_in_its_last_step_when_it_is_run(form) -> None:
    """The machine, told the schedule, raises the same violation, and not before the last step."""
    world = protocol(1, 1, 1, form)
    (found,) = verdict_of(1, 1, 1, form).violations
    machine = Machine(world.setup(), variants.find("mutex_v37"))
    for task, choice in found.schedule:
        assert machine.violation is None
        machine.step(machine.tasks[task].task, choice or 0)
    assert machine.violation is not None
    assert (machine.violation.kind, machine.violation.sentence) == (found.kind, found.sentence)


def test_keeping_all_answers_finds_more_states_and_nothing_else() -> None:
    """The reference key, everything a task was ever sent, is sound: same verdicts, same depths."""
    for form, kinds in (("", []), ("noref", [("use after free", 8)]), ("late", [("lost write", 19)])):
        search = Search(Tables(protocol(1, 1, 1, form).setup(), variants.find("mutex_v37"), merge=False))
        search.run()
        assert [(kind, len(turns)) for kind, (_, turns) in search.found.items()] == kinds
        assert form or len(search.seen) > 619


@pytest.mark.parametrize(("form", "preemptions"), [("noref", 1), ("late", 3)])
def test_fewest_preemptions_is_a_search_of_its_own(form, preemptions) -> None:
    """For ``noref`` the munmap runs between two steps of the migrator.  For ``late`` the user must fill its TLB before
    the PTE goes, and write after the copy was begun.
    """
    world = protocol(1, 1, 1, form)
    found = fewest_preemptions(world, "mutex_v37")
    assert found is not None
    assert found.preemptions == preemptions
    (shortest,) = verdict_of(1, 1, 1, form).violations
    assert found.preemptions <= shortest.preemptions
    assert found.steps >= shortest.steps
