"""The lock and the anon_vma themselves: what an unlock must be, and in which order a family is freed."""

from __future__ import annotations

from functools import partial

from sim.context import Context
from sim.kernel.compaction import compact_zone
from sim.kernel.exit import do_exit
from sim.kernel.rmap import anon_vma_prepare, page_referenced
from sim.kernel.v61 import rmap as v61_rmap
from sim.kernel.vmscan import __isolate_lru_page, putback_lru_page
from sim.ops import Kernel
from sim.setup import Builder
from sim.structs import Page, Vma
from sim.sync import down_read, lock_page, unlock_page, up_read
from sim.worlds import world
from sim.worlds.moving import PASSES, mover


@world(
    check={"passes": 2},
    passes=PASSES,
)
def unbalanced_unlock(passes: int) -> Builder:
    """A parent and its child each move a page of their own: two address spaces, one lock.

    The child was forked before either touched the page, so that no page is shared and no PTE of one concerns the other;
    nobody forks, exits or maps.  Both take the lock of the family's root (mm/rmap.c:445, 1690), twice each.  H7.
    Left out: the count inside the mutex (kernel/mutex.c:92, v3.7), which one unlock too many leaves at 2, so that two
    tasks get in: the model stops at the unlock.
    """
    b = Builder()
    parent = b.mm()
    heap = b.vma(parent, "heap", 0, 8)
    child = b.fork(parent, "C")
    b.page(heap, 0, node=0, written=1)
    b.page(Vma("heap_C"), 0, node=0, written=2)
    for number, mm in enumerate((parent, child)):
        move = partial(mover, vpns=(0,), node=1, passes=passes)
        b.task(f"migrator-{mm}", b.cpu(number, number), mm, move, f"moves page 0 of {mm} to node 1")
    return b


# --- who frees the root ----------------------------------------------------------------------------------


def _exit(k: Context) -> Kernel:
    yield from do_exit(k)


@world(
    check={"passes": 2},
    passes=PASSES,
)
def root_freed_first(passes: int) -> Builder:
    """The last process of a family exits while a kernel thread moves its page, and the mover's reference is the last.

    P has exited already; its child C is the last whose VMA hangs on P's anon_vma, the root.  C's page belongs to C's
    own anon_vma, as after copy on write.  The mover (compaction, mm/compaction.c:999: no mmap_sem of C) has pinned that
    one when C exits.  So its put_anon_vma frees it, and with it the root: the root first, then the member, whose
    freeing looks at the root's lock (mm/rmap.c:1675).  A use after free until 624483f3ea82 (2014).  H20.
    Left out: the slab, which has to give the page away or the object again before anybody would notice.
    """
    b = Builder()
    parent = b.mm()
    b.vma(parent, "heap", 0, 1)
    child = b.fork(parent, "C")
    page = b.page(Vma("heap_C"), 0, node=0, written=1)
    b.exited(parent)
    move = partial(compact_zone, pages=(page,), passes=passes)
    b.kernel_thread("compactor", b.cpu(0, 1), move, "moves C's page to node 1")
    b.task("child", b.cpu(1, 1), child, _exit, "exits")
    return b


root_freed_first.variation(
    "fixed",
    "The same with 624483f3ea82: the member is freed before its root.",
    {"rmap.__put_anon_vma": v61_rmap.__put_anon_vma},
)


# --- an anon_vma that becomes another family's -----------------------------------------------------------


def _look(k: Context, *, page: Page) -> Kernel:
    err = yield from __isolate_lru_page(k, page)
    if err == 0:
        yield from lock_page(page)
        yield from page_referenced(k, page)
        yield from unlock_page(page)
        yield from putback_lru_page(k, page)


def _first_fault(k: Context, *, vma: Vma) -> Kernel:
    yield from down_read(k.mm.mmap_sem)
    yield from anon_vma_prepare(k, vma)
    yield from up_read(k.mm.mmap_sem)


@world(check={})
def anon_vma_recycled() -> Builder:
    """Reclaim looks up a page's anon_vma while its process exits and another process gets the same anon_vma.

    kswapd asks who uses page 0 of P (page_referenced); P exits and frees the anon_vma; Q, a stranger, faults in a VMA
    for the first time and its anon_vma_alloc is given the memory that P's has left (SLAB_DESTROY_BY_RCU,
    mm/rmap.c:364).  Within its read section kswapd may lock what is Q's by now; the mapcount, read again under the
    lock, tells (mm/rmap.c:466).  H6.
    Left out: what reclaim does next; of Q's fault all but anon_vma_prepare under mmap_sem (mm/memory.c:3160).
    """
    b = Builder()
    owner, stranger = b.mm(), b.mm("Q")
    b.recycle()
    page = b.page(b.vma(owner, "heap", 0, 1), 0, node=0, written=1)
    vma = b.untouched(stranger, "heap_Q", 1, 2)
    b.kernel_thread("kswapd", b.cpu(0, 0), partial(_look, page=page), "asks who uses page 0 of P")
    b.task("process", b.cpu(1, 1), owner, _exit, "exits")
    b.task("stranger", b.cpu(2, 1), stranger, partial(_first_fault, vma=vma), "faults in a VMA for the first time")
    return b
