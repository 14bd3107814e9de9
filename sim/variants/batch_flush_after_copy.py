"""Batches with the flush in the wrong place: the pages are copied before any TLB drops them

As batch_2mb, but the round of interrupts comes between the copies and the new mappings: what a CPU writes meanwhile
goes to the old frame, and a reference that a CPU takes meanwhile is not counted.
"""

from __future__ import annotations

from errno import EAGAIN

from sim.context import Context
from sim.kernel import migrate
from sim.kernel.batch.migrate import Unmapped, finish_page, in_batches, unmap_batch
from sim.kernel.batch.rmap import exit_tlb_ubc, init_tlb_ubc, try_to_unmap_flush
from sim.kernel.rmap import page_mapped
from sim.kernel.swap import page_mapping
from sim.ops import Kernel
from sim.structs import Page
from sim.sync import trylock_page, unlock_page

BASE = "batch_2mb"

VERDICTS = {
    "anon_vma_recycled": "safe",
    "batch_deadlock": "safe",
    "batch_deadlock~B7": "unsafe",
    "caller_and_disturber": "safe",
    "clean_page_reclaimed": "safe",
    "clean_page_reclaimed~v43": "unsafe",
    "compaction_moves": "safe",
    "empty_pte": "unsafe",
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
    "mremap_stale_tlb~fixed": "unsafe",
    "munmap_gathers": "safe",
    "munmap_pending_flush": "safe",
    "munmap_pending_flush~B5": "unsafe",
    "neighbour_faults": "safe",
    "nested_reader": "safe",
    "nested_reader~allocates": "unsafe",
    "nested_reclaim": "safe",
    "nested_reclaim~B6": "unsafe",
    "numa02": "safe",
    "numa_mark_window": "unsafe",
    "numa_mark_window~fixed": "unsafe",
    "numa_only": "safe",
    "one_page": "unsafe",
    "page_table_freed": "safe",
    "pinned_in_time": "unsafe",
    "pinned_page": "safe",
    "pinned_page~no_count_test": "unsafe",
    "read_after_remap": "unsafe",
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
    "swap_cache_moves": "unsafe",
    "swap_in_race": "safe",
    "two_migrators": "safe",
    "unbalanced_unlock": "safe",
    "vma_splits": "safe",
    "write_during_copy": "unsafe",
    "write_during_copy~B1": "unsafe",
    "write_during_pageout": "safe",
    "write_during_pageout~B3": "unsafe",
}


def migrate_pages(
    k: Context, pages: tuple[Page, ...], node: int, passes: int = 10, mode: str = migrate.MIGRATE_SYNC
) -> Kernel:
    """In batches, each copied before it is flushed."""
    failed = yield from in_batches(k, pages, node, passes, mode, _copied_first)
    return failed


def _copied_first(k: Context, pages: tuple[Page, ...], node: int) -> Kernel:
    """``migrate_pages_batch`` with the flush after the copies; rule B1 is gone, and B2 and B4 are kept."""
    yield from init_tlb_ubc(k)
    unmapped, left = yield from unmap_batch(k, pages, node)
    copied: tuple[tuple[Unmapped, int], ...] = ()
    while unmapped:
        it, unmapped = unmapped[0], unmapped[1:]
        rc = yield from _copy(k, it)
        copied = (*copied, (it, rc))
    yield from try_to_unmap_flush(k)
    while copied:
        (it, rc), copied = copied[0], copied[1:]
        yield from _remap(k, it, rc)
        if rc != 0:
            left = (*left, it.page)
        else:
            yield from migrate.putback_lru_pages(k, (it.page,))
    yield from exit_tlb_ubc(k)
    return left


def _copy(k: Context, it: Unmapped) -> Kernel:
    """The first half of ``move_to_new_page``: up to the copy; return 0 or -EAGAIN.  The new page stays locked."""
    mapped = yield from page_mapped(k, it.page)
    if mapped:
        return -EAGAIN
    yield from trylock_page(it.newpage)  # nobody else knows it
    index = yield it.page.index
    yield it.newpage.index.set(index)
    anon_vma = yield it.page.mapping
    yield it.newpage.mapping.set(anon_vma)
    mapping = yield from page_mapping(k, it.page)
    rc = yield from migrate.migrate_page(k, mapping, it.newpage, it.page)
    if rc != 0:
        yield it.newpage.mapping.set(None)
        yield from unlock_page(it.newpage)
    return rc


def _remap(k: Context, it: Unmapped, rc: int) -> Kernel:
    """The second half of ``move_to_new_page``: map the copy, if there is one; then give everything back."""
    if rc == 0:
        if it.remap_swapcache:
            yield from migrate.remove_migration_ptes(k, it.page, it.newpage)
        yield it.page.mapping.set(None)
        yield from unlock_page(it.newpage)
    yield from finish_page(k, it, rc)
