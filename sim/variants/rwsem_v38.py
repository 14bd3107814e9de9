"""Linux 3.8: anon_vma->rwsem; walkers share, whoever changes the tree is alone"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.v38.pgtable_generic import ptep_clear_flush
from sim.ops import Kernel
from sim.structs import AnonVma
from sim.sync import down_read, down_read_trylock, down_write, up_read, up_write

__all__ = ["ptep_clear_flush"]

BASE = "mutex_v37"

VERDICTS = {
    "anon_vma_recycled": "safe",
    "batch_deadlock": "safe",
    "batch_deadlock~B7": "safe",
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
    "munmap_pending_flush~B5": "safe",
    "neighbour_faults": "safe",
    "nested_reader": "safe",
    "nested_reader~allocates": "unsafe",
    "nested_reclaim": "safe",
    "nested_reclaim~B6": "safe",
    "numa02": "safe",
    "numa_mark_window": "unsafe",
    "numa_mark_window~fixed": "safe",
    "numa_only": "safe",
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


def anon_vma_lock_write(k: Context, anon_vma: AnonVma) -> Kernel:
    """For whoever changes the tree.  include/linux/rmap.h:121 (v3.8)"""
    root = yield anon_vma.root
    yield from down_write(root.rwsem)


def anon_vma_unlock_write(k: Context, anon_vma: AnonVma) -> Kernel:
    """Give it back.  include/linux/rmap.h:126 (v3.8)"""
    root = yield anon_vma.root
    yield from up_write(root.rwsem)


def anon_vma_lock_read(k: Context, anon_vma: AnonVma) -> Kernel:
    """For whoever walks the tree.  include/linux/rmap.h:131 (v3.8)"""
    root = yield anon_vma.root
    yield from down_read(root.rwsem)


def anon_vma_unlock_read(k: Context, anon_vma: AnonVma) -> Kernel:
    """Give it back.  include/linux/rmap.h:136 (v3.8)"""
    root = yield anon_vma.root
    yield from up_read(root.rwsem)


def anon_vma_trylock_read(k: Context, root: AnonVma) -> Kernel:
    """The trylock inside ``page_lock_anon_vma_read``.  mm/rmap.c:460 (v3.8)"""
    ok = yield from down_read_trylock(root.rwsem)
    return ok


def anon_vma_unlock_root(k: Context, root: AnonVma) -> Kernel:
    """Its undoing, should the page no longer be mapped.  mm/rmap.c:467 (v3.8)"""
    yield from up_read(root.rwsem)


rmap_walk_anon_lock = anon_vma_lock_read
rmap_walk_anon_unlock = anon_vma_unlock_read
