"""Making one huge page out of 512 small ones: mm/huge_memory.c (v3.7), as far as it hides page tables.

khugepaged takes a page table out of its page directory while it looks at the PTEs, so that nobody reaches them.  Who
walks the reverse map then finds no PTE at an address at which there is one; the anon_vma lock keeps such walks out.

Left out: the huge page itself, so a collapse never succeeds.  It ends as the kernel's does when no page of the range
was used lately, or when a page cannot be had.
"""

from __future__ import annotations

from typing import Final

from sim.context import Context
from sim.kernel.mmap import find_vma
from sim.kernel.pgtable import pmd_offset, pte_none, pte_offset_map, pte_present
from sim.kernel.pgtable_generic import pmdp_clear_flush
from sim.kernel.rmap import is_vma_temporary_stack
from sim.kernel.vmscan import isolate_lru_page, putback_lru_page
from sim.ops import Bug, Kernel
from sim.structs import PTRS_PER_PTE, Mm, Page, PageTable
from sim.sync import down_write, spin_lock, spin_unlock, trylock_page, unlock_page, up_write

#: How many PTEs make a huge page.  include/linux/huge_mm.h:54 (v3.7)
HPAGE_PMD_NR: Final = PTRS_PER_PTE


def release_pte_pages(k: Context, pages: tuple[Page, ...]) -> Kernel:
    """Give back pages that were locked and isolated.  mm/huge_memory.c:1695 (v3.7)"""
    while pages:
        page, pages = pages[0], pages[1:]
        yield from unlock_page(page)
        yield from putback_lru_page(k, page)


def __collapse_huge_page_isolate(k: Context, table: PageTable, address: int, pages: int) -> Kernel:
    """Lock and isolate every page of the range; return whether the collapse goes on.  mm/huge_memory.c:1709 (v3.7)

    Caller holds mmap_sem to write, the anon_vma lock and the ptl of *table*, which is in no page directory now.  A page
    that is on its way, shared, pinned, locked or isolated by somebody else ends it.  No page was used lately here, so
    the answer is always no.
    """
    isolated: tuple[Page, ...] = ()
    end = address + pages
    while address < end:
        entry = yield pte_offset_map(table, address)
        address += 1
        if pte_none(entry):
            continue
        if not pte_present(entry) or not entry.write:
            break
        got = yield from _isolate(k, entry.page)
        if not got:
            break
        isolated = (*isolated, entry.page)
    yield from release_pte_pages(k, isolated)
    return False


def _isolate(k: Context, page: Page) -> Kernel:
    """Lock and isolate one page that nobody else uses; return whether.  (Part of __collapse_huge_page_isolate.)"""
    count = yield page._count
    if count != 1:
        return False
    locked = yield from trylock_page(page)
    if not locked:
        return False
    error = yield from isolate_lru_page(k, page)
    if error:
        yield from unlock_page(page)
    return not error


def collapse_huge_page(k: Context, mm: Mm, address: int, pages: int = HPAGE_PMD_NR) -> Kernel:
    """Try to make a huge page of what *mm* maps from *address* on; it does not come to that here.

    Takes mmap_sem to write and the anon_vma lock: against faults the one, against walks the other.  Then the page
    table is taken out of the page directory, every TLB flushed, and the PTEs are looked at under their ptl.  A
    migration entry among them ends it, and the page table is put back.  *pages*: how many PTEs are looked at; the
    kernel looks at 512, and in a small world the others are none.  mm/huge_memory.c:1921 (v3.7)
    """
    yield from down_write(mm.mmap_sem)
    vma = yield from find_vma(k, mm, address)
    if vma is not None:
        vm_start = yield vma.vm_start
        vm_end = yield vma.vm_end
        anon_vma = yield vma.anon_vma
        temporary = yield from is_vma_temporary_stack(k, vma)
        pmd = pmd_offset(mm, address)
        table = yield pmd
        inside = vm_start <= address and address + HPAGE_PMD_NR <= vm_end
        if inside and anon_vma is not None and not temporary and table is not None:
            yield from k.anon_vma_lock_write(anon_vma)
            yield from spin_lock(mm.page_table_lock)
            yield from pmdp_clear_flush(k, vma, address, pmd)
            yield from spin_unlock(mm.page_table_lock)

            yield from spin_lock(table.ptl)
            isolated = yield from __collapse_huge_page_isolate(k, table, address, pages)
            yield from spin_unlock(table.ptl)

            if isolated:
                yield Bug("kernel bug", f"{k.current} has no huge page to copy to", (table,))
            yield from spin_lock(mm.page_table_lock)
            yield pmd.set(table)
            yield from spin_unlock(mm.page_table_lock)
            yield from k.anon_vma_unlock_write(anon_vma)
    yield from up_write(mm.mmap_sem)
