"""Page tables are moved to other addresses while a page that they map moves to another frame."""

from __future__ import annotations

from functools import partial

from sim.context import Context
from sim.kernel.mremap import move_page_tables, sys_mremap
from sim.kernel.v61 import mremap as v61_mremap
from sim.ops import Kernel, UserWrite
from sim.setup import Builder
from sim.structs import Vma
from sim.user import user_read
from sim.worlds import world
from sim.worlds.edits import kernel_mover
from sim.worlds.family import insert_to_the_left
from sim.worlds.moving import PASSES


def remapper(k: Context, *, old: int, new: int) -> Kernel:
    """A thread that moves one page to another address, and reads it there."""
    yield from sys_mremap(k, old, 1, new)
    yield from user_read(k, new)


def last_writer(k: Context, *, vpn: int) -> Kernel:
    """A thread that writes once through what its TLB remembers.

    If that has been flushed it would fault, and be killed if the address is gone; here it ends.
    """
    yield UserWrite(vpn)


@world(check={"passes": 2}, passes=PASSES)
def mremap_during_migration(passes: int) -> Builder:
    """A process moves a page to an address next to an older VMA, which takes it over, while the page's frame changes.

    The heap was [0, 2); its first page has been moved to 4.  Now mremap moves page 1 to 5, where the two are one VMA
    again (mm/mmap.c:2393).  That VMA begins at a smaller offset than the one that the page leaves, so a walk comes to
    the new place first and to the old one last: the PTE must be moved under the anon_vma lock (mm/mremap.c:85 to 119).
    A kernel thread moves the page to node 1; no mmap_sem stops it.
    """
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    heap = b.vma(mm, "heap", 1, 2)
    b.piece(heap, "moved", 4, 5, 0)
    page = b.page(heap, 1, node=0, written=1)
    b.remembers(cpu1, mm, 1)
    move = partial(kernel_mover, page=page, node=1, passes=passes)
    b.kernel_thread("mover", cpu0, move, "moves page 1 to node 1, for the kernel's own reasons")
    b.task("owner", cpu1, mm, partial(remapper, old=1, new=5), "moves page 1 to address 5 and reads it there")
    return b


@world(check={"passes": 2}, passes=PASSES)
def mremap_fresh_vma(passes: int) -> Builder:
    """A process moves a page to an address where nothing is, while the page's frame changes.

    A heap of one page, which mremap moves from 0 to 4.  The VMA made there stands behind the old one in the tree, so
    the PTE is moved without the anon_vma lock: a walk that is too late for the old place is not yet at the new one
    (mm/mremap.c:94).  A kernel thread moves the page to node 1; no mmap_sem stops it.
    """
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    page = b.page(b.vma(mm, "heap", 0, 1), 0, node=0, written=1)
    b.remembers(cpu1, mm, 0)
    move = partial(kernel_mover, page=page, node=1, passes=passes)
    b.kernel_thread("mover", cpu0, move, "moves page 0 to node 1, for the kernel's own reasons")
    b.task("owner", cpu1, mm, partial(remapper, old=0, new=4), "moves page 0 to address 4 and reads it there")
    return b


@world(check={"passes": 2}, passes=PASSES)
def mremap_stale_tlb(passes: int) -> Builder:
    """A thread writes to a page through its old address while mremap moves the page and a kernel thread its frame.

    A heap of one page goes from 0 to 4.  The writer's CPU has page 0 in its TLB, and mremap flushes that after the page
    tables' locks were given back (mm/mremap.c:131 to 140, against 201).  The mover finds the page at its new address,
    flushes that, copies the frame and frees it.  A defect of every kernel up to eb66ae030829 (2018, CVE-2018-18281).
    """
    b = Builder()
    mm, cpu0, cpu1, cpu2 = b.mm(), b.cpu(0, 0), b.cpu(1, 1), b.cpu(2, 1)
    page = b.page(b.vma(mm, "heap", 0, 1), 0, node=0, written=1)
    b.remembers(cpu2, mm, 0)
    move = partial(kernel_mover, page=page, node=1, passes=passes)
    b.kernel_thread("mover", cpu0, move, "moves page 0 to node 1, for the kernel's own reasons")
    b.task("owner", cpu1, mm, partial(sys_mremap, addr=0, length=1, new_addr=4), "moves page 0 to address 4")
    b.task("writer", cpu2, mm, partial(last_writer, vpn=0), "writes to page 0 if its TLB still has it")
    return b


# --- without a rule, or without a defect -----------------------------------------------------------------


def never_locked(
    k: Context, vma: Vma, old_addr: int, new_vma: Vma, new_addr: int, length: int, need_rmap_locks: bool
) -> Kernel:
    """``move_page_tables`` as if the anon_vma lock were never needed."""
    done = yield from move_page_tables(k, vma, old_addr, new_vma, new_addr, length, False)
    return done


mremap_during_migration.variation(
    "no_rmap_locks",
    "The PTE is moved without the anon_vma lock, although the new place comes before the old one.",
    {"mremap.move_page_tables": never_locked},
)
mremap_fresh_vma.variation(
    "left_insert",
    "Among equal page offsets the tree puts the newcomer first, so that a walk comes to the new place before the old.",
    {"interval_tree.anon_vma_interval_tree_insert": insert_to_the_left},
)
mremap_stale_tlb.variation(
    "fixed",
    "Each PTE is flushed before the page tables' locks are given back (eb66ae030829, 2018).",
    {"mremap._move_each_pte": v61_mremap._move_each_pte, "mremap._flush_moved": v61_mremap._flush_moved},
)
