"""The RFC of 1 December 2012: no lock around the remap walk"""

from __future__ import annotations

from sim.context import Context
from sim.ops import Kernel
from sim.structs import AnonVma

BASE = "mutex_v37"

VERDICTS = {
    "caller_and_disturber": "unsafe",
    "exec_stack": "unsafe",
    "fork_during_migration": "unsafe",
    "khugepaged_collapse": "unsafe",
    "mremap_during_migration": "unsafe",
    "mremap_fresh_vma": "unsafe",
    "mremap_stale_tlb~fixed": "unsafe",
    "munmap_gathers": "unsafe",
    "munmap_pending_flush": "unsafe",
    "munmap_pending_flush~B5": "unsafe",
    "neighbour_faults": "unsafe",
    "nested_reader~allocates": "safe",
    "page_table_freed": "unsafe",
    "relative_adjusts": "unsafe",
    "relative_exits": "unsafe",
    "root_freed_first~fixed": "unsafe",
    "split_visited_twice": "unsafe",
    "stack_grows": "unsafe",
    "vma_splits": "unsafe",
}


def rmap_walk_anon_lock(k: Context, anon_vma: AnonVma) -> Kernel:
    """Nothing: "all callers are holding the mmap_sem".  mm/rmap.c:1707 (v3.7), removed by the patch."""
    yield from ()


def rmap_walk_anon_unlock(k: Context, anon_vma: AnonVma) -> Kernel:
    """Nothing.  mm/rmap.c:1715 (v3.7), removed by the patch."""
    yield from ()
