"""Memory is short, or is moved about: the kernel takes pages from processes that it asks nothing.

Reclaim, compaction and memory hot-remove find a page by its frame and walk to whoever maps it, without any mmap_sem.
"""

from __future__ import annotations

from functools import partial

from sim.context import Context
from sim.kernel.compaction import compact_zone
from sim.kernel.exit import do_exit
from sim.kernel.fault import page_fault
from sim.kernel.fork import do_fork
from sim.kernel.madvise import sys_madvise
from sim.kernel.migrate import MIGRATE_ASYNC, MIGRATE_SYNC
from sim.kernel.mlock import mlock_vma_page
from sim.kernel.pgtable import pmd_offset, pte_offset_map, pte_present
from sim.kernel.rmap import (
    GFP_KERNEL,
    GFP_NOWAIT,
    SWAP_AGAIN,
    SWAP_MLOCK,
    anon_vma_chain_link,
    lock_anon_vma_root,
    unlock_anon_vma_root,
)
from sim.kernel.rmap import anon_vma_chain_alloc as alloc_from_plenty
from sim.kernel.vmscan import kswapd, try_to_free_pages
from sim.ops import Choose, Kernel
from sim.setup import Builder
from sim.structs import (
    PTRS_PER_PTE,
    SWAP_HAS_CACHE,
    VM_LOCKED,
    VM_WRITE,
    AnonVmaChain,
    Mm,
    Page,
    PageTable,
    Pte,
    SwapSlot,
    Vma,
)
from sim.sync import down_read, lockdep_off, up_read
from sim.user import user_read, user_write
from sim.worlds import Param, world
from sim.worlds.moving import PASSES


def _exit(k: Context) -> Kernel:
    yield from do_exit(k)


def _fork(k: Context) -> Kernel:
    yield from do_fork(k)


@world(check={})
def reclaim_vs_exit() -> Builder:
    """Reclaim swaps a page out while the only process that maps it exits.

    Page 0 of P's heap; P's CPU has it in its TLB.  kswapd unmaps it by a walk under the anon_vma lock
    (mm/vmscan.c:795, mm/rmap.c:1470) and holds no mmap_sem; nor does the exit (mm/mmap.c:2287).  The mapcount that
    kswapd reads once it has the lock tells it whether the anon_vma is still the page's.  H6.
    Left out: the walk of page_referenced, which takes and gives back the same lock before this one.
    """
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    b.swap(1)
    page = b.page(b.vma(mm, "heap", 0, 1), 0, node=0, written=1)
    b.kernel_thread("kswapd", cpu0, partial(kswapd, pages=(page,)), "swaps page 0 out")
    b.remembers(cpu1, mm, 0)
    b.task("process", cpu1, mm, _exit, "exits")
    return b


# --- reclaim for one's own allocation ------------------------------------------------------------------------------


def _alloc_when_short(k: Context, gfp: str) -> Kernel:
    """``anon_vma_chain_alloc`` where memory may be short: then who may not wait gets none, and who may reclaims f0."""
    short = yield Choose(2, "whether memory is short")
    if short and gfp == GFP_NOWAIT:
        return None
    if short:
        yield from try_to_free_pages(k, (Page("f0"),))
    avc = yield from alloc_from_plenty(k, gfp)
    return avc


@world(patch={"rmap.anon_vma_chain_alloc": _alloc_when_short})
def reclaim_under_lock() -> Builder:
    """A child forks while memory is short, and reclaims a page of its own family for the links that the fork needs.

    Parent P and child C share page 0; C forks.  For each link of its VMA (mm/rmap.c:239) memory is there or is short: a
    free decision each time.  The second link is allocated with the anon_vma lock of the family held; it must not wait
    for memory then, but give the lock back first (mm/rmap.c:250), because whoever reclaims walks that very tree.  H18.
    """
    b = Builder()
    b.swap(1)
    parent = b.mm()
    b.page(b.vma(parent, "heap", 0, 1), 0, node=0, written=1)
    child = b.fork(parent, "C")
    b.task("child", b.cpu(0, 0), child, _fork, "forks")
    return b


