"""Pinning user pages without a lock, as for direct I/O.  arch/x86/mm/gup.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.pgtable import pmd_offset, pte_offset_map
from sim.kernel.swap import get_page
from sim.ops import Kernel, Point
from sim.structs import Page
from sim.sync import local_irq_disable, local_irq_enable


def get_user_pages_fast(k: Context, start: int) -> Kernel:
    """The page at *start* of this process, with a reference, if it may be written; or None.

    Takes no lock and looks at the PTE once, with interrupts off: whoever clears the PTE meanwhile waits for this CPU's
    answer to the flush, and by then the reference is there.  Whoever sends no interrupt, or counts the references
    before, misses it.  Left out: the slow way, by mmap_sem and a fault.  arch/x86/mm/gup.c:312 (v3.7)
    """
    yield Point("get_user_pages_fast")
    yield from local_irq_disable(k.cpu)
    page = yield from gup_pte_range(k, start)
    yield from local_irq_enable(k.cpu)
    return page


def gup_pte_range(k: Context, addr: int) -> Kernel:
    """The page that the PTE of *addr* maps, with a reference, if the PTE is present and writable; or None.

    Caller has turned interrupts off.  arch/x86/mm/gup.c:71 (v3.7)
    """
    table = yield pmd_offset(k.mm, addr)
    if table is None:
        return None
    pte = yield pte_offset_map(table, addr)
    if pte is None or pte.kind != "present" or not pte.write:
        return None
    page: Page = pte.page
    yield from get_page(k, page)
    return page
