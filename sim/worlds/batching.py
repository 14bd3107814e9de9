"""What a page may still suffer through a TLB after it was unmapped, and how flushes can be put off all the same.

Each world stands for one rule of :mod:`sim.kernel.batch`, and its tilde form is the same world without that rule.  A
kernel that puts no flush off has nothing to lose there: a tilde form changes the batches only.
"""

from __future__ import annotations

from functools import partial

from sim.context import Context
from sim.kernel import migrate
from sim.kernel.batch.migrate import move_batch, unmap_batch
from sim.kernel.batch.rmap import exit_tlb_ubc, init_tlb_ubc, try_to_unmap_flush, try_to_unmap_flush_dirty
from sim.kernel.gup import get_user_pages_fast
from sim.kernel.mmap import sys_munmap
from sim.kernel.pgtable import is_migration_entry, pte_offset_map
from sim.kernel.swap import put_page
from sim.kernel.swapops import migration_entry_to_page
from sim.ops import Kernel, UserRead
from sim.setup import Builder
from sim.structs import Mm, Page, PageTable, Written
from sim.sync import (
    end_page_writeback,
    lock_page,
    lock_page_nested,
    lockdep_off,
    spin_lock,
    spin_unlock,
    trylock_page,
    unlock_page,
    wait_on_page_locked,
)
from sim.user import user_read, user_write
from sim.variants.batch_clean_deferred import _dirty_first
from sim.variants.batch_flush_after_copy import _copied_first
from sim.wording import times
from sim.worlds import unruly, world
from sim.worlds.edits import kernel_mover
from sim.worlds.moving import PASSES, mover
from sim.worlds.remaps import last_writer

MOVES = "moves page 0 to node 1"


def last_reader(k: Context, *, vpn: int) -> Kernel:
    """A thread that reads once through what its TLB remembers; if that has been flushed it ends."""
    yield UserRead(vpn)


# --- the frame is copied, freed, and mapped elsewhere ----------------------------------------------------


@world(check={"passes": 2}, passes=PASSES)
def write_during_copy(passes: int) -> Builder:
    """A thread goes on writing to a page through its TLB while the page moves.

    Its CPU has page 0 as writable and dirty, and so asks no page table.  A write that comes after the copy is in the
    old frame only; so every TLB must have dropped the page before it is copied.  Rule B1, H8.
    """
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    b.page(b.vma(mm, "heap", 0, 1), 0, node=0, written=1)
    b.remembers(cpu1, mm, 0)
    b.task("mover", cpu0, mm, partial(mover, vpns=(0,), node=1, passes=passes), MOVES)
    b.task("writer", cpu1, mm, partial(user_write, vpn=0), "writes page 0")
    return b


write_during_copy.variation(
    "B1",
    "A batch is copied first and flushed afterwards.",
    {"batch.migrate.migrate_pages_batch": _copied_first, "v63.migrate.migrate_pages_batch": unruly.copied_first},
)


def _tenant(k: Context) -> Kernel:
    yield from user_write(k, 1)
    yield from user_read(k, 1)


@world(check={"passes": 2}, passes=PASSES)
def frame_reused(passes: int) -> Builder:
    """A page moves, its old frame is freed, and a stranger gets it, while a thread may still read it through its TLB.

    The reader's CPU has page 0 of P as clean.  Q writes its first page on the node from which P's page goes: it gets a
    new frame, or the one that P's page has left.  Before a frame is freed every TLB must have dropped it, also those
    that could only read it: a batch in which pages are freed is limited by how many may wait (L:20150610085950).
    Rule B2, H9.
    """
    b = Builder()
    owner, stranger = b.mm(), b.mm("Q")
    b.recycle_frames()
    cpu0, cpu1, cpu2 = b.cpu(0, 0), b.cpu(1, 1), b.cpu(2, 0)
    b.page(b.vma(owner, "heap", 0, 1), 0, node=0, written=1)
    b.vma(stranger, "heap_Q", 1, 2)
    b.clean(owner, 0)
    b.remembers(cpu1, owner, 0)
    b.task("mover", cpu0, owner, partial(mover, vpns=(0,), node=1, passes=passes), MOVES)
    b.task("reader", cpu1, owner, partial(last_reader, vpn=0), "reads page 0 if its TLB still has it")
    b.task("stranger", cpu2, stranger, _tenant, "writes its first page and reads it back")
    return b


