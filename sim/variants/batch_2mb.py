"""The mail's wish done right: up to 512 pages are unmapped, flushed in one round, then copied and mapped again

Linux 3.7 otherwise.  Frames are freed after the flush, others who change the range flush first what is pending there,
and while a batch is locked no other page lock is waited for (:mod:`sim.kernel.batch`).  Reclaim flushes in batches too.
Historic defects of 3.7 are still there.
"""

from __future__ import annotations

from sim.kernel.batch.migrate import do_pages_move, migrate_pages
from sim.kernel.batch.pgtable_generic import ptep_clear_flush
from sim.kernel.batch.rmap import flush_tlb_batched_pending
from sim.kernel.batch.vmscan import shrink_page_list

__all__ = ["do_pages_move", "flush_tlb_batched_pending", "migrate_pages", "ptep_clear_flush", "shrink_page_list"]

BASE = "mutex_v37"

VERDICTS = {
    "batch_deadlock~B7": "unsafe",
    "clean_page_reclaimed~v43": "unsafe",
    "frame_reused~B2": "unsafe",
    "munmap_pending_flush~B5": "unsafe",
    "nested_reclaim~B6": "unsafe",
    "read_after_remap~B4": "unsafe",
    "write_during_copy~B1": "unsafe",
    "write_during_pageout~B3": "unsafe",
}
