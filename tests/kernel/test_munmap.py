"""Unmapping: what is cleared, what is flushed, what is freed, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from sim import invariants
from sim.invariants import Violation
from sim.kernel.exit import do_exit
from sim.kernel.madvise import sys_madvise
from sim.kernel.memory import free_pgd_range, tlb_gather_mmu
from sim.kernel.migrate import sys_move_pages
from sim.kernel.mmap import sys_munmap
from sim.kernel.rmap import TTU_MIGRATION, try_to_unmap
from sim.ops import Acquire, Free, HandleIpi, SendIpi, Until
from sim.setup import Builder
from sim.structs import PTRS_PER_PTE, AnonVma, AnonVmaChain, Mm, PageTable, Pte, Task, Vma
from sim.user import user_read, user_write


def three() -> Builder:
    """P with three VMAs side by side in one page table, a page in each, and a fourth 2 MiB further on."""
    b = Builder()
    p = b.mm("P")
    for name, start in (("low", 0), ("middle", 4), ("high", 8), ("far", PTRS_PER_PTE + 8)):
        b.page(b.vma(p, name, start, start + 4), start, node=0, written=1)
    return b


def freed(it: Any) -> list[str]:
    """What the last call freed, in order."""
    return [str(op.ref) for op in it.ops if isinstance(op, Free)]


def test_munmap_leaves_the_neighbours_alone(alone: Any) -> None:
    """The VMA in the middle goes with its page, link and anon_vma; the page table stays: others need it."""
    it = alone(three().memory)
    it.call(sys_munmap(it.k, 4, 4))
    assert it.get(Mm("P").mmap) == (Vma("low"), Vma("high"), Vma("far"))
    assert freed(it) == ["A_middle", "avc_middle", "f1", "middle"]
    assert (it.get(PageTable("pt0").pte[0]).kind, it.get(PageTable("pt0").pte[4])) == ("present", None)
    assert invariants.at_end(it.memory) is None


def test_munmap_takes_every_vma_that_the_range_covers(alone: Any) -> None:
    """Two VMAs, and with them the page table that nobody else needs; the range may be larger than they are."""
    it = alone(three().memory)
    it.call(sys_munmap(it.k, 0, 12))
    assert it.get(Mm("P").mmap) == (Vma("far"),)
    assert {"low", "middle", "high", "pt0"} <= set(freed(it))
    assert it.get(Mm("P").pmd[0]) is None
    assert it.get(Mm("P").pmd[1]) is PageTable("pt1")
    assert invariants.at_end(it.memory) is None


@pytest.mark.parametrize(
    ("start", "length", "left"),
    [
        (5, 1, [(0, 4), (4, 5), (6, 8), (8, 12)]),
        (4, 1, [(0, 4), (5, 8), (8, 12)]),
        (6, 2, [(0, 4), (4, 6), (8, 12)]),
        (2, 8, [(0, 2), (10, 12)]),
    ],
)
def test_munmap_splits_what_is_partly_outside(alone: Any, start: int, length: int, left: list[tuple[int, int]]) -> None:
    """A hole in the middle, the first pages, the last ones, and a range from one VMA into the next but one."""
    it = alone(three().memory)
    it.call(sys_munmap(it.k, start, length))
    vmas = it.get(Mm("P").mmap)[:-1]
    assert [(it.get(vma.vm_start), it.get(vma.vm_end)) for vma in vmas] == left
    assert all(it.get(vma.vm_pgoff) == it.get(vma.vm_start) for vma in vmas)
    gone = {vpn for vpn in (0, 4, 8) if start <= vpn < start + length}
    assert {vpn for vpn in (0, 4, 8) if it.get(PageTable("pt0").pte[vpn]) is None} == gone
    assert invariants.at_end(it.memory) is None


@pytest.mark.parametrize(("start", "length"), [(12, 4), (PTRS_PER_PTE + 20, 4)])
def test_munmap_of_nothing_changes_nothing(alone: Any, start: int, length: int) -> None:
    """Between two VMAs, and after the last."""
    it = alone(three().memory)
    before = dict(it.memory)
    assert it.call(sys_munmap(it.k, start, length)) == 0
    del it.memory[it.k.current.held], it.memory[Mm("P").mmap_sem]
    assert it.memory == before


def test_a_page_table_is_freed_when_its_vma_has_been_unlinked(alone: Any) -> None:
    """A walk that finds the VMA finds its page table: first unlink_anon_vmas, then the page table, then the VMA."""
    it = alone(three().memory)
    it.call(sys_munmap(it.k, PTRS_PER_PTE + 8, 4))
    assert freed(it) == ["A_far", "avc_far", "f3", "pt1", "far"]


@pytest.mark.parametrize(
    ("start", "end", "floor", "ceiling", "gone"),
    [
        (0, 4, 0, 0, {0}),
        (0, 4, 0, 8, set()),
        (0, 4, 0, 512, {0}),
        (8, 12, 4, 0, set()),
        (500, 1030, 0, 0, {0, 1, 2}),
        (500, 1030, 4, 0, {1, 2}),
        (500, 1030, 0, 1100, {0, 1}),
        (500, 1030, 4, 1100, {1}),
        (500, 530, 4, 600, set()),
    ],
)
def test_a_page_table_stays_if_a_neighbour_needs_it(
    alone: Any, start: int, end: int, floor: int, ceiling: int, gone: set[int]
) -> None:
    """*floor* is where the VMA before ends, *ceiling* where the next begins; 0 is none."""
    it = alone()
    for slot in range(3):
        it.set(Mm("P"))
        it.memory[Mm("P").pmd[slot]] = PageTable(f"pt{slot}")
    tlb = it.call(free_pgd_range(it.k, tlb_gather_mmu(Mm("P"), False), start, end, floor, ceiling))
    assert {int(str(table)[2:]) for table in tlb.pages} == gone
    assert {slot for slot in range(3) if it.get(Mm("P").pmd[slot]) is None} == gone


def test_the_pages_go_after_every_tlb_has_dropped_them(bench: Any) -> None:
    """The mapcount falls at once, the reference only after the flush; one interrupt for all of the range."""
    b = bench()
    pages = [b.page(b.heap, vpn, node=0, written=1) for vpn in range(2)]
    b.spawn("unmapper", lambda k: sys_munmap(k, 0, 8))
    b.spawn("reader", lambda k: user_read(k, 0), cpu=1)
    run = b.start()
    run.only("reader")
    run.only("unmapper", until=lambda event: type(event.op) is SendIpi)
    assert [(run[it._mapcount], run[it._count], run[it.life]) for it in pages] == [(-1, 1, False)] * 2
    assert run[b.cpu1.tlb[b.p, 0]] is not None
    run.only("unmapper", until=lambda event: type(event.op) is Until)
    assert run[b.cpu1.tlb[b.p, 0]] is None
    run.only("unmapper")
    assert all(run[it.life] for it in pages)
    assert run.ops(HandleIpi) == 1
    assert run.violation is None


def test_a_migration_entry_is_cleared_and_its_page_goes_with_the_migrator(alone: Any) -> None:
    """It is no mapping: nothing is flushed for it, and the reference is the migrator's to drop."""
    b = three()
    it = alone(b.memory)
    page = it.get(PageTable("pt0").pte[4]).page
    it.memory[page._count] += 1  # the isolation
    it.set(page, PG_locked=Task("migrator"))
    it.call(try_to_unmap(it.k, page, TTU_MIGRATION))
    it.call(sys_munmap(it.k, 4, 4))
    assert it.points.count("tlb_flush") == 0
    assert (it.get(page._count), it.get(page.migration_ptes), it.get(page.life)) == (1, 0, False)


