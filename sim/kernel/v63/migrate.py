"""Moving pages in batches of what can be had at once, then singly.  mm/migrate.c

While a batch is unmapped the task holds the locks of all its pages, old and new, and a reference to each anon_vma; no
anon_vma lock, and no mmap_sem.  Pages that are freed on the way, and old frames after a move, go at once: the flush has
been made before the first of them is moved.
"""

from __future__ import annotations

from errno import EAGAIN, EBUSY
from typing import NamedTuple

from sim.context import Context
from sim.kernel import migrate
from sim.kernel.batch.rmap import exit_tlb_ubc, init_tlb_ubc
from sim.kernel.migrate import MIGRATE_ASYNC, MIGRATE_SYNC, new_page_node, remove_migration_ptes
from sim.kernel.rmap import page_get_anon_vma, page_mapped, put_anon_vma
from sim.kernel.swap import lru_cache_add_lru, put_page
from sim.kernel.v61.migrate import NR_MAX_BATCHED_MIGRATION, move_to_new_folio
from sim.kernel.v61.rmap import TTU_BATCH_FLUSH, try_to_migrate
from sim.kernel.v63.rmap import try_to_unmap_flush
from sim.ops import Kernel, Point
from sim.structs import AnonVma, Page
from sim.sync import lock_page, trylock_page, unlock_page, wait_on_page_writeback


class Unmapped(NamedTuple):
    """A page of a batch: it and the new page are locked, and no PTE maps it.  (What 6.3 keeps in ``dst->private``.)

    Attributes:
        src, dst: the old frame, and the one that it is to move to.
        anon_vma: what is pinned, or None.
        was_mapped: whether there is to be a remap walk.
    """

    src: Page
    dst: Page
    anon_vma: AnonVma | None
    was_mapped: bool


def migrate_pages(k: Context, pages: tuple[Page, ...], node: int, passes: int = 10, mode: str = MIGRATE_SYNC) -> Kernel:
    """Move isolated pages to *node*, up to 512 at a time; return how many did not go.

    Caller has isolated the pages; what is left over goes back to the LRU here, as in 3.7.  mm/migrate.c (v6.3)
    """
    yield Point("migrate_pages")
    failed = 0
    while pages:
        some, pages = pages[:NR_MAX_BATCHED_MIGRATION], pages[NR_MAX_BATCHED_MIGRATION:]
        if mode == MIGRATE_ASYNC:
            left = yield from migrate_pages_batch(k, some, node, passes, mode)
        else:
            left = yield from migrate_pages_sync(k, some, node, passes, mode)
        yield from migrate.putback_lru_pages(k, left)
        failed += len(left)
    return failed


