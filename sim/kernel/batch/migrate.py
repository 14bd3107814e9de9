"""Moving pages in batches: unmap many, flush once, then copy and map each.  mm/migrate.c

A construction of ours on the functions of 3.7, after the wish of the mail of 1 December 2012.  While a batch is
unmapped the task holds the locks of all its pages, and no anon_vma lock; what does not go this way is tried again
singly, as 3.7 does.
"""

from __future__ import annotations

from errno import EAGAIN
from typing import Final, NamedTuple

from sim.context import Context
from sim.kernel import migrate
from sim.kernel.batch.rmap import exit_tlb_ubc, init_tlb_ubc, try_to_unmap_flush
from sim.kernel.rmap import (
    TTU_IGNORE_ACCESS,
    TTU_IGNORE_MLOCK,
    TTU_MIGRATION,
    page_get_anon_vma,
    page_mapped,
    put_anon_vma,
    try_to_unmap,
)
from sim.kernel.swap import page_mapping
from sim.kernel.vmscan import putback_lru_page
from sim.ops import Kernel, KernelFunction
from sim.structs import AnonVma, Mm, Page
from sim.sync import trylock_page, unlock_page

#: How many pages are unmapped before the flush: 2 MiB.  mm/migrate.c (5dfab109d519, v6.3)
NR_MAX_BATCHED_MIGRATION: Final = 512


class Unmapped(NamedTuple):
    """A page of a batch: locked, and if all went well mapped nowhere.

    Attributes:
        page, newpage: the old frame, and the one that it is to move to.
        anon_vma: what is pinned, or None.
        remap_swapcache: whether there is to be a remap walk.
    """

    page: Page
    newpage: Page
    anon_vma: AnonVma | None
    remap_swapcache: bool


def migrate_pages(
    k: Context, pages: tuple[Page, ...], node: int, passes: int = 10, mode: str = migrate.MIGRATE_SYNC
) -> Kernel:
    """Move isolated pages to *node*, up to 512 at a time, and those that did not go singly; return how many did not.

    The batches are the first of the *passes*.  mm/migrate.c (5dfab109d519, v6.3)
    """
    failed = yield from in_batches(k, pages, node, passes, mode, migrate_pages_batch)
    return failed


def in_batches(
    k: Context, pages: tuple[Page, ...], node: int, passes: int, mode: str, one_batch: KernelFunction
) -> Kernel:
    """Hand *pages* to ``one_batch(k, pages, node)``, which returns those that did not go; try these singly.

    A construction of ours.
    """
    left: tuple[Page, ...] = ()
    while pages:
        batch, pages = pages[:NR_MAX_BATCHED_MIGRATION], pages[NR_MAX_BATCHED_MIGRATION:]
        some = yield from one_batch(k, batch, node)
        left = (*left, *some)
    if not left:
        return 0
    failed = yield from migrate.migrate_pages(k, left, node, max(passes - 1, 1), mode)
    return failed


def migrate_pages_batch(k: Context, pages: tuple[Page, ...], node: int) -> Kernel:
    """Move *pages* with one flush; return those that did not go, which are still isolated.

    Every TLB drops a page before it is copied (B1) and before it is mapped again (B4); the old frames are freed last
    (B2).  mm/migrate.c (7e12beb8ca2a, v6.3)
    """
    yield from init_tlb_ubc(k)
    unmapped, left = yield from unmap_batch(k, pages, node)
    yield from try_to_unmap_flush(k)
    moved, failed = yield from move_batch(k, unmapped)
    yield from migrate.putback_lru_pages(k, moved)
    yield from exit_tlb_ubc(k)
    return (*left, *failed)


def unmap_batch(k: Context, pages: tuple[Page, ...], node: int) -> Kernel:
    """Unmap *pages* without a flush; return what is unmapped (:class:`Unmapped`), and the pages to be tried singly.

    A construction of ours.
    """
    unmapped: tuple[Unmapped, ...] = ()
    left: tuple[Page, ...] = ()
    while pages:
        page, pages = pages[0], pages[1:]
        newpage = yield from migrate.new_page_node(k, page, node)
        count = yield page._count
        if count == 1:  # only the isolation is left: whoever had it has freed it
            yield from putback_lru_page(k, page)
            yield from putback_lru_page(k, newpage)
            continue
        it = yield from migrate_page_unmap(k, page, newpage)
        if it is None:
            yield from putback_lru_page(k, newpage)
            left = (*left, page)
        else:
            unmapped = (*unmapped, it)
    return unmapped, left


