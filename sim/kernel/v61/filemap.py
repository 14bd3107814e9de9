"""Sleeping on a page that nobody keeps for the sleeper.  mm/filemap.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.v61.tlb import enter_lazy_tlb, switch_mm_irqs_off
from sim.ops import Kernel, Point, Until
from sim.structs import Page, PageTable
from sim.sync import local_irq_disable, local_irq_enable, spin_unlock


def migration_entry_wait_on_locked(k: Context, page: Page, pmd: PageTable) -> Kernel:
    """Sleep until *page* is unlocked, which a migration entry names; takes no reference, and gives the ptl back.

    Caller holds the ptl of *pmd*, so that the entry cannot go: until this gives it back the page exists.  By then the
    task is in a wait queue that is found by the page's address, from which it is woken; it does not touch the page
    again.  No reference, so nobody who counts them finds one too many (ffa65753c431, v5.17).  While it sleeps its CPU
    is lazy.  mm/filemap.c (v6.1)
    """
    yield Point("migration_entry_wait")
    locked = yield page.PG_locked
    yield from spin_unlock(pmd.ptl)
    if locked is None:
        return
    yield Point("migration_entry_wait_on_locked")
    yield from enter_lazy_tlb(k, k.mm)
    yield Until(page.PG_locked, None, sleeps=True, queued=True)
    yield from local_irq_disable(k.cpu)
    yield from switch_mm_irqs_off(k, k.mm)
    yield from local_irq_enable(k.cpu)
