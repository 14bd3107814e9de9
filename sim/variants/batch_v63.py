"""Linux 6.3: move_pages in batches of what can be had at once, one round of interrupts each, then page by page

As v61, and what landed in 6.3 (:mod:`sim.kernel.v63`): a batch sleeps for no page lock, others flush what is pending
where they change PTEs, and a page is moved only after the flush.
"""

from __future__ import annotations

from sim.kernel.batch.rmap import flush_tlb_batched_pending
from sim.kernel.v63 import rmap
from sim.kernel.v63.migrate import migrate_pages

__all__ = ["flush_tlb_batched_pending", "migrate_pages"]

BASE = "v61"

PATCH = {
    "batch.rmap.try_to_unmap_flush": rmap.try_to_unmap_flush,
    "v61.rmap.try_to_migrate_one": rmap.try_to_migrate_one,
}

VERDICTS = {
    "batch_deadlock~B7": "unsafe",
    "frame_reused~B2": "unsafe",
    "munmap_pending_flush~B5": "unsafe",
    "read_after_remap~B4": "unsafe",
    "write_during_copy~B1": "unsafe",
}
