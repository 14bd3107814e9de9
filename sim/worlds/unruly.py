"""The batches of 6.3 without one of their rules: what the tilde forms of the batching worlds put in their place.

Each takes what it replaces takes: ``migrate_pages_batch`` or ``_lock_src`` of :mod:`sim.kernel.v63.migrate`.
"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.batch.rmap import exit_tlb_ubc, init_tlb_ubc, try_to_unmap_flush_dirty
from sim.kernel.v61.migrate import move_to_new_folio
from sim.kernel.v63.migrate import (
    Unmapped,
    _map_dst,
    _move_all,
    _unmap_all,
    migrate_folio_done,
    migrate_folio_undo_dst,
    migrate_folio_undo_src,
)
from sim.kernel.v63.rmap import try_to_unmap_flush
from sim.ops import Kernel
from sim.structs import Page
from sim.sync import lock_page, lockdep_off


def copied_first(k: Context, pages: tuple[Page, ...], node: int, passes: int, mode: str) -> Kernel:
    """All are copied before the flush; mapped and freed after it.  B1 is gone."""
    yield from init_tlb_ubc(k)
    unmapped, left = yield from _unmap_all(k, pages, node, passes, mode)
    copied, failed = yield from _copy_all(k, unmapped)
    yield from try_to_unmap_flush(k)
    moved = yield from _map_all(k, copied)
    yield from _free_all(k, moved)
    yield from exit_tlb_ubc(k)
    return (*left, *failed)


def freed_before_the_flush(k: Context, pages: tuple[Page, ...], node: int, passes: int, mode: str) -> Kernel:
    """What a CPU can write to is flushed before the copy, the rest after the old frames are freed.  B2 is gone."""
    yield from init_tlb_ubc(k)
    unmapped, left = yield from _unmap_all(k, pages, node, passes, mode)
    yield from try_to_unmap_flush_dirty(k)
    failed = yield from _move_all(k, unmapped, passes)
    yield from try_to_unmap_flush(k)
    yield from exit_tlb_ubc(k)
    return (*left, *failed)


def dirty_first(k: Context, pages: tuple[Page, ...], node: int, passes: int, mode: str) -> Kernel:
    """What a CPU can write to is flushed before the copy, the rest before the old frames are freed.  B4 is gone."""
    yield from init_tlb_ubc(k)
    unmapped, left = yield from _unmap_all(k, pages, node, passes, mode)
    yield from try_to_unmap_flush_dirty(k)
    copied, failed = yield from _copy_all(k, unmapped)
    moved = yield from _map_all(k, copied)
    yield from try_to_unmap_flush(k)
    yield from _free_all(k, moved)
    yield from exit_tlb_ubc(k)
    return (*left, *failed)


def _copy_all(k: Context, unmapped: tuple[Unmapped, ...]) -> Kernel:
    """Copy each page, or map it again; return what was copied, and the pages that were not."""
    copied: tuple[Unmapped, ...] = ()
    failed: tuple[Page, ...] = ()
    while unmapped:
        it, unmapped = unmapped[0], unmapped[1:]
        rc = yield from move_to_new_folio(k, it.dst, it.src)
        if rc == 0:
            copied = (*copied, it)
            continue
        yield from migrate_folio_undo_src(k, it.src, it.was_mapped, it.anon_vma)
        yield from migrate_folio_undo_dst(k, it.dst)
        failed = (*failed, it.src)
    return copied, failed


def _map_all(k: Context, copied: tuple[Unmapped, ...]) -> Kernel:
    """Map each copy; return the old frames."""
    moved: tuple[Page, ...] = ()
    while copied:
        it, copied = copied[0], copied[1:]
        yield from _map_dst(k, it)
        moved = (*moved, it.src)
    return moved


def _free_all(k: Context, pages: tuple[Page, ...]) -> Kernel:
    while pages:
        page, pages = pages[0], pages[1:]
        yield from migrate_folio_done(k, page)


def sleeps_for_the_lock(k: Context, src: Page, mode: str) -> Kernel:
    """``_lock_src`` that waits for the lock.  lockdep is off, so that the deadlock itself is seen.  B7 is gone."""
    yield from lockdep_off(k.current)
    yield from lock_page(src)
    return 0
