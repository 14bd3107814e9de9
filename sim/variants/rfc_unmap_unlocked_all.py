"""The caveat as a bug: try_to_unmap without the lock for every caller, reclaim included

What the RFC says it does not do, and why: reclaim holds no mmap_sem.  It takes no reference either, so that nothing
keeps the anon_vma once the read section is over.
"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.rmap import TTU_UNMAP, page_mapped
from sim.ops import Kernel
from sim.structs import AnonVma, Page
from sim.sync import rcu_read_lock, rcu_read_unlock

BASE = "rfc_remap_unlocked"

VERDICTS = {
    "anon_vma_recycled": "unsafe",
    "batch_deadlock": "safe",
    "batch_deadlock~B7": "safe",
    "caller_and_disturber": "unsafe",
    "clean_page_reclaimed": "safe",
    "clean_page_reclaimed~v43": "safe",
    "compaction_moves": "safe",
    "empty_pte": "safe",
    "empty_pte~no_recheck": "unsafe",
    "exec_stack": "unsafe",
    "exec_stack~no_skip": "unsafe",
    "fault_waits": "safe",
    "fault_waits~no_reference": "unsafe",
    "fork_during_migration": "unsafe",
    "fork_during_migration~left_insert": "unsafe",
    "fork_during_migration~ptes_first": "unsafe",
    "frame_reused": "safe",
    "frame_reused~B2": "safe",
    "khugepaged_collapse": "unsafe",
    "madv_dontneed": "safe",
    "mlock_inversion": "safe",
    "mlock_inversion~blocking": "safe",
    "move_pages": "safe",
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
    "nested_reader": "safe",
    "nested_reader~allocates": "safe",
    "nested_reclaim": "safe",
    "nested_reclaim~B6": "safe",
    "numa02": "safe",
    "numa_mark_window": "safe",
    "numa_mark_window~fixed": "safe",
    "numa_only": "safe",
    "one_page": "safe",
    "page_table_freed": "unsafe",
    "pinned_in_time": "safe",
    "pinned_page": "safe",
    "pinned_page~no_count_test": "unsafe",
    "read_after_remap": "safe",
    "read_after_remap~B4": "safe",
    "reclaim_under_lock": "safe",
    "reclaim_under_lock~gfp_kernel": "safe",
    "reclaim_vs_exit": "unsafe",
    "relative_adjusts": "unsafe",
    "relative_exits": "unsafe",
    "root_freed_first": "unsafe",
    "root_freed_first~fixed": "unsafe",
    "split_visited_twice": "unsafe",
    "stack_grows": "unsafe",
    "stack_index": "unsafe",
    "stack_index~fixed": "safe",
    "swap_cache_moves": "safe",
    "swap_in_race": "safe",
    "two_migrators": "safe",
    "unbalanced_unlock": "safe",
    "vma_splits": "unsafe",
    "write_during_copy": "safe",
    "write_during_copy~B1": "safe",
    "write_during_pageout": "safe",
    "write_during_pageout~B3": "safe",
}


def page_lock_anon_vma(k: Context, page: Page, flags: int = TTU_UNMAP) -> Kernel:
    """The anon_vma as it is, neither locked nor pinned.  20121201122649.GA20322 (second RFC)"""
    yield from rcu_read_lock()
    anon_vma = yield page.mapping
    mapped = yield from page_mapped(k, page)
    yield from rcu_read_unlock()
    return anon_vma if mapped else None


def page_unlock_anon_vma(k: Context, anon_vma: AnonVma, flags: int = TTU_UNMAP) -> Kernel:
    """Nothing.  20121201122649.GA20322 (second RFC)"""
    yield from ()
