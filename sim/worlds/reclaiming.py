"""Reclaim that puts its flushes off: what must be flushed before a page is written out, given up, and freed."""

from __future__ import annotations

from functools import partial

from sim.context import Context
from sim.kernel.batch.rmap import exit_tlb_ubc, init_tlb_ubc, try_to_unmap_flush, try_to_unmap_flush_dirty
from sim.kernel.batch.vmscan import free_page_list, unmap_page_list, write_page_list
from sim.kernel.swap_state import add_to_swap
from sim.kernel.vmscan import kswapd, try_to_free_pages
from sim.ops import Kernel
from sim.setup import Builder
from sim.structs import SWAP_HAS_CACHE, Page, TlbflushUnmapBatch
from sim.user import user_write
from sim.worlds import world
from sim.worlds.batching import last_reader
from sim.worlds.remaps import last_writer


@world(check={})
def write_during_pageout() -> Builder:
    """Reclaim writes a page out while a thread goes on writing to it through its TLB.

    Its CPU has page 0 as writable and dirty.  What it writes after the page has been written out is in a frame that is
    about to be freed; so every TLB must have dropped the page before (mm/vmscan.c:795, then 838).  Rule B3.
    """
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    b.swap(1)
    page = b.page(b.vma(mm, "heap", 0, 1), 0, node=0, written=1)
    b.remembers(cpu1, mm, 0)
    b.kernel_thread("kswapd", cpu0, partial(kswapd, pages=(page,)), "swaps page 0 out")
    b.task("writer", cpu1, mm, partial(last_writer, vpn=0), "writes to page 0 if its TLB still has it")
    return b


def _written_before_the_flush(k: Context, pages: tuple[Page, ...], ttu_flags: int) -> Kernel:
    """``shrink_page_list`` that flushes after the pages have been written out, and before they are freed."""
    begun = yield from init_tlb_ubc(k)
    unmapped, rest = yield from unmap_page_list(k, pages, ttu_flags)
    freed, kept = yield from write_page_list(k, unmapped)
    yield from try_to_unmap_flush(k)
    yield from free_page_list(k, freed)
    if begun:
        yield from exit_tlb_ubc(k)
    return len(freed), (*rest, *kept)


write_during_pageout.variation(
    "B3",
    "Reclaim writes its pages out first and flushes afterwards.",
    {"batch.vmscan.shrink_page_list": _written_before_the_flush},
)


def _add_when_short(k: Context, page: Page) -> Kernel:
    """``add_to_swap`` where there is no memory for the swap cache's own needs: it reclaims, and finds nothing."""
    yield from try_to_free_pages(k, ())
    added = yield from add_to_swap(k, page)
    return added


@world(patch={"swap_state.add_to_swap": _add_when_short})
def nested_reclaim() -> Builder:
    """Reclaim needs memory itself, and so reclaims once more, in the middle of a batch.

    Pages of P and of Q are reclaimed; P's has been unmapped and not yet flushed when the second gets its swap slot.
    Q runs nowhere, so nothing of it is to be flushed.  The inner reclaim must not forget what the outer one has
    pending: as first merged it began by emptying the batch (72b252aed506; mended in the time of 4.8).  P's CPU then
    still had a page that was freed.  Rule B6.
    """
    b = Builder()
    owner, stranger = b.mm(), b.mm("Q")
    cpu0, cpu1 = b.cpu(0, 0), b.cpu(1, 1)
    b.swap(2)
    first = b.page(b.vma(owner, "heap", 0, 1), 0, node=0, written=1)
    second = b.page(b.vma(stranger, "heap_Q", 1, 2), 1, node=0, written=1)
    b.clean(owner, 0)
    b.remembers(cpu1, owner, 0)
    reclaim = partial(_reclaim, pages=(first, second))
    b.kernel_thread("reclaimer", cpu0, reclaim, "swaps out page 0 of P and page 1 of Q")
    b.task("reader", cpu1, owner, partial(last_reader, vpn=0), "reads page 0 of P if its TLB still has it")
    return b


def _reclaim(k: Context, *, pages: tuple[Page, ...]) -> Kernel:
    yield from try_to_free_pages(k, pages)


def _begin_anew(k: Context) -> Kernel:
    """``init_tlb_ubc`` as in v4.3: whatever was pending is forgotten."""
    batch = yield k.current.tlb_ubc
    yield k.current.tlb_ubc.set(TlbflushUnmapBatch())
    return batch is None


nested_reclaim.variation(
    "B6",
    "Reclaim within reclaim begins the batch anew.",
    {"batch.rmap.init_tlb_ubc": _begin_anew},
)


@world(check={})
def clean_page_reclaimed() -> Builder:
    """Reclaim gives up a page that is on swap already, while one thread reads it and another brings it back and writes.

    Page 0 is clean, and a page of the swap cache; the reader's CPU has it in its TLB.  Reclaim unmaps it, need not
    write it, and takes it out of the swap cache; from then on a fault reads it from swap into another frame.  What the
    reader reads must not be older than what the writer has written there.  Rule B4, in reclaim.
    """
    b = Builder()
    mm, cpu0, cpu1, cpu2 = b.mm(), b.cpu(0, 0), b.cpu(1, 1), b.cpu(2, 1)
    (slot,) = b.swap(1)
    page = b.page(b.vma(mm, "heap", 0, 1), 0, node=0, written=1)
    b.clean(mm, 0)
    b.memory.update({page.private: slot, page._count: 2, slot.page_tree: page, slot.swap_map: SWAP_HAS_CACHE})
    b.memory[slot.data] = b.memory[page.data]
    b.remembers(cpu2, mm, 0)
    b.kernel_thread("kswapd", cpu0, partial(kswapd, pages=(page,)), "gives page 0 up")
    b.task("writer", cpu1, mm, partial(user_write, vpn=0), "writes page 0")
    b.task("reader", cpu2, mm, partial(last_reader, vpn=0), "reads page 0 if its TLB still has it")
    return b


def _each_in_turn(k: Context, pages: tuple[Page, ...], ttu_flags: int) -> Kernel:
    """``shrink_page_list`` as 72b252aed506 has it: each page is unmapped, written out and given up before the next.

    Only what a CPU can write to is flushed before that; the rest at the end, before the frames are freed.
    """
    begun = yield from init_tlb_ubc(k)
    freed: tuple[Page, ...] = ()
    rest: tuple[Page, ...] = ()
    while pages:
        page, pages = pages[0], pages[1:]
        unmapped, kept = yield from unmap_page_list(k, (page,), ttu_flags)
        yield from try_to_unmap_flush_dirty(k)
        gone, left = yield from write_page_list(k, unmapped)
        freed, rest = (*freed, *gone), (*rest, *kept, *left)
    yield from try_to_unmap_flush(k)
    yield from free_page_list(k, freed)
    if begun:
        yield from exit_tlb_ubc(k)
    return len(freed), rest


clean_page_reclaimed.variation(
    "v43",
    "Reclaim as in v4.3: a clean page leaves the swap cache before it is flushed.",
    {"batch.vmscan.shrink_page_list": _each_in_turn},
)
