"""Protecting a range: which PTEs lose the right to write, what VMAs are left, and one flush at the end."""

from __future__ import annotations

from errno import ENOMEM
from typing import Any

import pytest

from sim import invariants
from sim.invariants import Violation
from sim.kernel.mprotect import PROT_READ, PROT_WRITE, sys_mprotect
from sim.kernel.pgtable_generic import ptep_modify_prot_start
from sim.ops import Acquire, HandleIpi, Release, Write, Xchg
from sim.setup import Builder
from sim.structs import PTRS_PER_PTE, VM_WRITE, Mm, Page, PageTable, Pte, Task, Vma
from sim.user import user_read, user_write

PT = PageTable("pt0")


@pytest.fixture
def it(alone: Any) -> Any:
    """P with a heap of the pages 0 to 7, each written."""
    b = Builder()
    heap = b.vma(b.mm(), "heap", 0, 8)
    for vpn in range(8):
        b.page(heap, vpn, node=0, written=1)
    return alone(b.memory)


def vmas(it: Any) -> list[tuple[int, int, int]]:
    return [(it.get(vma.vm_start), it.get(vma.vm_end), it.get(vma.vm_flags)) for vma in it.get(it.k.mm.mmap)]


def writable(it: Any) -> set[int]:
    return {vpn for vpn in range(8) if it.get(PT.pte[vpn]).write}


def protect(it: Any, start: int, length: int, prot: int = PROT_READ) -> Any:
    return it.call(sys_mprotect(it.k, start, length, prot))


@pytest.mark.parametrize(
    ("start", "length", "after"),
    [
        (0, 8, [(0, 8, 0)]),
        (0, 3, [(0, 3, 0), (3, 8, VM_WRITE)]),
        (5, 3, [(0, 5, VM_WRITE), (5, 8, 0)]),
        (2, 4, [(0, 2, VM_WRITE), (2, 6, 0), (6, 8, VM_WRITE)]),
    ],
)
def test_a_range_is_cut_out_and_loses_the_right_to_write(it: Any, start: int, length: int, after: list[Any]) -> None:
    """VMAs, PTEs, and what user code finds."""
    assert protect(it, start, length) == 0
    assert vmas(it) == after
    assert writable(it) == set(range(8)) - set(range(start, start + length))
    it.call(user_read(it.k, start))
    assert invariants.at_end(it.memory) is None
    with pytest.raises(Violation, match=f"segmentation fault at page {start} of P"):
        it.call(user_write(it.k, start))


def test_a_range_that_gets_its_neighbour_s_flags_joins_it(it: Any) -> None:
    """Read-only page by page: the boundary moves up, and at the end one VMA is left."""
    protect(it, 0, 2)
    protect(it, 2, 3)
    assert vmas(it) == [(0, 5, 0), (5, 8, VM_WRITE)]
    protect(it, 5, 3)
    assert vmas(it) == [(0, 8, 0)]
    assert invariants.at_end(it.memory) is None


def test_a_call_goes_through_all_vmas_of_its_range(it: Any) -> None:
    protect(it, 2, 1)
    protect(it, 4, 1)
    assert len(vmas(it)) == 5
    assert protect(it, 1, 6) == 0
    assert vmas(it) == [(0, 1, VM_WRITE), (1, 7, 0), (7, 8, VM_WRITE)]


def test_a_private_page_that_may_be_written_again_faults_first(it: Any) -> None:
    """Giving the right back changes the VMA; the PTE stays read-only until the next write has asked who shares it."""
    protect(it, 0, 8)
    assert protect(it, 0, 8, PROT_READ | PROT_WRITE) == 0
    assert vmas(it) == [(0, 8, VM_WRITE)]
    assert writable(it) == set()
    it.call(user_write(it.k, 3))
    assert writable(it) == {3}


def test_a_hole_is_an_error_and_what_lies_before_it_is_done(it: Any) -> None:
    assert protect(it, 6, 4) == -ENOMEM
    assert vmas(it) == [(0, 6, VM_WRITE), (6, 8, 0)]
    assert protect(it, 20, 1) == -ENOMEM
    it.set(Vma("high"), vm_mm=it.k.mm, vm_start=30, vm_end=31, vm_pgoff=30)
    it.set(it.k.mm, mmap=(*it.get(it.k.mm.mmap), Vma("high")))
    assert protect(it, 20, 1) == -ENOMEM
    assert protect(it, 7, 24) == -ENOMEM


def test_nothing_happens_to_a_range_that_has_these_rights(it: Any) -> None:
    protect(it, 0, 8, PROT_WRITE)
    assert not [op for op in it.ops if isinstance(op, Xchg)]
    assert "tlb_flush" not in it.points


def test_a_migration_entry_loses_the_right_to_write(it: Any) -> None:
    """The page comes back read-only from its move; an entry of a read-only page stays as it is."""
    for vpn, write in ((0, True), (1, False)):
        page = it.set(Page(f"moving{vpn}"), PG_locked=Task("mover"))
        it.memory[PT.pte[vpn]] = Pte("migration", page, write)
    protect(it, 0, 2)
    assert [it.get(PT.pte[vpn]).write for vpn in (0, 1)] == [False, False]
    stores = [op for op in it.ops if isinstance(op, Write) and op.field.base == "pte"]
    assert [op.field for op in stores] == [PT.pte[0]]


def test_a_pte_is_changed_under_the_ptl_with_its_dirty_bit_kept(it: Any) -> None:
    """Taken out and put back, so that no hardware sets the bit in between."""
    for op in it.steps(sys_mprotect(it.k, 0, 8, PROT_READ)):
        if isinstance(op, Xchg | Write) and op.field.base == "pte":
            assert it.get(PT.ptl) is it.k.current
    assert all(it.get(PT.pte[vpn]).dirty for vpn in range(8))


def test_one_flush_comes_after_all_page_tables_with_no_ptl_held(bench: Any) -> None:
    """Two page tables, two ptls, one interrupt a CPU: until it is answered the other CPU goes on writing."""
    b = bench()
    top = PTRS_PER_PTE
    wide = b.vma(b.p, "wide", top - 1, top + 1)
    for vpn in (top - 1, top):
        b.page(wide, vpn, node=0, written=1)
    b.spawn("protector", lambda k: sys_mprotect(k, top - 1, 2, PROT_READ))
    b.spawn("worker", lambda k: user_write(k, top), cpu=1)
    run = b.start()
    run.only("worker")
    run.only("protector", until=lambda it: isinstance(it.op, Release) and it.op.lock is PageTable("pt1").ptl)
    assert run[b.cpu1.tlb[b.p, top]].write
    assert not [lock for lock, _ in run[Task("protector").held] if lock.base == "ptl"]
    run.only("protector")
    assert run[b.cpu1.tlb[b.p, top]] is None
    assert (run.taken("ptl"), run.ops(HandleIpi)) == (2, 1)


def test_a_pte_is_empty_while_it_is_changed(it: Any) -> None:
    it.call(ptep_modify_prot_start(it.k, PT.pte[0]))
    assert it.get(PT.pte[0]) is None


def test_mmap_sem_is_held_to_write_to_the_end(it: Any) -> None:
    mm = Mm("P")
    first = next(iter(it.steps(sys_mprotect(it.k, 2, 3, PROT_READ))))
    assert isinstance(first, Acquire)
    assert first.lock is mm.mmap_sem
    assert it.get(mm.mmap_sem).writer is it.k.current
