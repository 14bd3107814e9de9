"""The mail's wish done right: up to 512 pages are unmapped, flushed in one round, then copied and mapped again

Linux 3.7 otherwise.  Frames are freed after the flush, others who change the range flush first what is pending there,
and while a batch is locked no other page lock is waited for (:mod:`sim.kernel.batch`).  Reclaim flushes in batches too.
Historic defects of 3.7 are still there.
"""

from __future__ import annotations

from sim.kernel.batch.migrate import do_pages_move, migrate_pages
from sim.kernel.batch.pgtable_generic import ptep_clear_flush
from sim.kernel.batch.rmap import flush_tlb_batched_pending
from sim.kernel.batch.vmscan import shrink_page_list

__all__ = ["do_pages_move", "flush_tlb_batched_pending", "migrate_pages", "ptep_clear_flush", "shrink_page_list"]

BASE = "mutex_v37"

VERDICTS = {
    "anon_vma_recycled": "safe",
    "batch_deadlock": "safe",
    "batch_deadlock~B7": "unsafe",
    "caller_and_disturber": "safe",
    "clean_page_reclaimed": "safe",
    "clean_page_reclaimed~v43": "unsafe",
    "compaction_moves": "safe",
    "empty_pte": "safe",
    "empty_pte~no_recheck": "unsafe",
    "exec_stack": "safe",
    "exec_stack~no_skip": "unsafe",
    "fault_waits": "safe",
    "fault_waits~no_reference": "unsafe",
    "fork_during_migration": "safe",
    "fork_during_migration~left_insert": "unsafe",
    "fork_during_migration~ptes_first": "unsafe",
    "frame_reused": "safe",
    "frame_reused~B2": "unsafe",
    "khugepaged_collapse": "safe",
    "madv_dontneed": "safe",
    "mlock_inversion": "safe",
    "mlock_inversion~blocking": "unsafe",
    "move_pages": "safe",
    "mremap_during_migration": "safe",
    "mremap_during_migration~no_rmap_locks": "unsafe",
    "mremap_fresh_vma": "safe",
    "mremap_fresh_vma~left_insert": "unsafe",
    "mremap_stale_tlb": "unsafe",
    "mremap_stale_tlb~fixed": "safe",
    "munmap_gathers": "safe",
    "munmap_pending_flush": "safe",
    "munmap_pending_flush~B5": "unsafe",
    "neighbour_faults": "safe",
    "nested_reader": "safe",
    "nested_reader~allocates": "unsafe",
    "nested_reclaim": "safe",
    "nested_reclaim~B6": "unsafe",
    "numa02": "safe",
    "numa_mark_window": "safe",
    "numa_mark_window~fixed": "safe",
    "numa_only": "safe",
    "one_page": "safe",
    "page_table_freed": "safe",
    "pinned_in_time": "safe",
    "pinned_page": "safe",
    "pinned_page~no_count_test": "unsafe",
    "read_after_remap": "safe",
    "read_after_remap~B4": "unsafe",
    "reclaim_under_lock": "safe",
    "reclaim_under_lock~gfp_kernel": "unsafe",
    "reclaim_vs_exit": "safe",
    "relative_adjusts": "safe",
    "relative_exits": "safe",
    "root_freed_first": "unsafe",
    "root_freed_first~fixed": "safe",
    "split_visited_twice": "safe",
    "stack_grows": "safe",
    "stack_index": "unsafe",
    "stack_index~fixed": "safe",
    "swap_cache_moves": "safe",
    "swap_in_race": "safe",
    "two_migrators": "safe",
    "unbalanced_unlock": "safe",
    "vma_splits": "safe",
    "write_during_copy": "safe",
    "write_during_copy~B1": "unsafe",
    "write_during_pageout": "safe",
    "write_during_pageout~B3": "unsafe",
}
