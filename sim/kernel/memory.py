"""Page tables and what is in them: mm/memory.c (v3.7), for anonymous 4 KiB pages.

In this file: what a page fault does below the VMA, what a fork copies, and how pages and page tables go.

The functions of a fault run with mmap_sem held, in a fault only to read: VMAs stay, except that a stack may grow, and
other faults of the process go on.  The PTE is read without its lock first, so each path takes the page table's
lock (ptl), looks again, and leaves the PTE alone if somebody was faster; the access is then tried again.

Left out: files, and the shared zero page (a read fault gets a frame of its own too).
"""

from __future__ import annotations

from errno import ENOMEM
from typing import NamedTuple

from sim.context import Context
from sim.ghosts import after, forget
from sim.kernel import huge_memory, migrate, mmap, swap_state, swapfile
from sim.kernel.numacore import memory as numacore
from sim.kernel.page_alloc import alloc_pages_node
from sim.kernel.pgtable import (
    is_migration_entry,
    is_swap_entry,
    is_write_migration_entry,
    make_migration_entry_read,
    pmd_addr_end,
    pmd_index,
    pmd_numa,
    pmd_offset,
    pmd_trans_huge,
    pmd_trans_splitting,
    pte_none,
    pte_numa,
    pte_offset_map,
    pte_present,
    pte_wrprotect,
)
from sim.kernel.pgtable_generic import ptep_set_wrprotect
from sim.kernel.rmap import (
    anon_vma_prepare,
    do_page_add_anon_rmap,
    page_add_new_anon_rmap,
    page_dup_rmap,
    page_move_anon_rmap,
    page_remove_rmap,
    unlink_anon_vmas,
)
from sim.kernel.swap import get_page, put_page
from sim.kernel.swapops import migration_entry_to_page
from sim.kernel.tlb import flush_tlb_mm, flush_tlb_mm_range, flush_tlb_page
from sim.ops import Alloc, Bug, CopyPage, Field, Free, Kernel, Point
from sim.structs import PTRS_PER_PTE, VM_GROWSDOWN, VM_LOCKED, VM_WRITE, Mm, Page, PageTable, Pmd, Pte, SwapSlot, Vma
from sim.sync import lock_page, spin_lock, spin_lock_nested, spin_unlock, trylock_page, unlock_page

#: What ``follow_page`` is to do: take a reference, and make small pages of a huge one.  include/linux/mm.h:1549 (v3.7)
FOLL_GET, FOLL_SPLIT = 0x4, 0x80


def follow_page(k: Context, vma: Vma, address: int, flags: int = FOLL_GET) -> Kernel:
    """The page that is mapped at *address*, with a reference taken; or None.  mm/memory.c:1484 (v3.7)

    Caller holds mmap_sem, to read at least.  Takes the ptl: while it is held the PTE's own reference keeps the page.
    Does not fault anything in.  A huge page is split first if *flags* say so; else the answer is its head, found under
    page_table_lock, and if somebody is splitting it, it is waited for.
    """
    mm = yield vma.vm_mm
    table = yield pmd_offset(mm, address)
    if pmd_trans_huge(table):
        page = yield from _follow_huge_page(k, vma, mm, address, flags)
        if page is not None:
            return page
        table = yield pmd_offset(mm, address)
    if table is None or isinstance(table, Pmd):  # pmd_bad
        return None
    yield from spin_lock(table.ptl)
    entry = yield pte_offset_map(table, address)
    page = None
    if pte_present(entry):
        page = entry.page
        yield from get_page(k, page)
    yield from spin_unlock(table.ptl)
    return page


def _follow_huge_page(k: Context, vma: Vma, mm: Mm, address: int, flags: int) -> Kernel:
    """The huge page around *address*, with a reference; None if it is small pages now.  (Part of follow_page.)"""
    pmd = pmd_offset(mm, address)
    if flags & FOLL_SPLIT:
        yield from huge_memory.__split_huge_page_pmd(k, mm, pmd)
        return None
    yield from spin_lock(mm.page_table_lock)
    entry = yield pmd
    page = None
    if pmd_trans_huge(entry) and not entry.splitting:
        page = yield from huge_memory.follow_trans_huge_pmd(k, address, entry)
    yield from spin_unlock(mm.page_table_lock)
    if pmd_trans_huge(entry) and entry.splitting:
        anon_vma = yield vma.anon_vma
        yield from huge_memory.wait_split_huge_page(k, anon_vma)
    return page


