"""The second RFC of 1 December 2012, as mailed: migration does not take the lock, and gives it back

``page_lock_anon_vma`` was changed, ``page_unlock_anon_vma`` was not: each migrated page gives back a mutex that nobody
of its own took.  On x86 that leaves the count of a free mutex at 2, so that two tasks get in; the model stops at the
release.  Nobody in the thread noticed; the benchmark figures of that day were taken with it.  L:20121201122649.GA20322
"""

from __future__ import annotations

from sim.variants.rfc_split_unlocked import page_lock_anon_vma

__all__ = ["page_lock_anon_vma"]

BASE = "rfc_remap_unlocked"

VERDICTS = {
    "anon_vma_recycled": "safe",
    "batch_deadlock": "unsafe",
    "batch_deadlock~B7": "unsafe",
    "caller_and_disturber": "unsafe",
    "clean_page_reclaimed": "safe",
    "clean_page_reclaimed~v43": "safe",
    "compaction_moves": "unsafe",
    "empty_pte": "unsafe",
    "empty_pte~no_recheck": "unsafe",
    "exec_stack": "unsafe",
    "exec_stack~no_skip": "unsafe",
    "fault_waits": "unsafe",
    "fault_waits~no_reference": "unsafe",
    "fork_during_migration": "unsafe",
    "fork_during_migration~left_insert": "unsafe",
    "fork_during_migration~ptes_first": "unsafe",
    "frame_reused": "unsafe",
    "frame_reused~B2": "unsafe",
    "khugepaged_collapse": "unsafe",
    "madv_dontneed": "unsafe",
    "mlock_inversion": "safe",
    "mlock_inversion~blocking": "unsafe",
    "move_pages": "unsafe",
    "mremap_during_migration": "unsafe",
    "mremap_during_migration~no_rmap_locks": "unsafe",
    "mremap_fresh_vma": "unsafe",
    "mremap_fresh_vma~left_insert": "unsafe",
    "mremap_stale_tlb": "unsafe",
    "mremap_stale_tlb~fixed": "unsafe",
    "munmap_gathers": "unsafe",
    "munmap_pending_flush": "unsafe",
    "munmap_pending_flush~B5": "unsafe",
    "neighbour_faults": "unsafe",
    "nested_reader": "unsafe",
    "nested_reader~allocates": "unsafe",
    "nested_reclaim": "safe",
    "nested_reclaim~B6": "safe",
    "numa02": "unsafe",
    "numa_mark_window": "unsafe",
    "numa_mark_window~fixed": "unsafe",
    "numa_only": "unsafe",
    "one_page": "unsafe",
    "page_table_freed": "unsafe",
    "pinned_in_time": "unsafe",
    "pinned_page": "unsafe",
    "pinned_page~no_count_test": "unsafe",
    "read_after_remap": "unsafe",
    "read_after_remap~B4": "unsafe",
    "reclaim_under_lock": "safe",
    "reclaim_under_lock~gfp_kernel": "unsafe",
    "reclaim_vs_exit": "safe",
    "relative_adjusts": "unsafe",
    "relative_exits": "unsafe",
    "root_freed_first": "unsafe",
    "root_freed_first~fixed": "unsafe",
    "split_visited_twice": "unsafe",
    "stack_grows": "unsafe",
    "stack_index": "unsafe",
    "stack_index~fixed": "safe",
    "swap_cache_moves": "unsafe",
    "swap_in_race": "safe",
    "two_migrators": "unsafe",
    "unbalanced_unlock": "unsafe",
    "vma_splits": "unsafe",
    "write_during_copy": "unsafe",
    "write_during_copy~B1": "unsafe",
    "write_during_pageout": "safe",
    "write_during_pageout~B3": "safe",
}
