"""Copy on write: who writes gets a copy, who is left alone gets the page, and nobody reads what the other wrote."""

from __future__ import annotations

from typing import Any

import pytest

from sim import invariants
from sim.kernel.fork import dup_mmap
from sim.kernel.migrate import sys_move_pages
from sim.ops import Acquire, CopyPage, Release, Write, Xchg
from sim.setup import Builder
from sim.structs import AnonVma, Mm, Page, PageTable, Pte, Written
from sim.user import user_read, user_write

PT, PT_C = PageTable("pt0"), PageTable("pt_C0")


def pair(alone: Any, mm: str = "C") -> Any:
    """P and its child C share the written page 0; the task runs in *mm*."""
    b = Builder()
    p = b.mm("P")
    b.page(b.vma(p, "heap", 0, 2), 0, node=0, written=1)
    b.fork(p, "C")
    return alone(b.memory, mm=mm)


@pytest.mark.parametrize(("mm", "mine", "theirs"), [("C", PT_C, PT), ("P", PT, PT_C)])
def test_who_writes_first_gets_a_copy(alone: Any, mm: str, mine: PageTable, theirs: PageTable) -> None:
    """Its mapping, its reference and its anon_vma; the old page is the other's alone, still read-only."""
    it = pair(alone, mm)
    old = it.get(mine.pte[0]).page
    it.call(user_write(it.k, 0))
    new = it.get(mine.pte[0]).page
    assert it.get(mine.pte[0]) == Pte("present", new, True, True)
    assert it.get(theirs.pte[0]) == Pte("present", old, False, True)
    assert [(it.get(page._mapcount), it.get(page._count)) for page in (old, new)] == [(0, 1)] * 2
    own = AnonVma("A_heap" if mm == "P" else "A_heap_C")
    assert (it.get(new.mapping), it.get(old.mapping)) == (own, AnonVma("A_heap"))
    assert (it.get(new.data), it.get(old.data)) == (Written(0, 2, Mm(mm)), Written(0, 1, Mm("P")))
    assert invariants.at_end(it.memory) is None


def test_a_read_shares_the_page(alone: Any) -> None:
    """What the parent wrote is what the child reads, from the same frame, without a fault."""
    it = pair(alone)
    it.call(user_read(it.k, 0))
    assert it.points == []


def test_who_is_left_alone_reuses_the_page_and_takes_it_into_its_own_anon_vma(alone: Any) -> None:
    """The parent has copied; the child's write then needs no copy, and walks no longer visit the parent."""
    it = pair(alone, "P")
    old = it.get(PT_C.pte[0]).page
    it.call(user_write(it.k, 0))
    it.k.mm = Mm("C")
    it.call(user_write(it.k, 0))
    assert it.get(PT_C.pte[0]) == Pte("present", old, True, True)
    assert not [op for op in it.ops if isinstance(op, CopyPage)]
    assert it.get(old.mapping) is AnonVma("A_heap_C")
    assert invariants.at_end(it.memory) is None


def test_the_order_is_clear_flush_map_and_only_then_the_old_mapping(alone: Any) -> None:
    """With the mapcount lowered before the flush a relative could take the page and write it (mm/memory.c:2744)."""
    it = pair(alone)
    old = it.get(PT_C.pte[0]).page
    it.call(user_write(it.k, 0))
    told = []
    for op in it.ops:
        match op:
            case Xchg(field, _) if field is PT_C.pte[0]:
                told.append("clear")
            case Write(field, value) if field is PT_C.pte[0] and value is not None:
                told.append("map")
            case CopyPage():
                told.append("copy")
            case _ if getattr(op, "field", None) is old._mapcount:
                told.append("unmap")
    assert told == ["copy", "clear", "map", "unmap"]


def test_no_lock_is_held_while_the_page_is_copied(alone: Any) -> None:
    """Only mmap_sem, and a reference that keeps the old page a page."""
    it = pair(alone)
    for op in it.steps(user_write(it.k, 0)):
        if isinstance(op, CopyPage):
            assert [lock.base for lock, _ in it.get(it.k.current.held)] == ["mmap_sem"]
            assert it.get(op.src._count) == 3


def test_a_copy_that_comes_too_late_is_thrown_away(bench: Any) -> None:
    """The PTE is not what it was, so the write is tried again, and every frame is accounted for."""
    b = bench()
    b.page(b.heap, 0, node=0, written=1)
    c = b.fork(b.p, "C")
    b.spawn("writer", lambda k: user_write(k, 0), mm=c)
    b.spawn("mover", lambda k: sys_move_pages(k, b.p, (0,), 1), cpu=1)
    run = b.start()
    run.only("writer", until=lambda event: type(event.op) is Release and event.op.lock.base == "ptl")
    before = run[PT_C.pte[0]].page
    run.machine.memory[PT_C.pte[0]] = Pte("present", before, False, False)  # somebody else was at the PTE
    run.only("writer")
    run.only("mover")
    copies = [event.op.dst for event in run.events if type(event.op) is CopyPage]
    assert len(copies) == 3
    assert [run[page.life] for page in copies] == [True, False, False]
    assert run.violation is None


def test_the_flush_keeps_the_writers_other_threads_off_the_page(bench: Any) -> None:
    """A thread of the child read the shared page; after the copy it reads the copy."""
    b = bench()
    b.page(b.heap, 0, node=0, written=1)
    c = b.fork(b.p, "C")
    b.spawn("writer", lambda k: user_write(k, 0), mm=c)

    def twice(k: Any) -> Any:
        yield from user_read(k, 0)
        yield from user_read(k, 0)

    b.spawn("reader", twice, cpu=1, mm=c)
    run = b.start()
    run.only("reader", until=lambda event: event.answer is True)
    run.only("writer")
    run.only("reader")
    assert run.violation is None
    assert run.points["fault"] == 1


def test_a_child_that_was_forked_by_kernel_code_copies_too(alone: Any) -> None:
    """Fork and the first write after it, one after the other."""
    b = Builder()
    p = b.mm("P")
    b.page(b.vma(p, "heap", 0, 2), 0, node=0, written=1)
    child = b.mm("C")
    it = alone(b.memory)
    it.call(dup_mmap(it.k, child, p))
    it.k.mm = child
    it.call(user_write(it.k, 0))
    it.call(user_read(it.k, 0))
    it.k.mm = p
    it.call(user_read(it.k, 0))
    it.call(user_write(it.k, 0))
    assert not [op for op in it.ops if isinstance(op, CopyPage)]
    assert sum(isinstance(field.ref, Page) and field.base == "data" for field in it.memory) == 2
    assert not [op for op in it.ops if isinstance(op, Acquire) and op.lock.base == "page_table_lock"]
    assert invariants.at_end(it.memory) is None
