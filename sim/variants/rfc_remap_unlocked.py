"""The RFC of 1 December 2012: no lock around the remap walk"""

from __future__ import annotations

from sim.context import Context
from sim.ops import Kernel
from sim.structs import AnonVma

BASE = "mutex_v37"

VERDICTS = {
    "compaction_moves": "safe",
    "exec_stack": "unsafe",
    "exec_stack~no_skip": "unsafe",
    "mlock_inversion": "safe",
    "mlock_inversion~blocking": "unsafe",
    "move_pages": "safe",
    "mremap_during_migration": "unsafe",
    "mremap_during_migration~no_rmap_locks": "unsafe",
    "mremap_fresh_vma": "unsafe",
    "mremap_stale_tlb": "unsafe",
    "mremap_stale_tlb~fixed": "unsafe",
    "numa02": "safe",
    "numa_only": "safe",
    "one_page": "safe",
    "reclaim_under_lock": "safe",
    "reclaim_under_lock~gfp_kernel": "unsafe",
    "reclaim_vs_exit": "safe",
    "relative_adjusts": "unsafe",
    "root_freed_first": "unsafe",
    "root_freed_first~fixed": "unsafe",
    "split_visited_twice": "unsafe",
    "stack_grows": "unsafe",
    "swap_cache_moves": "safe",
    "swap_in_race": "safe",
    "two_migrators": "safe",
    "unbalanced_unlock": "safe",
    "vma_splits": "unsafe",
}


def rmap_walk_anon_lock(k: Context, anon_vma: AnonVma) -> Kernel:
    """Nothing: "all callers are holding the mmap_sem".  mm/rmap.c:1707 (v3.7), removed by the patch."""
    yield from ()


def rmap_walk_anon_unlock(k: Context, anon_vma: AnonVma) -> Kernel:
    """Nothing.  mm/rmap.c:1715 (v3.7), removed by the patch."""
    yield from ()
