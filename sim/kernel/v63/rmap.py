"""Unmapping for migration with the flush put off.  mm/rmap.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.batch import rmap as batch_rmap
from sim.kernel.pgtable import pte_numa
from sim.kernel.rmap import page_check_address
from sim.kernel.v61.rmap import TTU_BATCH_FLUSH, _to_migration_entry
from sim.kernel.v63.tlb import arch_tlbbatch_flush
from sim.ops import AskFlush, Kernel, Point
from sim.structs import Mm, Page, Pte, TlbflushUnmapBatch, Vma


def should_defer_flush(k: Context, mm: Mm, flags: int) -> Kernel:
    """Whether the flush of a PTE of *mm* is to be put off: if that is allowed, and would interrupt anybody.

    mm/rmap.c (v6.3)
    """
    if not flags & TTU_BATCH_FLUSH:
        return False
    mask = yield mm.cpu_vm_mask
    return bool(set(mask) - {k.cpu})


def set_tlb_ubc_flush_pending(k: Context, mm: Mm, pteval: Pte, address: int) -> Kernel:
    """*pteval* has been cleared at *address* and not flushed: give the flush its number, and note it.

    Caller holds the ptl.  (With arch_tlbbatch_add_mm.)  mm/rmap.c (v6.3)
    """
    yield AskFlush(mm, address, address + 1)
    yield from batch_rmap.set_tlb_ubc_flush_pending(k, mm, address, pteval.dirty)


def try_to_migrate_one(k: Context, page: Page, vma: Vma, address: int, flags: int) -> Kernel:
    """Put a migration entry where *vma* maps *page*, if it does; flush now, or note that this is still to do.

    Caller holds the page lock and the anon_vma lock.  Takes the ptl.  A NUMA hint has lost the right to write since
    v6.2, and so is read-only when the page has moved; the next write finds out that it may.  mm/rmap.c (v6.3)
    """
    yield Point("pte_visit_unmap")
    mm = yield vma.vm_mm
    found = yield from page_check_address(k, page, mm, address)
    if found is None:
        return
    pte, table = found
    defer = yield from should_defer_flush(k, mm, flags)
    if defer:
        old = yield pte.xchg(None)
        yield from set_tlb_ubc_flush_pending(k, mm, old, address)
    else:
        old = yield from k.ptep_clear_flush(vma, address, pte)
    yield from _to_migration_entry(k, page, pte, table, old, old.write and not pte_numa(old))


def try_to_unmap_flush(k: Context) -> Kernel:
    """Flush the batch, if there is anything in it.  Returns when the last CPU has answered.  mm/rmap.c (v6.3)"""
    batch = yield k.current.tlb_ubc
    if batch is None or not batch.flush_required:
        return
    yield Point("tlb_flush")
    yield from arch_tlbbatch_flush(k, batch)
    yield k.current.tlb_ubc.set(TlbflushUnmapBatch())
