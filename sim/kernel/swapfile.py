"""Swap slots and who refers to them.  mm/swapfile.c

``slot.swap_map`` counts the PTEs that name the slot, and has a flag for a page in the swap cache; at 0 the slot is free
and is given out again under the same name.  ``swap_lock`` guards every count.

Left out: several devices and their priorities, the search for clusters, counts that do not fit a byte, hibernation, and
a device so full (``vm_swap_full``) that pages leave the swap cache sooner.
"""

from __future__ import annotations

from errno import EEXIST, ENOENT

from sim.context import Context
from sim.kernel import swap_state
from sim.kernel.filemap import find_get_page
from sim.kernel.swap import put_page
from sim.ops import Bug, Kernel
from sim.structs import SWAP_HAS_CACHE, SWAP_INFO, Page, SwapSlot
from sim.sync import spin_lock, spin_unlock, trylock_page, unlock_page


def swap_count(ent: int) -> int:
    """How many PTEs a swap_map counts, without the flag.  mm/swapfile.c:69 (v3.7)"""
    return ent & ~SWAP_HAS_CACHE


def get_swap_page(k: Context) -> Kernel:
    """A free slot, now with the flag of the swap cache; or None if there is none.  mm/swapfile.c:414 (v3.7)"""
    slots = yield SWAP_INFO.slots
    yield from spin_lock(SWAP_INFO.swap_lock)
    at = 0
    while at < len(slots):
        ent = yield slots[at].swap_map
        if ent == 0:
            break
        at += 1
    slot = slots[at] if at < len(slots) else None
    if slot is not None:
        yield slot.swap_map.set(SWAP_HAS_CACHE)
    yield from spin_unlock(SWAP_INFO.swap_lock)
    return slot


def swap_entry_free(k: Context, slot: SwapSlot, usage: int) -> Kernel:
    """Take one PTE's count (*usage* 1), or the flag of the swap cache, from *slot*; return what is left.

    Caller holds swap_lock.  At 0 the slot is free.  mm/swapfile.c:514 (v3.7)
    """
    ent = yield slot.swap_map
    missing = swap_count(ent) == 0 if usage == 1 else not ent & SWAP_HAS_CACHE
    if missing:
        yield Bug("kernel bug", f"{slot} loses a user that it does not have: its count is {ent:#x}", (slot,))
    yield slot.swap_map.set(ent - usage)
    return ent - usage


def swap_free(k: Context, slot: SwapSlot) -> Kernel:
    """A PTE no longer names *slot*.  Caller holds the ptl.  Takes swap_lock.  mm/swapfile.c:577 (v3.7)"""
    yield from spin_lock(SWAP_INFO.swap_lock)
    yield from swap_entry_free(k, slot, 1)
    yield from spin_unlock(SWAP_INFO.swap_lock)


def swapcache_free(k: Context, slot: SwapSlot) -> Kernel:
    """No page of the swap cache belongs to *slot* any more.  Takes swap_lock.  mm/swapfile.c:591 (v3.7)"""
    yield from spin_lock(SWAP_INFO.swap_lock)
    yield from swap_entry_free(k, slot, SWAP_HAS_CACHE)
    yield from spin_unlock(SWAP_INFO.swap_lock)


def page_swapcount(k: Context, page: Page) -> Kernel:
    """How many PTEs name the swap slot of *page*.

    Caller holds the page lock, and the page is in the swap cache.  Takes swap_lock.  mm/swapfile.c:610 (v3.7)
    """
    slot = yield page.private
    yield from spin_lock(SWAP_INFO.swap_lock)
    ent = yield slot.swap_map
    yield from spin_unlock(SWAP_INFO.swap_lock)
    return swap_count(ent)


def reuse_swap_page(k: Context, page: Page) -> Kernel:
    """May the one who faults write to *page* as it is?  Only if no other PTE maps it or names its swap slot.

    Then it also leaves the swap cache: what the device has will never be read again.  Caller holds the page lock.
    mm/swapfile.c:631 (v3.7)
    """
    mapcount = yield page._mapcount
    count = mapcount + 1
    if count <= 1:
        slot = yield page.private
        if slot is not None:
            more = yield from page_swapcount(k, page)
            count += more
            if count == 1:
                yield from swap_state.delete_from_swap_cache(k, page)
                yield page.PG_dirty.set(True)
    return count <= 1


def try_to_free_swap(k: Context, page: Page) -> Kernel:
    """Take *page* out of the swap cache if no PTE names its slot; return whether.

    Caller holds the page lock and a reference.  mm/swapfile.c:653 (v3.7)
    """
    slot = yield page.private
    if slot is None:
        return False
    count = yield from page_swapcount(k, page)
    if count:
        return False
    yield from swap_state.delete_from_swap_cache(k, page)
    yield page.PG_dirty.set(True)
    return True


def free_swap_and_cache(k: Context, slot: SwapSlot) -> Kernel:
    """A swap entry was zapped: drop its count, and the page in the swap cache if that was the last.

    Caller holds the ptl.  Takes swap_lock, and under it the page's lock if it can be had at once.
    mm/swapfile.c:691 (v3.7)
    """
    page = None
    yield from spin_lock(SWAP_INFO.swap_lock)
    left = yield from swap_entry_free(k, slot, 1)
    if left == SWAP_HAS_CACHE:
        page = yield from find_get_page(k, slot)
        if page is not None:
            locked = yield from trylock_page(page)
            if not locked:
                yield from put_page(k, page)
                page = None
    yield from spin_unlock(SWAP_INFO.swap_lock)
    if page is None:
        return
    cached = yield page.private
    mapcount = yield page._mapcount
    if cached is not None and mapcount < 0:
        yield from swap_state.delete_from_swap_cache(k, page)
        yield page.PG_dirty.set(True)
    yield from unlock_page(page)
    yield from put_page(k, page)


def swap_duplicate(k: Context, slot: SwapSlot) -> Kernel:
    """One more PTE is about to name *slot*.

    Caller holds the ptl; a PTE that names the slot or a locked page of the swap cache keeps it.  Takes swap_lock.
    mm/swapfile.c:2205 (v3.7)
    """
    yield from spin_lock(SWAP_INFO.swap_lock)
    ent = yield slot.swap_map
    if ent == 0:
        yield Bug("kernel bug", f"{slot} gets a user although it is free", (slot,))
    yield slot.swap_map.set(ent + 1)
    yield from spin_unlock(SWAP_INFO.swap_lock)


def swapcache_prepare(k: Context, slot: SwapSlot) -> Kernel:
    """Claim the swap cache of *slot* for a page that will be read in.

    Returns 0, -EEXIST if somebody else has claimed it, or -ENOENT if nobody names the slot any more.  Takes swap_lock.
    mm/swapfile.c:2222 (v3.7)
    """
    yield from spin_lock(SWAP_INFO.swap_lock)
    ent = yield slot.swap_map
    err = 0
    if ent & SWAP_HAS_CACHE:
        err = -EEXIST
    elif ent == 0:
        err = -ENOENT
    else:
        yield slot.swap_map.set(ent | SWAP_HAS_CACHE)
    yield from spin_unlock(SWAP_INFO.swap_lock)
    return err