def handle_mm_fault(k: Context, mm: Mm, vma: Vma, address: int, write: bool) -> Kernel:
    """Find the page table of *address*, or make it, and handle the fault there.  mm/memory.c:3508 (v3.7)

    Caller holds mmap_sem, to read at least.  Where there is no page table yet there may be room for a huge page.
    """
    table = yield pmd_offset(mm, address)
    if table is None:
        huge = yield from huge_memory.transparent_hugepage_enabled(k, mm)
        if huge:
            huge = yield from huge_memory.do_huge_pmd_anonymous_page(k, mm, vma, address)
            if huge:
                return
        yield from __pte_alloc(k, mm, address)
        table = yield pmd_offset(mm, address)
    if isinstance(table, Pmd):
        yield from _handle_huge(k, mm, vma, address, table, write)
        return
    yield from handle_pte_fault(k, mm, vma, address, table, write)


def _handle_huge(k: Context, mm: Mm, vma: Vma, address: int, orig_pmd: Pmd, write: bool) -> Kernel:
    """A fault on a huge page: a NUMA hint, a write to what is read-only, or nothing any more.

    While it is being split nothing is done: the access is tried again until it is small pages.  (Part of
    handle_mm_fault; the NUMA hint at mm/memory.c:3722 of 3.8.)
    """
    if pmd_numa(orig_pmd):
        yield from huge_memory.do_huge_pmd_numa_page(k, mm, vma, address, orig_pmd)
    elif write and not orig_pmd.write and not pmd_trans_splitting(orig_pmd):
        yield from huge_memory.do_huge_pmd_wp_page(k, mm, vma, address, pmd_offset(mm, address), orig_pmd)


def __pte_alloc(k: Context, mm: Mm, address: int) -> Kernel:
    """Give *address* a page table, unless another thread has meanwhile.  mm/memory.c:581 (v3.7)

    Caller holds mmap_sem, to read at least.  Takes page_table_lock.
    """
    new = yield Alloc(PageTable)
    yield from spin_lock(mm.page_table_lock)
    table = yield pmd_offset(mm, address)
    if table is None:
        yield pmd_offset(mm, address).set(new)
    yield from spin_unlock(mm.page_table_lock)
    if table is not None:
        yield Free(new)


def handle_pte_fault(k: Context, mm: Mm, vma: Vma, address: int, table: PageTable, write: bool) -> Kernel:
    """Do what the PTE of *address* asks for.  It is read without a lock.  mm/memory.c:3452 (v3.7)

    Caller holds mmap_sem, to read at least.  NUMA hints are numa/core's: see :mod:`sim.kernel.numacore.memory`.
    """
    pte = pte_offset_map(table, address)
    entry = yield pte
    if pte_none(entry):
        yield from do_anonymous_page(k, vma, address, table, pte)
    elif not pte_present(entry):
        yield from do_swap_page(k, mm, vma, address, table, pte, write, entry)
    elif pte_numa(entry):
        yield from numacore.do_numa_page(k, mm, vma, address)
    else:
        yield from _handle_present(k, vma, address, table, pte, entry, write)


def _handle_present(
    k: Context, vma: Vma, address: int, table: PageTable, pte: Field, orig_pte: Pte, write: bool
) -> Kernel:
    """A present PTE: another thread has served the fault already, or a write met a read-only PTE.

    Takes the ptl.  (The second half of handle_pte_fault.)
    """
    yield from spin_lock(table.ptl)
    entry = yield pte
    if entry == orig_pte and write and not entry.write:
        yield from do_wp_page(k, vma, address, table, pte, entry)  # drops the ptl
        return
    if entry == orig_pte and write and not entry.dirty:
        yield from ptep_set_access_flags(k, vma, address, pte, entry._replace(dirty=True))
    yield from spin_unlock(table.ptl)


# --- what the PTE may ask for ----------------------------------------------------------------------------


