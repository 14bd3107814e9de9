"""Reclaim that flushes once for all its pages.  mm/vmscan.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.batch.rmap import exit_tlb_ubc, init_tlb_ubc, try_to_unmap_flush
from sim.kernel.page_alloc import free_hot_cold_page
from sim.kernel.vmscan import _CULL_MLOCKED, _FREED, _settle, _unmap, _write_and_remove
from sim.ops import Kernel
from sim.structs import Page, SwapSlot
from sim.sync import trylock_page

#: Pages that are locked and unmapped, each with its slot.
Unmapped = tuple[tuple[Page, SwapSlot | None], ...]


def shrink_page_list(k: Context, pages: tuple[Page, ...], ttu_flags: int) -> Kernel:
    """Try to free isolated *pages*; return how many were freed, and those that were not and are still isolated.

    All are unmapped, then flushed in one round, then written out (B3) and taken from the swap cache (B4), then freed
    (B2).  A construction of ours: 72b252aed506 (v4.3) does all but the freeing for each page in turn, with a flush
    before one is written out, so that a clean page leaves the swap cache while TLBs still have it.
    """
    begun = yield from init_tlb_ubc(k)
    unmapped, rest = yield from unmap_page_list(k, pages, ttu_flags)
    yield from try_to_unmap_flush(k)
    freed, kept = yield from write_page_list(k, unmapped)
    yield from free_page_list(k, freed)
    if begun:
        yield from exit_tlb_ubc(k)
    return len(freed), (*rest, *kept)


def unmap_page_list(k: Context, pages: tuple[Page, ...], ttu_flags: int) -> Kernel:
    """Unmap *pages* without a flush; return those that are locked and unmapped, each with its slot, and those to keep.

    A construction of ours.
    """
    unmapped: Unmapped = ()
    kept: tuple[Page, ...] = ()
    while pages:
        page, pages = pages[0], pages[1:]
        locked = yield from trylock_page(page)
        if not locked:
            kept = (*kept, page)
            continue
        fate, mapping = yield from _unmap(k, page, ttu_flags)
        if fate is None:
            unmapped = (*unmapped, (page, mapping))
            continue
        yield from _settle(k, page, fate)
        if fate != _CULL_MLOCKED:
            kept = (*kept, page)
    return unmapped, kept


def write_page_list(k: Context, unmapped: Unmapped) -> Kernel:
    """Write each page out and take it from the swap cache; return those that can be freed, and those to keep.

    A construction of ours.
    """
    freed: tuple[Page, ...] = ()
    kept: tuple[Page, ...] = ()
    while unmapped:
        (page, mapping), unmapped = unmapped[0], unmapped[1:]
        fate = yield from _write_and_remove(k, page, mapping)
        yield from _settle(k, page, fate)
        if fate == _FREED:
            freed = (*freed, page)
        else:
            kept = (*kept, page)
    return freed, kept


def free_page_list(k: Context, pages: tuple[Page, ...]) -> Kernel:
    """Free pages to which nobody refers any more.  A construction of ours (free_hot_cold_page_list)."""
    while pages:
        page, pages = pages[0], pages[1:]
        yield from free_hot_cold_page(k, page)
