"""Linux 6.12: move_pages in batches, unless the process ran on one CPU only; hinting PTEs need no flush

As batch_v63, and what came until 6.12 (:mod:`sim.kernel.v612`); as recorded from a 6.12.117 kernel.
"""

from __future__ import annotations

from sim.kernel.v612 import memory, rmap

BASE = "batch_v63"

PATCH = {
    "numacore.memory.do_numa_page": memory.do_numa_page,
    "v63.rmap.set_tlb_ubc_flush_pending": rmap.set_tlb_ubc_flush_pending,
}

VERDICTS: dict[str, str] = {}