def _clone_waiting_for_memory(k: Context, dst: Vma, src: Vma) -> Kernel:
    """``anon_vma_clone`` with GFP_KERNEL all along, so that it may wait for memory with the lock held.

    lockdep is off, so that the deadlock itself is seen and not the order of locks that leads to it.
    """
    yield from lockdep_off(k.current)
    root = None
    chain = yield src.anon_vma_chain
    while chain:
        chain, pavc = chain[:-1], chain[-1]
        avc: AnonVmaChain = yield from _alloc_when_short(k, GFP_KERNEL)
        anon_vma = yield pavc.anon_vma
        root = yield from lock_anon_vma_root(k, root, anon_vma)
        yield from anon_vma_chain_link(k, dst, avc, anon_vma)
    yield from unlock_anon_vma_root(k, root)
    return 0


reclaim_under_lock.variation(
    "gfp_kernel",
    "The fork waits for memory with the anon_vma lock held: GFP_KERNEL where GFP_NOWAIT must be.",
    {"rmap.anon_vma_clone": _clone_waiting_for_memory},
)


# --- mmap_sem inside the anon_vma lock -----------------------------------------------------------------------------


@world(check={})
def mlock_inversion() -> Builder:
    """Reclaim comes upon a page of a locked VMA while its process forks.

    Page 0 of P's heap, which is mlocked.  kswapd, under the anon_vma lock, has to look at VM_LOCKED again under
    mmap_sem (mm/rmap.c:1307); the fork holds mmap_sem to write and then wants the anon_vma lock (kernel/fork.c:347,
    mm/rmap.c:272).  So kswapd only tries.  H19.  Left out: that the child's VMA is not locked (kernel/fork.c:413).
    """
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    b.swap(1)
    heap = b.vma(mm, "heap", 0, 1)
    b.memory[heap.vm_flags] = VM_WRITE | VM_LOCKED
    page = b.page(heap, 0, node=0, written=1)
    b.kernel_thread("kswapd", cpu0, partial(kswapd, pages=(page,)), "looks at page 0")
    b.task("process", cpu1, mm, _fork, "forks")
    return b


def _out_mlock_waiting(k: Context, page: Page, vma: Vma) -> Kernel:
    """``_out_mlock`` that waits for mmap_sem under the anon_vma lock.  lockdep is off, so that the deadlock is seen."""
    ret = SWAP_AGAIN
    mm = yield vma.vm_mm
    yield from lockdep_off(k.current)
    yield from down_read(mm.mmap_sem)
    vm_flags = yield vma.vm_flags
    if vm_flags & VM_LOCKED:
        yield from mlock_vma_page(k, page)
        ret = SWAP_MLOCK
    yield from up_read(mm.mmap_sem)
    return ret


mlock_inversion.variation(
    "blocking",
    "kswapd waits for mmap_sem under the anon_vma lock: down_read where down_read_trylock must be.",
    {"rmap._out_mlock": _out_mlock_waiting},
)


# --- a page comes back from swap -----------------------------------------------------------------------------------


def _swap_own(k: Context, mm: Mm, vpn: int) -> Kernel:
    """Direct reclaim of what *mm* maps at *vpn*, whatever that is at the moment."""
    table = yield pmd_offset(mm, vpn)
    entry = yield pte_offset_map(table, vpn)
    if pte_present(entry):
        yield from try_to_free_pages(k, (entry.page,))


def _write_drop_write(k: Context, *, vpn: int) -> Kernel:
    yield from user_write(k, vpn)
    yield from sys_madvise(k, vpn, 1)
    yield from user_write(k, vpn)
    yield from _swap_own(k, k.mm, vpn)


