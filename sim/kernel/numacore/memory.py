"""A NUMA fault as numa/core v18 handles it: all of a 2 MB range in one go.  mm/memory.c there.

Patch 04/10 of 30 November 2012, message 1354305521-11583-5-git-send-email-mingo@kernel.org.  The scanner had
made the pages of a task PROT_NONE, one fault each; here the first fault serves up to 512 of them, and moves
those that lie on the wrong node one by one.

Left out: the statistics (task_numa_fault) and the policy.  The best node of a page (mpol_misplaced) is the node
of the CPU that faults on it.
"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.numacore import migrate
from sim.kernel.pgtable import pmd_offset, pte_index, pte_numa, pte_offset_map
from sim.kernel.swap import get_page
from sim.ops import Field, Kernel, Release, TryAcquire, Until
from sim.structs import PTRS_PER_PTE, Mm, PageTable, Pte, Vma
from sim.sync import spin_lock, spin_unlock


def do_numa_page(k: Context, mm: Mm, vma: Vma, address: int) -> Kernel:
    """Serve all NUMA hints in the 2 MB around *address*, as far as *vma* reaches: its first page last.

    Caller holds mmap_sem, to read at least.  Takes page_table_lock to find the page-table page, then PG_locked of
    that page to the end, over all migrations: one fault at a time in each 2 MB.  Who does not get it sleeps until it
    is free and lets the access be tried again (as mailed it takes the lock and gives it back).  Inside it the ptl,
    dropped around each migration.  1354305521-11583-5 (numa/core v18)
    """
    vm_start = yield vma.vm_start
    start = max(vm_start, address - pte_index(address))
    yield from spin_lock(mm.page_table_lock)
    table = yield pmd_offset(mm, address)
    yield from spin_unlock(mm.page_table_lock)
    locked = yield TryAcquire(table.PG_locked)
    if not locked:
        yield Until(table.PG_locked, None, sleeps=True)
        return
    yield from spin_lock(table.ptl)
    vm_end = yield vma.vm_end
    pages = min(vm_end, start - pte_index(start) + PTRS_PER_PTE) - start
    number = 1
    while number <= pages:
        at = start + number % pages
        pte = pte_offset_map(table, at)
        entry = yield pte
        if pte_numa(entry):
            yield from __do_numa_page(k, table, pte, entry)
        number += 1
    yield from spin_unlock(table.ptl)
    yield Release(table.PG_locked)


def __do_numa_page(k: Context, table: PageTable, pte: Field, entry: Pte) -> Kernel:
    """Make one PROT_NONE PTE usable again, and move its page if it lies on the wrong node.

    Caller holds mmap_sem, to read at least, and the ptl, which is dropped while the page moves.  The PTE allows more
    than before, so nothing is flushed; and because it is present again the migration's own flush has work to do.
    The VMA's protection is read-only, as for any private mapping: only a dirty PTE of a page with one mapping
    becomes writable at once.  1354305521-11583-5 (numa/core v18)
    """
    page = entry.page
    mapcount = yield page._mapcount
    alone = mapcount == 0
    yield pte.set(entry._replace(kind="present", write=entry.dirty and alone))
    nid = yield page.node
    if nid == k.node or not alone:
        return
    yield from get_page(k, page)
    yield from spin_unlock(table.ptl)
    yield from migrate.migrate_misplaced_page(k, page, k.node)  # drops the reference
    yield from spin_lock(table.ptl)
