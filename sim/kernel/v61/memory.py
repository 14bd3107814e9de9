"""NUMA hints, one page a fault; and stacks without a guard page of their own.  mm/memory.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.pgtable import pmd_offset, pte_numa, pte_offset_map
from sim.kernel.swap import get_page
from sim.kernel.v61.migrate import migrate_misplaced_page
from sim.ops import Field, Kernel
from sim.structs import Mm, Pte, Vma
from sim.sync import spin_lock, spin_unlock


def do_numa_page(k: Context, mm: Mm, vma: Vma, address: int) -> Kernel:
    """Serve the NUMA hint of one page: move it if it lies on the wrong node, or else make its PTE usable again.

    Caller holds mmap_sem, to read at least.  Takes the ptl, and not over the migration, during which the PTE is still
    PROT_NONE: whoever made it so has flushed, so the unmap walk need not (b99a342d4f11, v5.13).  Left out: the policy,
    which here wants a page on the node that uses it; how often a task may (none limits it).  mm/memory.c (v6.1)
    """
    table = yield pmd_offset(mm, address)
    pte = pte_offset_map(table, address)
    yield from spin_lock(table.ptl)
    entry = yield pte
    if not pte_numa(entry):
        yield from spin_unlock(table.ptl)
        return
    nid = yield entry.page.node
    if nid != k.node:
        yield from get_page(k, entry.page)
        yield from spin_unlock(table.ptl)
        migrated = yield from migrate_misplaced_page(k, entry.page, k.node)  # drops the reference
        if migrated:
            return
        yield from spin_lock(table.ptl)
        again = yield pte
        if again != entry:
            yield from spin_unlock(table.ptl)
            return
    yield pte.set(entry._replace(kind="present"))
    yield from spin_unlock(table.ptl)


def ptep_set_access_flags(k: Context, vma: Vma, address: int, pte: Field, entry: Pte) -> Kernel:
    """Store an *entry* that allows more than before, without a flush: who finds too little in its TLB faults and looks.

    Caller holds the ptl.  Since 3.8.  arch/x86/mm/pgtable.c (v6.1)
    """
    yield pte.set(entry)


def _no_guard_page(k: Context, vma: Vma, address: int) -> Kernel:
    """A stack does not grow below the page that is touched: a gap is kept there instead (1be7107fbe18, v4.12)."""
    yield from ()
    return 0