def _freed_before_the_flush(k: Context, pages: tuple[Page, ...], node: int) -> Kernel:
    """``migrate_pages_batch`` that frees the old frames before the clean entries are flushed."""
    yield from init_tlb_ubc(k)
    unmapped, left = yield from unmap_batch(k, pages, node)
    yield from try_to_unmap_flush_dirty(k)
    moved, failed = yield from move_batch(k, unmapped)
    yield from migrate.putback_lru_pages(k, moved)
    yield from try_to_unmap_flush(k)
    yield from exit_tlb_ubc(k)
    return (*left, *failed)


frame_reused.variation(
    "B2",
    "What a CPU can write to is flushed before the copy; the rest after the old frames are freed.",
    {
        "batch.migrate.migrate_pages_batch": _freed_before_the_flush,
        "v63.migrate.migrate_pages_batch": unruly.freed_before_the_flush,
    },
)


@world(check={"passes": 2}, passes=PASSES)
def read_after_remap(passes: int) -> Builder:
    """A thread reads a page through its TLB while the page moves and another thread writes it at its new place.

    The reader's CPU has page 0 as clean; so has the PTE, and no write can be lost: before its first write a CPU asks
    the page table.  But what the reader reads must not be older than what the writer has written.  Rule B4, H13.
    """
    b = Builder()
    mm, cpu0, cpu1, cpu2 = b.mm(), b.cpu(0, 0), b.cpu(1, 1), b.cpu(2, 1)
    b.page(b.vma(mm, "heap", 0, 1), 0, node=0, written=1)
    b.clean(mm, 0)
    b.remembers(cpu2, mm, 0)
    b.task("mover", cpu0, mm, partial(mover, vpns=(0,), node=1, passes=passes), MOVES)
    b.task("writer", cpu1, mm, partial(user_write, vpn=0), "writes page 0")
    b.task("reader", cpu2, mm, partial(last_reader, vpn=0), "reads page 0 if its TLB still has it")
    return b


read_after_remap.variation(
    "B4",
    "What a CPU can write to is flushed before the copy; the rest after the pages are mapped again.",
    {"batch.migrate.migrate_pages_batch": _dirty_first, "v63.migrate.migrate_pages_batch": unruly.dirty_first},
)


# --- others, while a batch is pending --------------------------------------------------------------------


@world(check={"passes": 2}, passes=PASSES)
def munmap_pending_flush(passes: int) -> Builder:
    """A process unmaps a page that a kernel thread has unmapped already, and not yet flushed.

    munmap finds a migration entry, nothing present, and so nothing to flush: the page table stays, for the next VMA
    needs it.  When it returns a third CPU must no longer be able to write to the page.  The mover holds nobody's
    mmap_sem.  So whoever changes PTEs flushes first what is pending in that address space (L:20170713170712).
    Rule B5, H14.
    """
    b = Builder()
    mm, cpu0, cpu1, cpu2 = b.mm(), b.cpu(0, 0), b.cpu(1, 1), b.cpu(2, 1)
    page = b.page(b.vma(mm, "heap", 0, 1), 0, node=0, written=1)
    b.page(b.vma(mm, "other", 1, 2), 1, node=1)
    b.remembers(cpu2, mm, 0)
    move = partial(kernel_mover, page=page, node=1, passes=passes)
    b.kernel_thread("mover", cpu0, move, f"{MOVES}, for the kernel's own reasons")
    b.task("owner", cpu1, mm, partial(_munmap, vpn=0), "unmaps page 0")
    b.task("writer", cpu2, mm, partial(last_writer, vpn=0), "writes to page 0 if its TLB still has it")
    return b


def _munmap(k: Context, *, vpn: int) -> Kernel:
    yield from sys_munmap(k, vpn, 1)


def _nothing_pending(k: Context, mm: Mm) -> Kernel:
    """``flush_tlb_batched_pending`` as before 3ea277194daa: nobody asks."""
    yield from ()


munmap_pending_flush.variation(
    "B5",
    "Who changes PTEs does not ask whether a flush is pending there.",
    {"batch.rmap.flush_tlb_batched_pending": _nothing_pending},
)


def _pins(k: Context) -> Kernel:
    page = yield from get_user_pages_fast(k, 0)
    if page is None:
        return
    yield page.data.set(Written(0, 2, k.mm))
    yield k.mm.shadow[0].set(Written(0, 2, k.mm))
    yield from put_page(k, page)


