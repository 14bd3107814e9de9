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
    "batch_deadlock": "unsafe",
    "batch_deadlock~B7": "unsafe",
    "busy_region": "unsafe",
    "compaction_moves": "unsafe",
    "empty_pte": "unsafe",
    "fault_waits": "unsafe",
    "frame_reused": "unsafe",
    "frame_reused~B2": "unsafe",
    "huge_page_moves": "unsafe",
    "lazy_tlb": "unsafe",
    "lazy_tlb~no_look": "unsafe",
    "madv_dontneed": "unsafe",
    "move_pages": "unsafe",
    "movers": "unsafe",
    "nested_reader": "unsafe",
    "nested_reader~allocates": "unsafe",
    "numa01": "unsafe",
    "numa01_thread_alloc": "unsafe",
    "numa02": "unsafe",
    "numa_mark_window": "unsafe",
    "numa_mark_window~fixed": "unsafe",
    "numa_only": "unsafe",
    "numa_rate_limit": "unsafe",
    "numa_scan": "unsafe",
    "one_page": "unsafe",
    "pinned_in_time": "unsafe",
    "pinned_page": "unsafe",
    "read_after_remap": "unsafe",
    "read_after_remap~B4": "unsafe",
    "swap_cache_moves": "unsafe",
    "two_migrators": "unsafe",
    "unbalanced_unlock": "unsafe",
    "write_during_copy": "unsafe",
    "write_during_copy~B1": "unsafe",
}