def do_anonymous_page(k: Context, vma: Vma, address: int, table: PageTable, pte: Field) -> Kernel:
    """Map a new, zeroed frame of this CPU's node.  mm/memory.c:3134 (v3.7)

    Caller holds mmap_sem, to read at least.  May take the root anon_vma's lock (a growing stack, a first fault),
    and then the ptl.  A migrator that has cleared the PTE and not yet stored its entry leaves it none for a
    whole round of interrupts; only the second look under the ptl saves the page.
    """
    error = yield from check_stack_guard_page(k, vma, address)
    if error:
        yield Bug("kernel bug", f"{k.current} gets SIGBUS: no room to grow {vma} at page {address}", (vma,))
    yield from anon_vma_prepare(k, vma)
    page = yield from alloc_pages_node(k, k.node)
    yield Point("clear_page")
    vm_flags = yield vma.vm_flags
    writable = bool(vm_flags & VM_WRITE)
    yield from spin_lock(table.ptl)
    entry = yield pte
    if pte_none(entry):
        yield from page_add_new_anon_rmap(k, page, vma, address)
        yield pte.set(Pte("present", page, writable, writable))
    else:  # somebody was faster
        yield from put_page(k, page)
    yield from spin_unlock(table.ptl)


def check_stack_guard_page(k: Context, vma: Vma, address: int) -> Kernel:
    """Keep one page free below a stack: grow it once more if its lowest page is touched.  Returns 0 or -ENOMEM.

    So a fault below the stack takes the VMA out of its tree and puts it back twice, here and in expand_stack.
    Caller holds mmap_sem, to read at least.  Takes the root anon_vma's lock to write.  mm/memory.c:3100 (v3.7)
    """
    vm_flags = yield vma.vm_flags
    if not vm_flags & VM_GROWSDOWN:
        return 0
    vm_start = yield vma.vm_start
    if address != vm_start:
        return 0
    before, _ = yield from mmap.neighbours(k, vma)
    if before is not None:
        vm_end = yield before.vm_end
        if vm_end == address:  # fine only if it is the other half of a stack that was split
            vm_flags = yield before.vm_flags
            return 0 if vm_flags & VM_GROWSDOWN else -ENOMEM
    yield from mmap.expand_downwards(k, vma, address - 1)  # whether it worked nobody asks
    return 0


def do_swap_page(
    k: Context, mm: Mm, vma: Vma, address: int, table: PageTable, pte: Field, write: bool, orig_pte: Pte
) -> Kernel:
    """The PTE holds no page: wait until the page has moved, or bring it back from swap.

    Caller holds mmap_sem, to read at least, and keeps it while it sleeps (as on the second try of a fault; on the
    first the kernel lets go of it to wait for the page's lock).  Takes the page's lock and the ptl.  The page was
    found without a lock, so under its lock this looks whether it still belongs to the entry, and under the ptl
    whether the PTE still holds the entry; either way the access is then tried again.  mm/memory.c:2917 (v3.7)
    """
    if is_migration_entry(orig_pte):
        yield from migrate.migration_entry_wait(k, mm, table, address)
        return
    if not is_swap_entry(orig_pte):
        yield Bug("kernel bug", f"{k.current} faults on a {orig_pte.kind} entry at page {address}")
    slot = orig_pte.page
    page = yield from swap_state.lookup_swap_cache(k, slot)
    if page is None:
        page = yield from swap_state.swapin_readahead(k, slot)
        if page is None:  # nobody names the slot any more, so neither does this PTE
            return
    yield from lock_page(page)
    current = yield page.private
    if current is not slot:
        yield from unlock_page(page)
        yield from put_page(k, page)
        return
    yield from spin_lock(table.ptl)
    entry = yield pte
    if entry != orig_pte:
        yield from spin_unlock(table.ptl)
        yield from unlock_page(page)
        yield from put_page(k, page)
        return
    yield from _map_swapped_page(k, vma, address, table, pte, write, page, slot)