def test_a_stale_migration_entry_stops_an_exit(alone: Any) -> None:
    """The kernel's own BUG: the entry must name a locked page."""
    it = alone(three().memory)
    page = it.get(PageTable("pt0").pte[4]).page
    it.memory[PageTable("pt0").pte[4]] = Pte("migration", page, True)
    with pytest.raises(Violation, match="which is not locked"):
        it.call(do_exit(it.k))


def test_no_anon_vma_lock_is_held_while_ptes_are_cleared(alone: Any) -> None:
    """Munmap takes the ptl for that, and the root's lock only to unlink: rmap walks of the same page go on."""
    it = alone(three().memory)
    mutex = AnonVma("A_middle").mutex
    seen = []
    for op in it.steps(sys_munmap(it.k, 4, 4)):
        field = getattr(op, "field", None)
        if field is not None and field.base == "pte":
            seen.append((it.get(PageTable("pt0").ptl) is it.k.current, it.get(mutex)))
    assert seen == [(True, None)]
    assert [str(op.lock.ref) for op in it.ops if isinstance(op, Acquire)] == ["P", "pt0", "A_middle"]


@pytest.mark.parametrize(("variant", "found"), [("rfc_remap_unlocked", "pt_C0"), ("mutex_v37", "")])
def test_a_walker_without_the_lock_can_lock_a_page_table_that_is_gone(bench: Any, variant: str, found: str) -> None:
    """It has looked the page table up and not taken its ptl when munmap frees it; with the lock munmap waits (H5)."""
    b = bench()
    b.page(b.heap, 0, node=0, written=1)
    child = b.fork(b.p, "C")
    b.spawn("mover", lambda k: sys_move_pages(k, b.p, (0,), 1))
    b.spawn("child", lambda k: sys_munmap(k, 0, 8), cpu=1, mm=child)
    run = b.start(variant)
    run.only("mover", until=lambda event: "remap_walk" in event.points)
    run.only("mover", until=lambda event: event.op is child.pmd[0])
    run.only("child")
    assert run[PageTable("pt_C0").life] is bool(found)
    while run.violation is None and run.only("mover", "child", until=lambda event: True):
        pass
    violation = run.violation
    assert [str(ref) for ref in violation.culprits] == [found] if violation else not found


