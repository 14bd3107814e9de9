"""Linux 6.1: one page after the other, without mmap_sem; lazy CPUs are not interrupted

What move_pages(2) does on 6.1, and the faults, walks and flushes that it meets (:mod:`sim.kernel.v61`); as recorded
from a 6.1.192 kernel.  Huge pages move whole, as since 4.14 (:mod:`sim.kernel.v414`; who waits for one still has a
reference to it).  The rest is as in 3.8.  Defects of 3.8 that were mended by then are mended here.
"""

from __future__ import annotations

from sim.kernel.v61 import fault, gup, huge_memory, memory, mempolicy, migrate, mremap, rmap, tlb
from sim.kernel.v61.migrate import do_pages_move, migrate_pages
from sim.kernel.v61.pgtable_generic import ptep_clear_flush
from sim.kernel.v414 import memory as huge_fault
from sim.kernel.v414 import migrate as huge

__all__ = ["do_pages_move", "migrate_pages", "ptep_clear_flush"]

BASE = "rwsem_v38"

PATCH = {
    "memory._handle_huge": huge_fault._handle_huge,
    "migrate.migrate_misplaced_transhuge_page": migrate._migrate_misplaced_transhuge_page,
    "migrate.migrate_page_copy": huge.migrate_page_copy,
    "migrate.new_page_node": huge.new_page_node,
    "migrate.remove_migration_pte": huge.remove_migration_pte,
    "fault._grow": fault._grow,
    "gup.gup_pte_range": gup.gup_pte_range,
    "memory.check_stack_guard_page": memory._no_guard_page,
    "huge_memory.move_huge_pmd": huge_memory.move_huge_pmd,
    "memory.ptep_set_access_flags": memory.ptep_set_access_flags,
    "mempolicy.change_prot_numa": mempolicy.change_prot_numa,
    "migrate.migration_entry_wait": migrate.migration_entry_wait,
    "mremap._flush_moved": mremap._flush_moved,
    "mremap._move_each_pte": mremap._move_each_pte,
    "mremap._move_huge_pmd": mremap._move_huge_pmd,
    "numacore.memory.do_numa_page": memory.do_numa_page,
    "rmap.__put_anon_vma": rmap.__put_anon_vma,
    "tlb.flush_tlb_mm_range": tlb.flush_tlb_mm_range,
    "tlb.flush_tlb_page": tlb.flush_tlb_page,
}

VERDICTS = {
    "huge_page_remapped": "safe",
    "lazy_tlb~no_look": "unsafe",
    "mremap_stale_tlb": "safe",
    "numa_huge_window": "safe",
    "numa_mark_window": "safe",
    "root_freed_first": "safe",
    "stack_index": "safe",
}
