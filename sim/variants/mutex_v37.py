"""Linux 3.7: one mutex for both walks, one TLB flush per PTE"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.huge_memory import split_huge_page
from sim.kernel.migrate import do_pages_move, migrate_pages
from sim.kernel.pgtable_generic import ptep_clear_flush
from sim.kernel.rmap import page_lock_anon_vma, page_unlock_anon_vma
from sim.kernel.vmscan import shrink_page_list
from sim.ops import Kernel
from sim.structs import AnonVma, Mm
from sim.sync import mutex_lock, mutex_trylock, mutex_unlock

__all__ = [
    "do_pages_move",
    "migrate_pages",
    "page_lock_anon_vma",
    "page_unlock_anon_vma",
    "ptep_clear_flush",
    "shrink_page_list",
    "split_huge_page",
]

VERDICTS = {
    "anon_vma_recycled": "safe",
    "batch_deadlock": "safe",
    "batch_deadlock~B7": "safe",
    "busy_region": "safe",
    "caller_and_disturber": "safe",
    "clean_page_reclaimed": "safe",
    "clean_page_reclaimed~v43": "safe",
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
    "frame_reused~B2": "safe",
    "huge_page_forked": "safe",
    "huge_page_moves": "safe",
    "huge_page_remapped": "unsafe",
    "huge_page_remapped~fixed": "safe",
    "khugepaged_collapse": "safe",
    "lazy_tlb": "safe",
    "lazy_tlb~no_look": "safe",
    "madv_dontneed": "safe",
    "mlock_inversion": "safe",
    "mlock_inversion~blocking": "unsafe",
    "move_pages": "safe",
    "movers": "safe",
    "mremap_during_migration": "safe",
    "mremap_during_migration~no_rmap_locks": "unsafe",
    "mremap_fresh_vma": "safe",
    "mremap_fresh_vma~left_insert": "unsafe",
    "mremap_stale_tlb": "unsafe",
    "mremap_stale_tlb~fixed": "safe",
    "munmap_gathers": "safe",
    "munmap_pending_flush": "safe",
    "munmap_pending_flush~B5": "safe",
    "neighbour_faults": "safe",
    "nested_reader": "safe",
    "nested_reader~allocates": "unsafe",
    "nested_reclaim": "safe",
    "nested_reclaim~B6": "safe",
    "numa01": "safe",
    "numa01_thread_alloc": "safe",
    "numa02": "safe",
    "numa_huge_page": "safe",
    "numa_huge_window": "unsafe",
    "numa_huge_window~fixed": "safe",
    "numa_mark_window": "safe",
    "numa_mark_window~fixed": "safe",
    "numa_only": "safe",
    "numa_rate_limit": "safe",
    "numa_scan": "safe",
    "one_page": "safe",
    "page_table_freed": "safe",
    "pinned_in_time": "safe",
    "pinned_page": "safe",
    "pinned_page~no_count_test": "unsafe",
    "read_after_remap": "safe",
    "read_after_remap~B4": "safe",
    "reclaim_under_lock": "safe",
    "reclaim_under_lock~gfp_kernel": "unsafe",
    "reclaim_vs_exit": "safe",
    "relative_adjusts": "safe",
    "relative_exits": "safe",
    "root_freed_first": "unsafe",
    "root_freed_first~fixed": "safe",
    "split_huge_page": "safe",
    "split_huge_page~no_bug_on": "safe",
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
    "write_during_copy~B1": "safe",
    "write_during_pageout": "safe",
    "write_during_pageout~B3": "safe",
}


def anon_vma_lock(k: Context, anon_vma: AnonVma) -> Kernel:
    """Take the root's mutex; 3.7 knows one mode only.  include/linux/rmap.h:121 (v3.7)"""
    root = yield anon_vma.root
    yield from mutex_lock(root.mutex)


def anon_vma_unlock(k: Context, anon_vma: AnonVma) -> Kernel:
    """Give it back.  include/linux/rmap.h:126 (v3.7)"""
    root = yield anon_vma.root
    yield from mutex_unlock(root.mutex)


def anon_vma_trylock_read(k: Context, root: AnonVma) -> Kernel:
    """The trylock inside ``page_lock_anon_vma``.  mm/rmap.c:460 (v3.7)"""
    ok = yield from mutex_trylock(root.mutex)
    return ok


def anon_vma_unlock_root(k: Context, root: AnonVma) -> Kernel:
    """Its undoing, should the page no longer be mapped.  mm/rmap.c:467 (v3.7)"""
    yield from mutex_unlock(root.mutex)


def flush_tlb_batched_pending(k: Context, mm: Mm) -> Kernel:
    """Nothing: every PTE is flushed when it is cleared, before its page table's lock is given back."""
    yield from ()


anon_vma_lock_write = anon_vma_lock_read = rmap_walk_anon_lock = anon_vma_lock
anon_vma_unlock_write = anon_vma_unlock_read = rmap_walk_anon_unlock = anon_vma_unlock