def _map_swapped_page(
    k: Context, vma: Vma, address: int, table: PageTable, pte: Field, write: bool, page: Page, slot: SwapSlot
) -> Kernel:
    """Put *page* where the PTE names *slot*.  (The second half of do_swap_page.)

    Caller holds the page lock, the ptl and a reference, all of which this gives back or hands to the PTE.  A write
    needs the page alone: without a relative's PTE or swap entry it leaves the swap cache here, else it is copied.
    """
    vm_flags = yield vma.vm_flags
    exclusive = False
    if write:
        exclusive = yield from swapfile.reuse_swap_page(k, page)
    entry = Pte("present", page, exclusive, exclusive)
    yield pte.set(entry)
    yield from do_page_add_anon_rmap(k, page, vma, address, exclusive)
    yield from swapfile.swap_free(k, slot)
    mlocked = yield page.PG_mlocked
    if vm_flags & VM_LOCKED or mlocked:
        yield from swapfile.try_to_free_swap(k, page)
    yield from unlock_page(page)
    if write and not exclusive:
        yield from do_wp_page(k, vma, address, table, pte, entry)  # drops the ptl
        return
    yield from spin_unlock(table.ptl)


def do_wp_page(k: Context, vma: Vma, address: int, table: PageTable, pte: Field, orig_pte: Pte) -> Kernel:
    """A write met a read-only PTE: make it writable if nobody else has the page, else copy the page.

    Caller holds mmap_sem, to read at least, and the ptl, which this gives back.  Takes the page's lock, so that
    nobody migrates it meanwhile; if that means sleeping, without the ptl and with a reference.  A page that has become
    this process's alone moves to the VMA's own anon_vma, so that walks need not visit relatives.
    mm/memory.c:2525 (v3.7)
    """
    page = orig_pte.page
    locked = yield from trylock_page(page)
    if not locked:
        yield from get_page(k, page)
        yield from spin_unlock(table.ptl)
        yield from lock_page(page)
        yield from spin_lock(table.ptl)
        entry = yield pte
        if entry != orig_pte:
            yield from unlock_page(page)
            yield from spin_unlock(table.ptl)
            yield from put_page(k, page)
            return
        yield from put_page(k, page)
    alone = yield from swapfile.reuse_swap_page(k, page)
    if alone:
        yield from page_move_anon_rmap(k, page, vma, address)
        yield from unlock_page(page)
        yield from ptep_set_access_flags(k, vma, address, pte, orig_pte._replace(write=True, dirty=True))
        yield from spin_unlock(table.ptl)
        return
    yield from unlock_page(page)
    yield from get_page(k, page)
    yield from spin_unlock(table.ptl)
    yield from _copy_on_write(k, vma, address, table, pte, orig_pte)


def _copy_on_write(k: Context, vma: Vma, address: int, table: PageTable, pte: Field, orig_pte: Pte) -> Kernel:
    """Give the VMA a copy of the page of *orig_pte* to write to.  (The second half of do_wp_page.)

    Caller holds mmap_sem, to read at least, no spinlock, and a reference to the old page, which this gives back.
    The page is copied without a lock, so the PTE is looked at again under the ptl.  The old page's mapping goes last:
    once a relative sees that the page is its alone it writes there, and no TLB may then read it for this VMA.
    """
    old = orig_pte.page
    yield from anon_vma_prepare(k, vma)
    new = yield from alloc_pages_node(k, k.node)
    yield CopyPage(new, old)
    yield from spin_lock(table.ptl)
    entry = yield pte
    if entry == orig_pte:
        yield from k.ptep_clear_flush(vma, address, pte)
        yield from page_add_new_anon_rmap(k, new, vma, address)
        yield pte.set(Pte("present", new, True, True))
        yield from page_remove_rmap(k, old)
        new = old  # the PTE's reference goes
    yield from put_page(k, new)
    yield from spin_unlock(table.ptl)
    yield from put_page(k, old)


def ptep_set_access_flags(k: Context, vma: Vma, address: int, pte: Field, entry: Pte) -> Kernel:
    """Store an *entry* that allows more than before, and flush, although no TLB can allow too much.

    Caller holds the ptl.  3.8 has dropped this flush.  arch/x86/mm/pgtable.c:304 (v3.7)
    """
    yield pte.set(entry)
    yield from flush_tlb_page(k, vma, address)


def clear_huge_page(k: Context, page: Page) -> Kernel:
    """Zero a new huge page, small page by small page.  mm/memory.c:4004 (v3.7)"""
    tails = yield page.tails
    todo = 1 + len(tails)
    while todo:
        yield Point("clear_page")
        todo -= 1