def migrate_page_unmap(k: Context, page: Page, newpage: Page) -> Kernel:
    """Lock one page, pin its anon_vma and unmap it; or return None with nothing done.

    The first half of 3.7's __unmap_and_move, but that it never sleeps for the page lock.  (migrate_folio_unmap.)
    mm/migrate.c (64c8902ed441, v6.3)
    """
    locked = yield from lock_for_batch(k, page)
    if not locked:
        return None
    anon_vma = None
    remap_swapcache = True
    mapping = yield page.mapping
    if mapping is not None:
        anon_vma = yield from page_get_anon_vma(k, page)
        if anon_vma is None:  # nobody maps it: it is about to be freed, unless it is in the swap cache
            cached = yield from page_mapping(k, page)
            if cached is None:
                yield from unlock_page(page)
                return None
            remap_swapcache = False
        yield from try_to_unmap(k, page, TTU_MIGRATION | TTU_IGNORE_MLOCK | TTU_IGNORE_ACCESS)
    return Unmapped(page, newpage, anon_vma, remap_swapcache)


def lock_for_batch(k: Context, page: Page) -> Kernel:
    """Lock a page if that can be had at once: the task may hold the locks of 511 others (B7).

    A construction of ours.
    """
    locked = yield from trylock_page(page)
    return locked


def move_batch(k: Context, unmapped: tuple[Unmapped, ...]) -> Kernel:
    """Copy and map each page, or put it back; return the old frames of those that went, and those that did not go.

    A construction of ours.
    """
    moved: tuple[Page, ...] = ()
    failed: tuple[Page, ...] = ()
    while unmapped:
        it, unmapped = unmapped[0], unmapped[1:]
        rc = yield from migrate_page_move(k, it)
        if rc == 0:
            moved = (*moved, it.page)
        else:
            failed = (*failed, it.page)
    return moved, failed


def migrate_page_move(k: Context, it: Unmapped) -> Kernel:
    """Copy one page and map the copy, or put everything back; return 0 or -EAGAIN.

    The second half of 3.7's __unmap_and_move, at the end of which the new frame goes to the LRU; the old one is still
    isolated.  (migrate_folio_move.)  mm/migrate.c (64c8902ed441, v6.3)
    """
    rc = -EAGAIN
    mapped = yield from page_mapped(k, it.page)
    if not mapped:
        rc = yield from migrate.move_to_new_page(k, it.newpage, it.page, it.remap_swapcache)
    yield from finish_page(k, it, rc)
    return rc


def finish_page(k: Context, it: Unmapped, rc: int) -> Kernel:
    """If *rc* says that it was not copied, map the old frame again; then give back what was taken.

    A construction of ours.
    """
    if rc != 0 and it.remap_swapcache:
        yield from migrate.remove_migration_ptes(k, it.page, it.page)
    if it.anon_vma is not None:
        yield from put_anon_vma(k, it.anon_vma)
    yield from unlock_page(it.page)
    yield from putback_lru_page(k, it.newpage)


def do_pages_move(k: Context, mm: Mm, addresses: tuple[int, ...], node: int, passes: int) -> Kernel:
    """Move pages as many at a time as make a batch.  A construction of ours.

    With the 169 of 3.7 (mm/migrate.c:1155) 2 MiB would take four flushes.
    """
    yield from migrate.migrate_prep(k)
    failed = 0
    while addresses:
        chunk, addresses = addresses[:NR_MAX_BATCHED_MIGRATION], addresses[NR_MAX_BATCHED_MIGRATION:]
        more = yield from migrate.do_move_page_to_node_array(k, mm, chunk, node, passes)
        failed += more
    return failed
