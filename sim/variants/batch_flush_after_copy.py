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
    "busy_region": "unsafe",
    "empty_pte": "unsafe",
    "frame_reused~B2": "safe",
    "huge_page_moves": "unsafe",
    "mremap_stale_tlb~fixed": "unsafe",
    "numa_mark_window": "unsafe",
    "numa_mark_window~fixed": "unsafe",
    "one_page": "unsafe",
    "pinned_in_time": "unsafe",
    "read_after_remap": "unsafe",
    "swap_cache_moves": "unsafe",
    "write_during_copy": "unsafe",
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