# --- fork: copying page tables ---------------------------------------------------------------------------


def copy_page_range(k: Context, dst_mm: Mm, src_mm: Mm, vma: Vma) -> Kernel:
    """Copy the PTEs of *vma*, a VMA of the parent *src_mm*, to the child *dst_mm*.  mm/memory.c:1040 (v3.7)

    Caller holds both mmap_sems to write, and has linked the child's VMA to the family's trees.
    """
    anon_vma = yield vma.anon_vma
    if anon_vma is None:  # faults will fill it just as well
        return
    address = yield vma.vm_start
    end = yield vma.vm_end
    while address < end:
        stop = pmd_addr_end(address, end)
        table = yield pmd_offset(src_mm, address)
        if isinstance(table, Pmd):
            table = yield from _copy_huge(k, dst_mm, src_mm, vma, address)
        if table is not None:
            yield from copy_pte_range(k, dst_mm, src_mm, table, address, stop)
        address = stop


def _copy_huge(k: Context, dst_mm: Mm, src_mm: Mm, vma: Vma, address: int) -> Kernel:
    """Copy the huge page at *address*; return None, or the page table that it has become.  (Part of copy_pmd_range.)

    What is huge still, after it was waited for, the kernel calls a bad PMD.
    """
    err = yield from huge_memory.copy_huge_pmd(k, dst_mm, src_mm, address, vma)
    if err == 0:
        return None
    table = yield pmd_offset(src_mm, address)
    if isinstance(table, Pmd):
        yield from huge_memory.bug_on(k, True, f"{table.page} is still huge, although its split was over", table.page)
    return table


def copy_pte_range(k: Context, dst_mm: Mm, src_mm: Mm, src_table: PageTable, address: int, end: int) -> Kernel:
    """Copy the PTEs of one page table.  mm/memory.c:922 (v3.7)

    Takes the ptl of the child's page table and inside it the parent's, and makes the former if there is none.  The
    kernel lets go of both now and then, if somebody waits.
    """
    dst_table = yield pmd_offset(dst_mm, address)
    if dst_table is None:
        yield from __pte_alloc(k, dst_mm, address)
        dst_table = yield pmd_offset(dst_mm, address)
    yield from spin_lock(dst_table.ptl)
    yield from spin_lock_nested(src_table.ptl)
    used = yield src_mm.used_of_512
    while address < end:
        src_pte = pte_offset_map(src_table, address)
        entry = yield src_pte
        if not pte_none(entry):
            yield from copy_one_pte(k, pte_offset_map(dst_table, address), src_pte)
        address = after(address, used)
    yield from spin_unlock(src_table.ptl)
    yield from spin_unlock(dst_table.ptl)


def copy_one_pte(k: Context, dst_pte: Field, src_pte: Field) -> Kernel:
    """Copy one PTE.  Afterwards neither process may write without a fault.  mm/memory.c:841 (v3.7)

    Caller holds both ptls.  A present PTE is one more mapping of its page and one more reference.  A migration entry
    is neither: it is copied, and if it was writable it becomes read-only in both, so that the remap walk gives no
    right back.  A swap entry is one more user of its slot.  All mappings are private here (copy on write).
    """
    pte = yield src_pte
    if pte_present(pte):
        yield from ptep_set_wrprotect(k, src_pte)
        pte = pte_wrprotect(pte)
        yield from get_page(k, pte.page)
        yield from page_dup_rmap(k, pte.page)
    elif is_migration_entry(pte):
        yield from migration_entry_to_page(k, pte)
        if is_write_migration_entry(pte):
            pte = make_migration_entry_read(pte)
            yield src_pte.set(pte)
    else:
        yield from swapfile.swap_duplicate(k, pte.page)
    yield dst_pte.set(pte)


# --- unmapping: zap, flush, free -------------------------------------------------------------------------


class MmuGather(NamedTuple):
    """What an unmapping has taken out of page tables, and may free only after a flush.

    In the kernel it lies on the stack and is changed in place; here each function returns the next one.
    include/asm-generic/tlb.h:92 (v3.7)

    Attributes:
        mm: whose pages they are.
        fullmm: whether the whole address space goes.
        need_flush: whether there is anything to flush.
        pages: the frames and page tables, in the order in which they were taken out.
    """

    mm: Mm
    fullmm: bool
    need_flush: bool = False
    pages: tuple[Page | PageTable, ...] = ()


