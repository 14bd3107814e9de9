"""Batches as first merged for 6.3: from the fourth pass on a batch waits, with the locks of other pages held (deadlock)

It did not sleep for a second page lock (``avoid_force_lock``), but it did for the end of writeback and for a buffer's
lock, and so deadlocked with a loop device within hours (L:87a6c8c-c5c1-67dc-1e32-eb30831d6e3d).  fb3592c41a44 made
batches that wait for nothing.  Of the two waits the one for writeback is modelled.
"""

from __future__ import annotations

from errno import EAGAIN, EDEADLK
from typing import NamedTuple

from sim.context import Context
from sim.kernel import migrate
from sim.kernel.batch.rmap import exit_tlb_ubc, init_tlb_ubc
from sim.kernel.migrate import MIGRATE_ASYNC, MIGRATE_SYNC, new_page_node
from sim.kernel.swap import put_page
from sim.kernel.v61.migrate import NR_MAX_BATCHED_MIGRATION
from sim.kernel.v63.migrate import Unmapped, _move_all, _unmap_locked
from sim.kernel.v63.rmap import try_to_unmap_flush
from sim.ops import Kernel
from sim.structs import Page
from sim.sync import lock_page, trylock_page, unlock_page, wait_on_page_writeback

BASE = "batch_v63"

VERDICTS = {
    "batch_deadlock": "unsafe",
    # These forms change the batches that landed; what stands below has a loop of its own.
    "frame_reused~B2": "safe",
    "read_after_remap~B4": "safe",
    "write_during_copy~B1": "safe",
}


def migrate_pages(k: Context, pages: tuple[Page, ...], node: int, passes: int = 10, mode: str = MIGRATE_SYNC) -> Kernel:
    """In batches, all passes of which are in the caller's *mode*."""
    failed = 0
    while pages:
        some, pages = pages[:NR_MAX_BATCHED_MIGRATION], pages[NR_MAX_BATCHED_MIGRATION:]
        while some:
            again, left = yield from _batch(k, some, node, passes, mode)
            yield from migrate.putback_lru_pages(k, left)
            failed += len(left)
            some = again
    return failed


class _Sorted(NamedTuple):
    """What has become of the pages of a batch: unmapped, to be tried again after the batch, and given up."""

    unmapped: tuple[Unmapped, ...]
    again: tuple[Page, ...]
    left: tuple[Page, ...]


def _batch(k: Context, pages: tuple[Page, ...], node: int, passes: int, mode: str) -> Kernel:
    """``migrate_pages_batch`` as of 6.3-rc1; returns the pages that are to be tried again, and those given up."""
    yield from init_tlb_ubc(k)
    found = yield from _unmap(k, pages, node, passes, mode)
    yield from try_to_unmap_flush(k)
    failed = yield from _move_all(k, found.unmapped, passes)
    yield from exit_tlb_ubc(k)
    return found.again, (*found.left, *failed)


def _unmap(k: Context, pages: tuple[Page, ...], node: int, passes: int, mode: str) -> Kernel:
    """Unmap *pages* in up to *passes* passes; from the fourth on, or in the last of fewer, wait for what is busy.

    A page that somebody else has locked ends the batch, if others are in it: those are moved, and it is tried again.
    """
    unmapped: tuple[Unmapped, ...] = ()
    number = 0
    while number < passes and pages:
        force = number > 2 or number == passes - 1
        todo, pages = pages, ()
        while todo:
            page, todo = todo[0], todo[1:]
            rc, it = yield from _unmap_one(k, page, node, force, bool(unmapped), mode)
            if rc == -EDEADLK:
                return _Sorted(unmapped, (page, *todo, *pages), ())
            if it is not None:
                unmapped = (*unmapped, it)
            elif rc == -EAGAIN:
                pages = (*pages, page)
        number += 1
    return _Sorted(unmapped, (), pages)


def _unmap_one(k: Context, src: Page, node: int, force: bool, avoid_force_lock: bool, mode: str) -> Kernel:
    """``migrate_folio_unmap`` as of 6.3-rc1: with *force* it waits for writeback, whatever else is locked."""
    count = yield src._count
    if count == 1:
        yield from put_page(k, src)
        return 0, None
    dst = yield from new_page_node(k, src, node)
    rc = yield from _lock_src(k, src, force, avoid_force_lock, mode)
    if rc != 0:
        yield from put_page(k, dst)
        return rc, None
    done = yield from _unmap_locked(k, src, dst, True)
    return done


def _lock_src(k: Context, src: Page, force: bool, avoid_force_lock: bool, mode: str) -> Kernel:
    """Lock a page that is not being written out; return 0, or what stood in the way."""
    locked = yield from trylock_page(src)
    if not locked:
        if not force or mode == MIGRATE_ASYNC:
            return -EAGAIN
        if avoid_force_lock:
            return -EDEADLK
        yield from lock_page(src)
    writeback = yield src.PG_writeback
    if writeback:
        if not force or mode == MIGRATE_ASYNC:
            yield from unlock_page(src)
            return -EAGAIN
        yield from wait_on_page_writeback(src)
    return 0
