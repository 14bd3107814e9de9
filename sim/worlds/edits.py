"""VMAs are split and merged while a page that they map moves."""

from __future__ import annotations

from functools import partial

from sim.context import Context
from sim.kernel.migrate import sys_move_pages
from sim.kernel.mprotect import PROT_READ, sys_mprotect
from sim.kernel.swap import get_page_unless_zero, put_page
from sim.kernel.vmscan import isolate_lru_page
from sim.ops import Kernel
from sim.setup import Builder
from sim.structs import Page
from sim.user import user_read
from sim.worlds import Param, world
from sim.worlds.moving import PASSES

CALLER = Param(0, 0, 1, "who moves the page: 0 move_pages(2), 1 a kernel thread, which holds nobody's mmap_sem")


def mover(k: Context, *, vpn: int, node: int, passes: int) -> Kernel:
    """A thread that moves a page of its process with move_pages(2): mmap_sem of that process is held to read."""
    yield from sys_move_pages(k, k.mm, (vpn,), node, passes)


def kernel_mover(k: Context, *, page: Page, node: int, passes: int) -> Kernel:
    """A kernel thread that comes upon a page by its frame and moves it, as compaction and memory hot-remove do.

    Nobody's mmap_sem is held.  How it got there is left out (mm/compaction.c:999, mm/memory_hotplug.c:814, v3.7).
    The frame may be free by now, so a reference is taken only if there is one (mm/vmscan.c:1019).
    """
    got = yield from get_page_unless_zero(k, page)
    if not got:
        return
    err = yield from isolate_lru_page(k, page)
    yield from put_page(k, page)
    if err == 0:
        yield from k.migrate_pages((page,), node, passes)


def protector(k: Context, *, start: int, pages: int, vpn: int) -> Kernel:
    """A thread that makes a range read-only, and then reads one page of it."""
    yield from sys_mprotect(k, start, pages, PROT_READ)
    yield from user_read(k, vpn)


@world(check={"passes": 2}, caller=CALLER, passes=PASSES)
def relative_adjusts(caller: int, passes: int) -> Builder:
    """A child makes part of its heap read-only while a page that it shares with its parent moves.

    Parent P and child C share page 1 of a heap of two.  The page moves to node 1, by a move_pages call of P that moves
    shared pages too (MPOL_MF_MOVE_ALL), or by a kernel thread; C calls mprotect for its page 1 and then reads it.
    mprotect splits C's VMA: its new half is linked first (mm/mmap.c:2017), then the old half, which keeps page 1, is
    out of its trees while its bounds change (mm/mmap.c:597 to 655).
    """
    b = Builder()
    parent, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    page = b.page(b.vma(parent, "heap", 0, 2), 1, node=0, written=1)
    child = b.fork(parent, "C")
    if caller:
        move = partial(kernel_mover, page=page, node=1, passes=passes)
        b.kernel_thread("mover", cpu0, move, "moves page 1 to node 1, for the kernel's own reasons")
    else:
        b.task("mover", cpu0, parent, partial(mover, vpn=1, node=1, passes=passes), "moves page 1 to node 1")
    b.task("child", cpu1, child, partial(protector, start=1, pages=1, vpn=1), "makes page 1 read-only and reads it")
    return b


@world(check={"passes": 2}, passes=PASSES)
def vma_splits(passes: int) -> Builder:
    """A process makes part of its heap read-only while a kernel thread moves the page that this is about.

    One process; its heap of two pages is split by mprotect, and page 1 moves.  It stays in the old VMA, which is out of
    its tree while its bounds change (mm/mmap.c:597 to 655).  Only a mover without the process's mmap_sem can meet this.
    The owner's CPU has page 1 in its TLB from the start.
    """
    return _split(1, passes)


@world(check={"passes": 2}, passes=PASSES)
def split_visited_twice(passes: int) -> Builder:
    """A process makes part of its heap read-only while a kernel thread moves the page beside that part.

    As in vma_splits; but page 0 moves, which comes into the new VMA.  That is linked before the old one shrinks
    (mm/mmap.c:2017), so for a time both cover page 0: a walk with the lock comes to its PTE twice, which does no harm.
    One without it can stand on the old VMA's link while that is put elsewhere in the tree.
    """
    return _split(0, passes)


def _split(moving: int, passes: int) -> Builder:
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    page = b.page(b.vma(mm, "heap", 0, 2), moving, node=0, written=1)
    move = partial(kernel_mover, page=page, node=1, passes=passes)
    b.kernel_thread("mover", cpu0, move, f"moves page {moving} to node 1, for the kernel's own reasons")
    b.remembers(cpu1, mm, moving)
    body = partial(protector, start=1, pages=1, vpn=moving)
    b.task("owner", cpu1, mm, body, f"makes page 1 read-only and reads page {moving}")
    return b