@world(check={"passes": 2}, passes=PASSES)
def pinned_in_time(passes: int) -> Builder:
    """A page is pinned for a device, without any lock, while it moves.

    get_user_pages_fast reads the PTE and takes its reference with interrupts off (arch/x86/mm/gup.c:312); it looks at
    the PTE once.  So the references can be counted only after a flush to which this CPU has answered: only then are
    all those taken that will be.  The device writes once through the frame and lets it go.  12.14, H15.
    Left out: the slow path; who finds no writable PTE does without.
    """
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    b.page(b.vma(mm, "heap", 0, 1), 0, node=0, written=1)
    b.task("mover", cpu0, mm, partial(mover, vpns=(0,), node=1, passes=passes), MOVES)
    b.task("device", cpu1, mm, _pins, "pins page 0, writes to its frame, and lets it go")
    return b


@world(check={"pages": 2, "passes": 2}, pages=PASSES, passes=PASSES)
def fault_waits(pages: int, passes: int) -> Builder:
    """A thread faults on a page that is on its way, and sleeps until it has moved.

    It takes a reference to the old page, so that what it sleeps on is still a page when it wakes up
    (mm/migrate.c:210).  If that reference comes before the mover counts the references, the move fails and is tried
    again: in a batch, which is longer unmapped, more often.  12.11.
    """
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    heap = b.vma(mm, "heap", 0, pages)
    for vpn in range(pages):
        b.page(heap, vpn, node=0, written=1)
    move = partial(mover, vpns=tuple(range(pages)), node=1, passes=passes)
    b.task("mover", cpu0, mm, move, f"moves {times(pages, 'page')} to node 1")
    b.task("reader", cpu1, mm, partial(user_read, vpn=0), "reads page 0")
    return b


def _wait_without_a_reference(k: Context, mm: Mm, pmd: PageTable, address: int) -> Kernel:
    """``migration_entry_wait`` that sleeps on a page which nobody keeps for it.  mm/migrate.c:184 (v3.7)"""
    yield from spin_lock(pmd.ptl)
    entry = yield pte_offset_map(pmd, address)
    if not is_migration_entry(entry):
        yield from spin_unlock(pmd.ptl)
        return
    page = yield from migration_entry_to_page(k, entry)
    yield from spin_unlock(pmd.ptl)
    yield from wait_on_page_locked(page)


fault_waits.variation(
    "no_reference",
    "Who faults on a migration entry takes no reference to the page on which it sleeps.",
    {"migrate.migration_entry_wait": _wait_without_a_reference},
)


# --- many page locks -------------------------------------------------------------------------------------


def _two_locks(k: Context, *, first: Page, second: Page) -> Kernel:
    locked = yield from trylock_page(first)
    yield from lock_page_nested(second)
    yield from unlock_page(second)
    if locked:
        yield from unlock_page(first)
    yield from end_page_writeback(first)
    yield from _let_go(k, first)
    yield from _let_go(k, second)


def _let_go(k: Context, page: Page) -> Kernel:
    yield page.pins.add(-1)
    yield from put_page(k, page)


@world(check={"passes": 2}, passes=PASSES)
def batch_deadlock(passes: int) -> Builder:
    """Two pages move while the second is being written out, for which somebody needs the lock of the first.

    A batch holds the locks of all its pages.  Others hold one lock and wait for another as well: writeback of a run of
    pages, or what a loop device needs before a page is written (L:87a6c8c-c5c1-67dc-1e32-eb30831d6e3d).  The writer
    here locks the second page if it gets it at once, waits for the first, and only then has the second been written.
    So a batch must leave out what it does not get at once, a lock or the end of writeback, and come back to it with no
    lock held.  Rule B7, H17.  Left out: files; and 3.7's wait for writeback, with one page locked (mm/migrate.c:742).
    """
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    heap = b.vma(mm, "heap", 0, 2)
    first, second = (b.page(heap, vpn, node=0, written=1, pins=1) for vpn in range(2))
    b.task("mover", cpu0, mm, partial(mover, vpns=(0, 1), node=1, passes=passes), "moves pages 0 and 1 to node 1")
    b.memory[second.PG_writeback] = True
    other = partial(_two_locks, first=second, second=first)
    b.kernel_thread("writeback", cpu1, other, "writes page 1 out, with the lock of page 0")
    return b


def _sleep_for_the_lock(k: Context, page: Page) -> Kernel:
    """``lock_for_batch`` that waits.  lockdep is off, so that the deadlock itself is seen."""
    yield from lockdep_off(k.current)
    yield from lock_page(page)
    return True


batch_deadlock.variation(
    "B7",
    "A batch sleeps for the lock of each of its pages.",
    {"batch.migrate.lock_for_batch": _sleep_for_the_lock, "v63.migrate._lock_src": unruly.sleeps_for_the_lock},
)