def migrate_pages_sync(k: Context, pages: tuple[Page, ...], node: int, passes: int, mode: str) -> Kernel:
    """Move *pages* in a batch that waits for nobody, then those that did not go one by one; return those that stayed.

    Of the kernel's ten passes three are the batch's and seven each single page's; fewer are divided likewise.
    mm/migrate.c (v6.3)
    """
    first = max(passes * 3 // 10, 1)
    pages = yield from migrate_pages_batch(k, pages, node, first, MIGRATE_ASYNC)
    left: tuple[Page, ...] = ()
    while pages:
        page, pages = pages[0], pages[1:]
        more = yield from migrate_pages_batch(k, (page,), node, max(passes - first, 1), mode)
        left = (*left, *more)
    return left


def migrate_pages_batch(k: Context, pages: tuple[Page, ...], node: int, passes: int, mode: str) -> Kernel:
    """Unmap *pages*, flush once, move each; return those that did not go, which are still isolated.

    Each half is tried up to *passes* times, for those that were busy.  mm/migrate.c (v6.3)
    """
    yield Point("migrate_pages_batch")
    yield from init_tlb_ubc(k)
    unmapped, left = yield from _unmap_all(k, pages, node, passes, mode)
    yield from try_to_unmap_flush(k)
    failed = yield from _move_all(k, unmapped, passes)
    yield from exit_tlb_ubc(k)
    return (*left, *failed)


def _unmap_all(k: Context, pages: tuple[Page, ...], node: int, passes: int, mode: str) -> Kernel:
    """Unmap *pages*; return those that are (:class:`Unmapped`), and those that could not be.

    (The first loop of migrate_pages_batch.)
    """
    unmapped: tuple[Unmapped, ...] = ()
    left: tuple[Page, ...] = ()
    number = 0
    while number < passes and pages:
        todo, pages = pages, ()
        while todo:
            page, todo = todo[0], todo[1:]
            rc, it = yield from migrate_folio_unmap(k, page, node, mode)
            if it is not None:
                unmapped = (*unmapped, it)
            elif rc == -EAGAIN:
                pages = (*pages, page)
            elif rc != 0:
                left = (*left, page)
        number += 1
    return unmapped, (*pages, *left)


def _move_all(k: Context, unmapped: tuple[Unmapped, ...], passes: int) -> Kernel:
    """Move what has been unmapped; return the pages that somebody else goes on using, which are mapped again.

    (The second loop of migrate_pages_batch.)
    """
    number = 0
    while number < passes and unmapped:
        todo, unmapped = unmapped, ()
        while todo:
            it, todo = todo[0], todo[1:]
            rc = yield from migrate_folio_move(k, it)
            if rc != 0:
                unmapped = (*unmapped, it)
        number += 1
    failed: tuple[Page, ...] = ()
    while unmapped:
        it, unmapped = unmapped[0], unmapped[1:]
        yield from migrate_folio_undo_src(k, it.src, it.was_mapped, it.anon_vma)
        yield from migrate_folio_undo_dst(k, it.dst)
        failed = (*failed, it.src)
    return failed


# --- one page ------------------------------------------------------------------------------------------------------


def migrate_folio_unmap(k: Context, src: Page, node: int, mode: str) -> Kernel:
    """Lock one page and the new one, pin its anon_vma and unmap it; or put everything back.

    Returns an error or 0, and an :class:`Unmapped` or None; both 0 and None if the page was freed meanwhile.  If *mode*
    is asynchronous this waits for nothing, and need not flush.  mm/migrate.c (v6.3)
    """
    count = yield src._count
    if count == 1:  # only the isolation is left: whoever had it has freed it
        yield from put_page(k, src)
        return 0, None
    dst = yield from new_page_node(k, src, node)
    rc = yield from _lock_src(k, src, mode)
    if rc != 0:
        yield from put_page(k, dst)
        return rc, None
    done = yield from _unmap_locked(k, src, dst, mode == MIGRATE_ASYNC)
    return done


def _unmap_locked(k: Context, src: Page, dst: Page, batch_flush: bool) -> Kernel:
    """Unmap a locked page.  (The second half of migrate_folio_unmap, with the same results.)"""
    anon_vma = yield from page_get_anon_vma(k, src)
    yield from trylock_page(dst)  # nobody else knows it
    was_mapped = yield from page_mapped(k, src)
    if was_mapped:
        yield from try_to_migrate(k, src, TTU_BATCH_FLUSH if batch_flush else 0)
        mapped = yield from page_mapped(k, src)
        if mapped:
            yield from migrate_folio_undo_src(k, src, was_mapped, anon_vma)
            yield from migrate_folio_undo_dst(k, dst)
            return -EAGAIN, None
    return 0, Unmapped(src, dst, anon_vma, was_mapped)


def _lock_src(k: Context, src: Page, mode: str) -> Kernel:
    """Lock a page that is not being written out; return 0, or what stood in the way.

    An asynchronous caller may hold the locks of 511 other pages, and does not wait (B7).  (Part of
    migrate_folio_unmap.)
    """
    locked = yield from trylock_page(src)
    if not locked:
        if mode == MIGRATE_ASYNC:
            return -EAGAIN
        yield from lock_page(src)
    writeback = yield src.PG_writeback
    if writeback:
        if mode == MIGRATE_ASYNC:
            yield from unlock_page(src)
            return -EBUSY
        yield from wait_on_page_writeback(src)
    return 0


def migrate_folio_move(k: Context, it: Unmapped) -> Kernel:
    """Copy one page, map the copy, and free the old frame; return 0, or -EAGAIN with the page as it was: unmapped.

    mm/migrate.c (v6.3)
    """
    rc = yield from move_to_new_folio(k, it.dst, it.src)
    if rc != 0:
        return rc
    yield from _map_dst(k, it)
    yield from migrate_folio_done(k, it.src)
    return 0


def _map_dst(k: Context, it: Unmapped) -> Kernel:
    """Map the copy in place of the old page, and let both go.  (The second half of migrate_folio_move.)"""
    yield from lru_cache_add_lru(k, it.dst)
    if it.was_mapped:
        yield from remove_migration_ptes(k, it.src, it.dst)
    yield from unlock_page(it.dst)
    yield from put_page(k, it.dst)  # those who map it have their own
    if it.anon_vma is not None:
        yield from put_anon_vma(k, it.anon_vma)
    yield from unlock_page(it.src)


def migrate_folio_done(k: Context, src: Page) -> Kernel:
    """Drop the isolation's reference to a page that has moved, which frees it.  mm/migrate.c (v6.3)"""
    yield from put_page(k, src)


def migrate_folio_undo_src(k: Context, src: Page, page_was_mapped: bool, anon_vma: AnonVma | None) -> Kernel:
    """Map the old page again where it was, and let it go.  mm/migrate.c (v6.3)"""
    if page_was_mapped:
        yield from remove_migration_ptes(k, src, src)
    if anon_vma is not None:
        yield from put_anon_vma(k, anon_vma)
    yield from unlock_page(src)


def migrate_folio_undo_dst(k: Context, dst: Page) -> Kernel:
    """Free the new page, which nobody needs.  mm/migrate.c (v6.3)"""
    yield from unlock_page(dst)
    yield from put_page(k, dst)