def tlb_gather_mmu(mm: Mm, fullmm: bool) -> MmuGather:
    """Begin to gather.  mm/memory.c:208 (v3.7)"""
    return MmuGather(mm, fullmm)


def tlb_remove_page(tlb: MmuGather, page: Page | PageTable) -> MmuGather:
    """Keep *page* until the flush; its PTE's reference goes with it.  include/asm-generic/tlb.h:135 (v3.7)

    The kernel flushes in between if it has no room left.
    """
    return tlb._replace(need_flush=True, pages=(*tlb.pages, page))


def tlb_flush_mmu(k: Context, tlb: MmuGather, start: int, end: int) -> Kernel:
    """Flush what was unmapped between *start* and *end*, then free it.  mm/memory.c:228 (v3.7)"""
    if not tlb.need_flush:
        return
    if tlb.fullmm:
        yield from flush_tlb_mm(k, tlb.mm)
    else:
        yield from flush_tlb_mm_range(k, tlb.mm, start, end)
    yield from swap_state.free_pages_and_swap_cache(k, tlb.pages)


def tlb_finish_mmu(k: Context, tlb: MmuGather, start: int, end: int) -> Kernel:
    """The end of an unmapping: flush, free.  mm/memory.c:254 (v3.7)"""
    yield from tlb_flush_mmu(k, tlb, start, end)


def unmap_vmas(k: Context, tlb: MmuGather, vmas: tuple[Vma, ...], start: int, end: int) -> Kernel:
    """Unmap all pages of *vmas* that lie in [*start*, *end*); return the gather.  mm/memory.c:1386 (v3.7)

    Takes the ptl, and no anon_vma lock: walks of the same pages go on.
    """
    while vmas:
        vma, vmas = vmas[0], vmas[1:]
        tlb = yield from unmap_single_vma(k, tlb, vma, start, end)
    return tlb


def unmap_single_vma(k: Context, tlb: MmuGather, vma: Vma, start: int, end: int) -> Kernel:
    """Unmap the part of *vma* that lies in [*start*, *end*); return the gather.  mm/memory.c:1325 (v3.7)"""
    vm_start = yield vma.vm_start
    vm_end = yield vma.vm_end
    if max(vm_start, start) < min(vm_end, end):
        tlb = yield from unmap_page_range(k, tlb, vma, max(vm_start, start), min(vm_end, end))
    return tlb


def unmap_page_range(k: Context, tlb: MmuGather, vma: Vma, address: int, end: int) -> Kernel:
    """Unmap [*address*, *end*) of *vma*, page table by page table; return the gather.  mm/memory.c:1299 (v3.7)

    A huge page that is unmapped in part only is split first.
    """
    while address < end:
        stop = pmd_addr_end(address, end)
        table = yield pmd_offset(tlb.mm, address)
        if isinstance(table, Pmd):
            tlb, table = yield from _zap_huge(k, tlb, vma, address, stop)
        if table is not None:
            tlb = yield from zap_pte_range(k, tlb, table, address, stop)
        address = stop
    return tlb


def _zap_huge(k: Context, tlb: MmuGather, vma: Vma, address: int, end: int) -> Kernel:
    """Unmap a huge page; return the gather, and the page table that the huge page has become, if it has.

    Caller holds mmap_sem, perhaps to read only: then another thread may have unmapped it, and a fault may have put
    another huge page in its place, which is left alone.  (Part of zap_pmd_range.)
    """
    pmd = pmd_offset(tlb.mm, address)
    if end - address != PTRS_PER_PTE:
        yield from huge_memory.__split_huge_page_pmd(k, tlb.mm, pmd)
    else:
        tlb, gone = yield from huge_memory.zap_huge_pmd(k, tlb, vma, pmd)
        if gone:
            return tlb, None
    table = yield pmd
    return tlb, None if isinstance(table, Pmd) else table  # pmd_none_or_trans_huge_or_clear_bad


