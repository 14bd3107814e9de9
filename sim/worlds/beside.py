"""Somebody else is at the same page, or next door, while it moves: faults, pins, munmap and MADV_DONTNEED."""

from __future__ import annotations

from functools import partial

from sim.context import Context
from sim.kernel import mmap
from sim.kernel.madvise import sys_madvise
from sim.kernel.page_alloc import alloc_pages_node
from sim.kernel.rmap import anon_vma_prepare, page_add_new_anon_rmap
from sim.kernel.swap import put_page
from sim.ops import Field, Kernel
from sim.setup import Builder
from sim.structs import Mm, Page, PageTable, Pte, SwapSlot, Vma, Written
from sim.sync import spin_lock, spin_unlock
from sim.user import user_read, user_write
from sim.worlds import world
from sim.worlds.edits import kernel_mover
from sim.worlds.moving import PASSES, mover


def _toucher(k: Context, *, vpn: int) -> Kernel:
    yield from user_write(k, vpn)
    yield from user_read(k, vpn)


# --- next door -------------------------------------------------------------------------------------------


@world(check={"passes": 2}, passes=PASSES)
def neighbour_faults(passes: int) -> Builder:
    """A thread touches a VMA for the first time while another thread moves a page of the VMA before it.

    One process that never forked.  Three VMAs of one page each lie side by side (one of them may have been made
    read-only once); the first two share an anon_vma, and the third has none.  The fault reuses its neighbour's
    (mm/mmap.c:935) and links the VMA under page_table_lock and the root's lock, with mmap_sem held to read only
    (mm/rmap.c:161), as the mover holds it: so mmap_sem keeps neither from the other.  The new link is the third of the
    tree, so the tree is rotated; with fewer it would not be.  H4.
    """
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    first = b.vma(mm, "first", 0, 1)
    b.page(b.piece(first, "second", 1, 2, 1), 1, node=0, written=1)
    b.untouched(mm, "third", 2, 3)
    b.task("mover", cpu0, mm, partial(mover, vpns=(1,), node=1, passes=passes), "moves page 1 to node 1")
    b.task("worker", cpu1, mm, partial(user_write, vpn=2), "writes page 2, the first of its VMA")
    return b


# --- the same page ---------------------------------------------------------------------------------------


@world(check={"passes": 2}, passes=PASSES)
def empty_pte(passes: int) -> Builder:
    """A thread faults on a page in the moment in which its PTE is neither a mapping nor a migration entry.

    From ptep_clear_flush to set_pte_at the PTE is none for a whole round of interrupts (mm/rmap.c:1228 to 1287).  A
    thread that looks at it then takes the page for one that was never touched, and gets a new frame ready; the second
    look, under the ptl, saves the data (mm/memory.c:3173).
    """
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    b.page(b.vma(mm, "heap", 0, 1), 0, node=0, written=1)
    b.task("mover", cpu0, mm, partial(mover, vpns=(0,), node=1, passes=passes), "moves page 0 to node 1")
    b.task("worker", cpu1, mm, partial(_toucher, vpn=0), "writes page 0 and reads it back")
    return b


def map_without_looking(k: Context, vma: Vma, address: int, table: PageTable, pte: Field) -> Kernel:
    """Map a new frame, whatever the PTE has become meanwhile.  mm/memory.c:3134 (v3.7)"""
    yield from anon_vma_prepare(k, vma)
    page = yield from alloc_pages_node(k, k.node)
    yield from spin_lock(table.ptl)
    yield from page_add_new_anon_rmap(k, page, vma, address)
    yield pte.set(Pte("present", page, True, True))
    yield from spin_unlock(table.ptl)


empty_pte.variation(
    "no_recheck",
    "A fault on a page that was never touched does not look at the PTE again once it has the page table's lock.",
    {"memory.do_anonymous_page": map_without_looking},
)


def _device(k: Context, *, mm: Mm, page: Page) -> Kernel:
    yield page.data.set(Written(0, 2, mm))
    yield mm.shadow[0].set(Written(0, 2, mm))
    yield page.pins.add(-1)
    yield from put_page(k, page)


@world(check={"passes": 2}, passes=PASSES)
def pinned_page(passes: int) -> Builder:
    """A device writes into a page that was pinned for it, while a thread moves that page.

    get_user_pages has taken a reference, as for direct I/O; the device knows the frame and asks no page table and no
    TLB.  It writes once and lets go.  The reference is not the isolation's, so the migration fails as long as it is
    there (mm/migrate.c:288), and puts the PTE back.  H15.
    """
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    page = b.page(b.vma(mm, "heap", 0, 1), 0, node=0, written=1, pins=1)
    b.task("mover", cpu0, mm, partial(mover, vpns=(0,), node=1, passes=passes), "moves page 0 to node 1")
    b.task("device", cpu1, mm, partial(_device, mm=mm, page=page), "writes to the frame of page 0, and lets it go")
    return b


def anybody_may_use_it(k: Context, mapping: SwapSlot | None, newpage: Page, page: Page) -> Kernel:
    """Copy whoever else has a reference.  mm/migrate.c:278 (v3.7)"""
    yield from ()
    return 0


pinned_page.variation(
    "no_count_test",
    "Migration does not ask whether somebody else has a reference to the page.",
    {"migrate.migrate_page_move_mapping": anybody_may_use_it},
)


# --- the page goes ---------------------------------------------------------------------------------------


def _unmapper(k: Context, *, vpn: int) -> Kernel:
    yield from mmap.sys_munmap(k, vpn, 1)


@world(check={"passes": 2}, passes=PASSES)
def munmap_gathers(passes: int) -> Builder:
    """A process unmaps a page that it shares with its child, while a kernel thread moves that page.

    munmap clears the PTE, gives up the mapping, and keeps the reference until the TLBs are flushed
    (mm/memory.c:1154 to 1177): a migration that has unmapped the child then finds nobody to map the page, still counts
    two references, and fails.  The walks hold nobody's mmap_sem here, so the VMA itself may go while they look at it.
    """
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    page = b.page(b.vma(mm, "heap", 0, 1), 0, node=0, written=1)
    b.fork(mm, "C")
    move = partial(kernel_mover, page=page, node=1, passes=passes)
    b.kernel_thread("mover", cpu0, move, "moves page 0 to node 1, for the kernel's own reasons")
    b.remembers(cpu1, mm, 0)
    b.task("owner", cpu1, mm, partial(_unmapper, vpn=0), "unmaps page 0")
    return b


def _adviser(k: Context, *, vpn: int) -> Kernel:
    yield from sys_madvise(k, vpn, 1)
    yield from _toucher(k, vpn=vpn)


@world(check={"passes": 2}, passes=PASSES)
def madv_dontneed(passes: int) -> Builder:
    """A thread drops a page with MADV_DONTNEED while another thread of the process moves it, and writes it anew.

    madvise holds mmap_sem to read only (mm/madvise.c:25), as move_pages does, so neither waits for the other.  The zap
    meets a mapping, a migration entry or nothing (mm/memory.c:1109); what is written afterwards must stay.
    """
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    b.page(b.vma(mm, "heap", 0, 1), 0, node=0, written=1)
    b.task("mover", cpu0, mm, partial(mover, vpns=(0,), node=1, passes=passes), "moves page 0 to node 1")
    b.remembers(cpu1, mm, 0)
    b.task("adviser", cpu1, mm, partial(_adviser, vpn=0), "drops page 0, then writes it and reads it back")
    return b
