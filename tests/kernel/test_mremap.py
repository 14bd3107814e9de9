"""Moving a range of pages: PTEs, VMAs and data arrive, under which locks, and what happens without memory."""

from __future__ import annotations

from errno import EFAULT, EINVAL, ENOMEM
from typing import Any

import pytest

from sim import invariants
from sim.build import link
from sim.context import Context
from sim.kernel.mremap import sys_mremap
from sim.kernel.pgtable import pmd_offset
from sim.ops import Acquire, Kernel, Release, SendIpi, Xchg
from sim.setup import Builder
from sim.structs import PTRS_PER_PTE, Mm, Page, PageTable, Pte, Task, Vma, Written
from sim.user import user_read, user_write

PT = PageTable("pt0")
P = Mm("P")


def heap(alone: Any, pages: int = 4) -> Any:
    """P with a heap of so many written pages from 0 on."""
    b = Builder()
    vma = b.vma(b.mm(), "heap", 0, pages)
    for vpn in range(pages):
        b.page(vma, vpn, node=0, written=1)
    return alone(b.memory)


def parted(alone: Any) -> Any:
    """The same heap after its first half was moved to 10."""
    b = Builder()
    rest = b.vma(b.mm(), "heap", 2, 4)
    moved = b.piece(rest, "moved", 10, 12, 0)
    for vma, vpn in ((rest, 2), (rest, 3), (moved, 10), (moved, 11)):
        b.page(vma, vpn, node=0, written=1)
    return alone(b.memory)


def vmas(it: Any) -> list[tuple[int, int, int]]:
    """The bounds and offsets of the VMAs of P, in order."""
    return [(it.get(vma.vm_start), it.get(vma.vm_end), it.get(vma.vm_pgoff)) for vma in it.get(P.mmap)]


def frames(it: Any) -> dict[int, Page]:
    """Which page is in which frame."""
    tables = [(index, it.get(slot)) for index, slot in P.pmd.items() if it.get(slot) is not None]
    ptes = {
        index * PTRS_PER_PTE + number: it.get(slot) for index, table in tables for number, slot in table.pte.items()
    }
    return {vpn: pte.page for vpn, pte in ptes.items() if pte is not None}


def move(it: Any, addr: int, length: int, to: int) -> Any:
    return it.call(sys_mremap(it.k, addr, length, to))


@pytest.mark.parametrize("to", [4, 100, PTRS_PER_PTE - 2, 3 * PTRS_PER_PTE])
def test_pages_arrive_in_their_frames_and_nothing_is_left_behind(alone: Any, to: int) -> None:
    """Also next door, across two page tables, and where there is no page table yet; offsets stay what they were."""
    it = heap(alone)
    before = frames(it)
    assert move(it, 0, 4, to) == to
    assert frames(it) == {vpn + to: page for vpn, page in before.items()}
    assert vmas(it) == [(to, to + 4, 0)]
    assert it.get(Vma("heap").life) is True
    for vpn in range(4):
        assert it.get(P.shadow[vpn]) is None
        assert it.get(P.shadow[to + vpn]) == Written(vpn, 1, P)
        it.call(user_read(it.k, to + vpn))
    it.call(user_write(it.k, to))
    assert invariants.at_end(it.memory) is None


def test_pages_that_come_together_again_are_one_vma_again(alone: Any) -> None:
    """The VMA at the new place grows, and begins before the offsets of the pages that come."""
    it = parted(alone)
    assert vmas(it) == [(2, 4, 2), (10, 12, 0)]
    move(it, 2, 2, 12)
    assert vmas(it) == [(10, 14, 0)]
    assert invariants.at_end(it.memory) is None


def test_what_is_mapped_at_the_new_place_goes_first(alone: Any) -> None:
    """Its frames are freed, its data is gone."""
    b = Builder()
    mm = b.mm()
    pages = [b.page(b.vma(mm, name, vpn, vpn + 1), vpn, node=0, written=1) for name, vpn in (("heap", 0), ("other", 9))]
    it = alone(b.memory)
    assert move(it, 0, 1, 9) == 9
    assert [it.get(page.life) for page in pages] == [False, True]
    assert it.get(P.shadow[9]) == Written(0, 1, P)
    assert invariants.at_end(it.memory) is None