def zap_pte_range(k: Context, tlb: MmuGather, table: PageTable, address: int, end: int) -> Kernel:
    """Clear the PTEs of [*address*, *end*), which are all in *table*; return the gather.  mm/memory.c:1109 (v3.7)

    Takes the ptl.  A present page loses a mapping at once and its reference only after the flush, because a TLB may
    still name it; that reference makes a migration of the page fail meanwhile.  A migration entry is cleared, and the
    walk that comes to replace it finds nothing: fine, for its page is going.  It must name a locked page all the same.
    """
    yield from spin_lock(table.ptl)
    yield from k.flush_tlb_batched_pending(tlb.mm)
    used = yield tlb.mm.used_of_512
    while address < end:
        pte = pte_offset_map(table, address)
        ptent = yield pte
        if pte_present(ptent):
            yield pte.xchg(None)
            yield from page_remove_rmap(k, ptent.page)
            tlb = tlb_remove_page(tlb, ptent.page)
        elif not pte_none(ptent):
            yield from _zap_not_present(k, pte, ptent)
        address = after(address, used)
    yield from spin_unlock(table.ptl)
    return tlb


def _zap_not_present(k: Context, pte: Field, ptent: Pte) -> Kernel:
    """Clear an entry that maps no page.  Caller holds the ptl.  (Part of zap_pte_range.)"""
    if is_migration_entry(ptent):
        yield from migration_entry_to_page(k, ptent)
    else:
        yield from swapfile.free_swap_and_cache(k, ptent.page)
    yield pte.set(None)


def zap_page_range(k: Context, vma: Vma, start: int, size: int) -> Kernel:
    """Unmap and free *size* pages of *vma* from *start* on; the VMA and its page tables stay.  mm/memory.c:1407 (v3.7)

    Caller holds mmap_sem, to read at least.
    """
    mm = yield vma.vm_mm
    tlb = tlb_gather_mmu(mm, False)
    tlb = yield from unmap_single_vma(k, tlb, vma, start, start + size)
    yield from tlb_finish_mmu(k, tlb, start, start + size)
    yield from forget(mm, start, start + size)


# --- freeing page tables ---------------------------------------------------------------------------------


def free_pgtables(k: Context, tlb: MmuGather, vmas: tuple[Vma, ...], floor: int, ceiling: int) -> Kernel:
    """Unlink *vmas* from their anon_vmas, then take out the page tables that nobody else needs; return the gather.

    First the one and then the other: a walk must not find a VMA whose page tables are gone.  *floor* is the end of
    the VMA before, *ceiling* the start of the one after (0 if there is none).  Takes the root anon_vma's lock.
    mm/memory.c:546 (v3.7)
    """
    while vmas:
        vma, vmas = vmas[0], vmas[1:]
        address = yield vma.vm_start
        yield from unlink_anon_vmas(k, vma)
        end = yield vma.vm_end
        following = ceiling
        while vmas:  # those nearby go in one call
            following = yield vmas[0].vm_start
            if following > end + PTRS_PER_PTE:
                break
            vma, vmas = vmas[0], vmas[1:]
            yield from unlink_anon_vmas(k, vma)
            end = yield vma.vm_end
            following = ceiling
        tlb = yield from free_pgd_range(k, tlb, address, end, floor, following)
    return tlb


def free_pgd_range(k: Context, tlb: MmuGather, address: int, end: int, floor: int, ceiling: int) -> Kernel:
    """Take out the page tables of [*address*, *end*) that cover nothing below *floor* or from *ceiling* on.

    Returns the gather.  Caller has unlinked every VMA there.  mm/memory.c:488 (v3.7)
    """
    first, last = pmd_index(address), pmd_index(end - 1)
    if first * PTRS_PER_PTE < floor:
        first += 1
    if ceiling and (last + 1) * PTRS_PER_PTE > ceiling:
        last -= 1
    while first <= last:
        pmd = tlb.mm.pmd[first]
        table = yield pmd
        if table is not None:
            tlb = yield from free_pte_range(k, tlb, pmd, table)
        first += 1
    return tlb


def free_pte_range(k: Context, tlb: MmuGather, pmd: Field, table: PageTable) -> Kernel:
    """Take one page table out; it is freed after the flush.  Returns the gather.  mm/memory.c:408 (v3.7)"""
    yield pmd.set(None)
    return tlb_remove_page(tlb, table)