@world(check={})
def swap_in_race() -> Builder:
    """A fault finds a page in the swap cache, and before it has the page's lock the slot belongs to another page.

    Page 0 of P is swapped out and still in the swap cache; there is one swap slot.  reader faults on it.  writer faults
    too and takes the page out of the swap cache, drops it (MADV_DONTNEED), writes a new one, and needs memory, so that
    the new page goes to the same slot: the PTE is what it was, and the page that reader has found is not.  Under the
    page lock reader looks whether the page still belongs to the slot (mm/memory.c:2990).  Left out: what reader reads,
    for while the page is dropped it may be the old or nothing.
    """
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    (slot,) = b.swap(1)
    page = b.page(b.vma(mm, "heap", 0, 1), 0, node=0, written=1)
    swapped_but_cached(b, page, slot, vpn=0)
    b.task("reader", cpu0, mm, partial(page_fault, address=0, write=False), "faults on page 0")
    b.task("writer", cpu1, mm, partial(_write_drop_write, vpn=0), "writes page 0, drops it, writes it, swaps it out")
    return b


def swapped_but_cached(b: Builder, page: Page, slot: SwapSlot, vpn: int) -> None:
    """*page*, mapped once at *vpn* of the first process, is unmapped by reclaim and written out, but not yet freed."""
    place = PageTable(f"pt{vpn // PTRS_PER_PTE}").pte[vpn % PTRS_PER_PTE]
    b.memory[place] = Pte("swap", slot, False)
    b.memory.update({page._mapcount: -1, page.present_ptes: 0, page.private: slot})
    b.memory.update({slot.swap_map: SWAP_HAS_CACHE + 1, slot.swap_ptes: 1, slot.page_tree: page})
    b.memory[slot.data] = b.memory[page.data]


# --- compaction ----------------------------------------------------------------------------------------------------


def _compact(k: Context, *, page: Page, passes: int, mode: str) -> Kernel:
    yield from compact_zone(k, (page,), passes, mode)


def _write_and_read(k: Context, *, vpn: int) -> Kernel:
    yield from user_write(k, vpn)
    yield from user_read(k, vpn)


@world(
    check={"passes": 2},
    asynchronous=Param(0, 0, 1, "whether compaction waits for no page lock, as for a huge page fault"),
    passes=PASSES,
)
def compaction_moves(asynchronous: int, passes: int) -> Builder:
    """Compaction moves a page that a parent and its child share, while the parent writes it.

    The kernel thread finds the page by its frame and holds nobody's mmap_sem (mm/compaction.c:999).  P writes page 0,
    which copies it (mm/memory.c:2525), and reads it back; C has the page left and does nothing.
    """
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 1), b.cpu(1, 1)
    page = b.page(b.vma(mm, "heap", 0, 1), 0, node=0, written=1)
    b.fork(mm, "C")
    mode = MIGRATE_ASYNC if asynchronous else MIGRATE_SYNC
    move = partial(_compact, page=page, passes=passes, mode=mode)
    b.kernel_thread("kcompactd", cpu0, move, "moves page 0 to node 1")
    b.task("parent", cpu1, mm, partial(_write_and_read, vpn=0), "writes page 0 and reads it back")
    return b


@world(check={"passes": 2}, passes=PASSES)
def swap_cache_moves(passes: int) -> Builder:
    """Compaction moves a page of the swap cache, which no PTE maps, while its process brings it back.

    Page 0 of P is swapped out and still in the swap cache.  The kernel thread moves it by no walk: the new frame takes
    its place in the swap cache while the references to the old one are frozen (mm/migrate.c:278).  P faults on it and
    finds the page by the slot, without a lock (mm/filemap.c:676); then it writes it and reads it back.
    """
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 1), b.cpu(1, 1)
    (slot,) = b.swap(1)
    page = b.page(b.vma(mm, "heap", 0, 1), 0, node=0, written=1)
    swapped_but_cached(b, page, slot, vpn=0)
    move = partial(_compact, page=page, passes=passes, mode=MIGRATE_SYNC)
    b.kernel_thread("kcompactd", cpu0, move, "moves page 0 to node 1")
    b.task("process", cpu1, mm, partial(_write_and_read, vpn=0), "writes page 0 and reads it back")
    return b