@pytest.mark.parametrize(
    ("addr", "length", "to", "error"),
    [(0, 4, 2, -EINVAL), (2, 2, 1, -EINVAL), (2, 4, 20, -EFAULT), (50, 1, 60, -EFAULT)],
    ids=["overlap above", "overlap below", "more than the VMA", "nothing there"],
)
def test_a_range_that_cannot_be_moved_is_left_alone(alone: Any, addr: int, length: int, to: int, error: int) -> None:
    it = heap(alone)
    before = frames(it)
    assert move(it, addr, length, to) == error
    assert frames(it) == before
    assert vmas(it) == [(0, 4, 0)]


def test_a_migration_entry_moves_as_it_is(alone: Any) -> None:
    it = heap(alone, 1)
    entry = Pte("migration", it.set(Page("moving"), PG_locked=Task("mover")))
    it.memory[PT.pte[0]] = entry
    move(it, 0, 1, 4)
    assert it.get(PT.pte[4]) == entry


def lock_at_each_move(it: Any) -> set[bool]:
    """Whether the anon_vma lock is held while PTEs are taken out, in a run of mremap from 2 to 12."""
    mutex = it.get(Vma("heap").anon_vma).mutex
    steps = it.steps(sys_mremap(it.k, 2, 2, 12))
    return {it.get(mutex) is not None for op in steps if isinstance(op, Xchg) and op.field.base == "pte"}


def test_the_anon_vma_lock_is_taken_where_the_new_place_may_come_first(alone: Any) -> None:
    """Not for a VMA of its own, which stands behind the old one; but for one that was there and has grown."""
    assert lock_at_each_move(heap(alone)) == {False}
    it = parted(alone)
    assert lock_at_each_move(it) == {True}


def test_two_page_tables_are_locked_at_once_the_old_one_first(alone: Any) -> None:
    """One table is locked once; and no lock is held when the old addresses are flushed."""
    it = heap(alone)
    taken = []
    for op in it.steps(sys_mremap(it.k, 0, 4, 2 * PTRS_PER_PTE)):
        held = [lock.ref for lock, _ in it.get(it.k.current.held) if lock.base == "ptl"]
        if isinstance(op, Xchg) and op.field.base == "pte":
            taken.append(held)
    new = it.get(P.pmd[2])
    assert taken == [[PT, new]] * 4
    it.call(sys_mremap(it.k, 2 * PTRS_PER_PTE, 4, 2 * PTRS_PER_PTE + 8))
    assert not next(op.nested for op in it.ops if isinstance(op, Acquire) and op.lock is new.ptl)


def test_one_flush_comes_when_the_locks_are_back(bench: Any) -> None:
    """So late that a walk may meanwhile have found a page at its new place: the defect of mremap_stale_tlb."""
    b = bench()
    b.page(b.heap, 0, node=0, written=1)
    b.spawn("owner", lambda k: sys_mremap(k, 0, 8, 20))
    b.spawn("writer", lambda k: user_write(k, 0), cpu=1)
    run = b.start()
    run.only("writer")
    run.only("owner", until=lambda it: isinstance(it.op, Release) and it.op.lock is PT.ptl)
    assert run[b.cpu1.tlb[b.p, 0]] is not None
    assert run[PT.pte[20]] is not None
    run.only("owner")
    assert run[b.cpu1.tlb[b.p, 0]] is None
    assert run.ops(SendIpi) == 1


def no_memory(k: Context, mm: Mm, addr: int) -> Kernel:
    """``alloc_new_pmd`` where no page table can be had."""
    table = yield pmd_offset(mm, addr)
    return table


def test_without_memory_for_a_page_table_all_goes_back_under_the_lock(alone: Any) -> None:
    """Two pages find a page table and two do not: the two are moved back, and the new range is unmapped."""
    it = heap(alone)
    before = frames(it)
    anon_vma = it.get(Vma("heap").anon_vma)
    held = [
        it.get(anon_vma.mutex) is not None
        for op in it.steps(link({"mremap.alloc_new_pmd": no_memory})(sys_mremap)(it.k, 0, 4, PTRS_PER_PTE - 2))
        if isinstance(op, Xchg) and op.field.base == "pte"
    ]
    assert held == [False, False, True, True]
    assert frames(it) == before
    assert vmas(it) == [(0, 4, 0)]
    assert [it.get(P.shadow[vpn]) for vpn in range(4)] == [Written(vpn, 1, P) for vpn in range(4)]
    assert invariants.at_end(it.memory) is None


def test_mremap_says_that_memory_was_short(alone: Any) -> None:
    it = heap(alone)
    assert it.call(link({"mremap.alloc_new_pmd": no_memory})(sys_mremap)(it.k, 0, 4, PTRS_PER_PTE - 2)) == -ENOMEM
