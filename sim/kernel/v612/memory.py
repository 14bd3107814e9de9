"""NUMA hints, one page a fault.  mm/memory.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.pgtable import pmd_offset, pte_numa, pte_offset_map
from sim.kernel.v612.migrate import migrate_misplaced_folio, migrate_misplaced_folio_prepare
from sim.ops import Kernel
from sim.structs import Mm, Vma
from sim.sync import spin_lock, spin_unlock


def do_numa_page(k: Context, mm: Mm, vma: Vma, address: int) -> Kernel:
    """Serve the NUMA hint of one page: move it if it lies on the wrong node, or else make its PTE usable again.

    Caller holds mmap_sem, to read at least.  Takes the ptl, under which the page is isolated, and not over the
    migration, during which the PTE is still PROT_NONE.  Left out: the policy, which here wants a page on the node that
    uses it; how often a task may (none limits it).  mm/memory.c (v6.12)
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
        err = yield from migrate_misplaced_folio_prepare(k, entry.page)
        if err == 0:
            yield from spin_unlock(table.ptl)
            migrated = yield from migrate_misplaced_folio(k, entry.page, k.node)
            if migrated:
                return
            yield from spin_lock(table.ptl)
            again = yield pte
            if again != entry:
                yield from spin_unlock(table.ptl)
                return
    yield pte.set(entry._replace(kind="present"))
    yield from spin_unlock(table.ptl)
