"""Batches as posted in April 2015: what no CPU can write to is flushed after the pages are mapped again

A patch for migration that was not merged flushed before the copy only if a PTE was dirty, and the others at the end
(1429612880-21415-6).  No write is lost, because a CPU asks the page table before its first write through a clean entry.
But it goes on reading the old frame while others write to the new one.  As posted, one page was unmapped at a time;
here a batch is, and the window is the same.
"""

from __future__ import annotations

from sim.context import Context
from sim.kernel import migrate
from sim.kernel.batch.migrate import in_batches, move_batch, unmap_batch
from sim.kernel.batch.rmap import exit_tlb_ubc, init_tlb_ubc, try_to_unmap_flush, try_to_unmap_flush_dirty
from sim.ops import Kernel
from sim.structs import Page

BASE = "batch_2mb"

VERDICTS = {
    "frame_reused~B2": "safe",
    "read_after_remap": "unsafe",
    "write_during_copy~B1": "safe",
}


def migrate_pages(
    k: Context, pages: tuple[Page, ...], node: int, passes: int = 10, mode: str = migrate.MIGRATE_SYNC
) -> Kernel:
    """In batches, the clean entries of which are flushed at the end."""
    failed = yield from in_batches(k, pages, node, passes, mode, _dirty_first)
    return failed


def _dirty_first(k: Context, pages: tuple[Page, ...], node: int) -> Kernel:
    """``migrate_pages_batch`` with a second flush; rule B4 is gone, and B1 and B2 are kept."""
    yield from init_tlb_ubc(k)
    unmapped, left = yield from unmap_batch(k, pages, node)
    yield from try_to_unmap_flush_dirty(k)
    moved, failed = yield from move_batch(k, unmapped)
    yield from try_to_unmap_flush(k)
    yield from migrate.putback_lru_pages(k, moved)
    yield from exit_tlb_ubc(k)
    return (*left, *failed)