# --- MADV_DONTNEED -----------------------------------------------------------------------------------------


def test_madv_dontneed_keeps_the_vma_and_its_page_table(alone: Any) -> None:
    """The pages go; what is read there afterwards is new and empty, and links and tables are as before."""
    it = alone(three().memory)
    it.call(sys_madvise(it.k, 4, 4))
    assert freed(it) == ["f1"]
    assert it.get(Mm("P").mmap) == tuple(map(Vma, ("low", "middle", "high", "far")))
    assert it.get(AnonVmaChain("avc_middle").life) is False
    it.call(user_read(it.k, 4))
    assert it.get(it.get(PageTable("pt0").pte[4]).page.data) is None
    assert invariants.at_end(it.memory) is None


def test_madv_dontneed_may_cover_several_vmas(alone: Any) -> None:
    """A range over all three."""
    it = alone(three().memory)
    it.call(sys_madvise(it.k, 0, 12))
    assert freed(it) == ["f0", "f1", "f2"]


def test_madv_dontneed_shares_mmap_sem_with_faults(bench: Any) -> None:
    """It takes it to read: a thread in a fault does not wait for it."""
    b = bench()
    b.page(b.heap, 0, node=0, written=1)
    b.spawn("adviser", lambda k: sys_madvise(k, 0, 1))
    b.spawn("other", lambda k: user_write(k, 5), cpu=1)
    run = b.start()
    run.only("adviser", until=lambda event: type(event.op) is Acquire)
    run.only("other")
    assert "other" in b.results
    run.only("adviser")
    assert run.violation is None


def test_exit_frees_frames_after_the_flush_and_vmas_last(alone: Any) -> None:
    """And the address space itself at the very end."""
    it = alone(three().memory)
    it.call(do_exit(it.k))
    order = freed(it)
    assert order[-5:] == ["low", "middle", "high", "far", "P"]
    assert order.index("A_far") < order.index("f0")
    assert "pt0" in order
    assert "pt1" in order
    assert it.get(Task("alone").held) == ()
