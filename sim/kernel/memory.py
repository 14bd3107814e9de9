"""What a page fault does below the VMA: mm/memory.c (v3.7), for anonymous 4 KiB pages.

All functions here run with mmap_sem held, in a fault only to read: VMAs stay, except that a stack may grow, and
other faults of the process go on.  The PTE is read without its lock first, so each path takes the page table's
lock (ptl), looks again, and leaves the PTE alone if somebody was faster; the access is then tried again.

Left out: files, the shared zero page (a read fault gets a frame of its own too) and copy on write between
processes.
"""

from __future__ import annotations

from errno import ENOMEM

from sim.context import Context
from sim.kernel import migrate
from sim.kernel.mmap import expand_downwards, neighbours
from sim.kernel.numacore import memory as numacore
from sim.kernel.page_alloc import alloc_pages_node
from sim.kernel.pgtable import (
    is_migration_entry,
    is_swap_entry,
    pmd_offset,
    pte_none,
    pte_numa,
    pte_offset_map,
    pte_present,
)
from sim.kernel.rmap import anon_vma_prepare, do_page_add_anon_rmap, page_add_new_anon_rmap
from sim.kernel.swap import get_page, put_page
from sim.kernel.swap_state import lookup_swap_cache, swapin_readahead
from sim.kernel.swapfile import reuse_swap_page, swap_free, try_to_free_swap
from sim.kernel.tlb import flush_tlb_page
from sim.ops import Alloc, Bug, Field, Free, Kernel, Point
from sim.structs import VM_GROWSDOWN, VM_LOCKED, VM_WRITE, Mm, Page, PageTable, Pte, SwapSlot, Vma
from sim.sync import lock_page, spin_lock, spin_unlock, trylock_page, unlock_page


def follow_page(k: Context, vma: Vma, address: int) -> Kernel:
    """The page that is mapped at *address*, with a reference taken; or None.  mm/memory.c:1484 (v3.7)

    Caller holds mmap_sem, to read at least.  Takes the ptl: while it is held the PTE's own reference keeps the page.
    Does not fault anything in.
    """
    mm = yield vma.vm_mm
    table = yield pmd_offset(mm, address)
    if table is None:
        return None
    yield from spin_lock(table.ptl)
    entry = yield pte_offset_map(table, address)
    page = None
    if pte_present(entry):
        page = entry.page
        yield from get_page(k, page)
    yield from spin_unlock(table.ptl)
    return page


def handle_mm_fault(k: Context, mm: Mm, vma: Vma, address: int, write: bool) -> Kernel:
    """Find the page table of *address*, or make it, and handle the fault there.  mm/memory.c:3508 (v3.7)

    Caller holds mmap_sem, to read at least.
    """
    table = yield pmd_offset(mm, address)
    if table is None:
        yield from __pte_alloc(k, mm, address)
        table = yield pmd_offset(mm, address)
    yield from handle_pte_fault(k, mm, vma, address, table, write)


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
    before, _ = yield from neighbours(k, vma)
    if before is not None:
        vm_end = yield before.vm_end
        if vm_end == address:  # fine only if it is the other half of a stack that was split
            vm_flags = yield before.vm_flags
            return 0 if vm_flags & VM_GROWSDOWN else -ENOMEM
    yield from expand_downwards(k, vma, address - 1)  # whether it worked nobody asks
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
    page = yield from lookup_swap_cache(k, slot)
    if page is None:
        page = yield from swapin_readahead(k, slot)
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
        exclusive = yield from reuse_swap_page(k, page)
    entry = Pte("present", page, exclusive, exclusive)
    yield pte.set(entry)
    yield from do_page_add_anon_rmap(k, page, vma, address, exclusive)
    yield from swap_free(k, slot)
    mlocked = yield page.PG_mlocked
    if vm_flags & VM_LOCKED or mlocked:
        yield from try_to_free_swap(k, page)
    yield from unlock_page(page)
    if write and not exclusive:
        yield from do_wp_page(k, vma, address, table, pte, entry)  # drops the ptl
        return
    yield from spin_unlock(table.ptl)


def do_wp_page(k: Context, vma: Vma, address: int, table: PageTable, pte: Field, orig_pte: Pte) -> Kernel:
    """A write met a read-only PTE: make it writable, if nobody else maps the page.  mm/memory.c:2525 (v3.7)

    Caller holds mmap_sem, to read at least, and the ptl, which this gives back.  Takes the page's lock, so that
    nobody migrates it meanwhile; if that means sleeping, without the ptl and with a reference.
    A page with two mappings would be copied; that is not modelled.
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
    alone = yield from reuse_swap_page(k, page)
    if not alone:
        yield Bug("kernel bug", f"{k.current} writes to {page}, which is shared: copy on write is missing", (page,))
    yield from unlock_page(page)
    yield from ptep_set_access_flags(k, vma, address, pte, orig_pte._replace(write=True, dirty=True))
    yield from spin_unlock(table.ptl)


def ptep_set_access_flags(k: Context, vma: Vma, address: int, pte: Field, entry: Pte) -> Kernel:
    """Store an *entry* that allows more than before, and flush, although no TLB can allow too much.

    Caller holds the ptl.  3.8 has dropped this flush.  arch/x86/mm/pgtable.c:304 (v3.7)
    """
    yield pte.set(entry)
    yield from flush_tlb_page(k, vma, address)
