"""Huge pages: made, split, and how that disturbs those who walk."""

from __future__ import annotations

from functools import partial

from sim.context import Context
from sim.kernel.huge_memory import collapse_huge_page
from sim.ops import Kernel
from sim.setup import Builder
from sim.structs import PTRS_PER_PTE, Mm, Page
from sim.user import spinner
from sim.worlds import Param, world
from sim.worlds.edits import kernel_mover
from sim.worlds.moving import PASSES, mover


def collapser(k: Context, *, mm: Mm) -> Kernel:
    """khugepaged, at work on the first 2 MiB of an address space, of which two pages may be mapped."""
    yield from collapse_huge_page(k, mm, 0, 2)


@world(check={"passes": 2}, passes=PASSES)
def khugepaged_collapse(passes: int) -> Builder:
    """A kernel thread hides a page table to make a huge page while another moves a page that this maps.

    One process with one page, which nobody shares.  The thread khugepaged holds mmap_sem to write and the anon_vma
    lock, clears the PMD, flushes, meets the migration entry and puts the PMD back (mm/huge_memory.c:1987 to 2018).  A
    remap walk without the lock finds no page table meanwhile, and passes on.  The process's own thread spins, with the
    page in its TLB.  Left out: the huge page, and how the two kernel threads came to this one.
    """
    b = Builder()
    mm, cpu0, cpu1, cpu2 = b.mm(), b.cpu(0, 0), b.cpu(1, 1), b.cpu(2, 1)
    page = b.page(b.vma(mm, "heap", 0, PTRS_PER_PTE), 1, node=0, written=1)
    move = partial(kernel_mover, page=page, node=1, passes=passes)
    b.kernel_thread("mover", cpu0, move, "moves page 1 to node 1, for the kernel's own reasons")
    b.kernel_thread("khugepaged", cpu1, partial(collapser, mm=mm), "tries to make a huge page of what is around page 1")
    b.task("owner", cpu2, mm, spinner, "keeps its CPU busy", daemon=True)
    b.remembers(cpu2, mm, 1)
    return b


@world(pages=Param(2, 2, 512, "small pages of the huge page; 512 in the kernel"))
def split_huge_page(pages: int) -> Builder:
    """Parent and child split the huge page that they share, both at once.

    Each calls move_pages for page 0, which splits the huge page before it asks where the page lies
    (mm/memory.c:1526); it lies there already, so that nothing moves.  Each holds its own mmap_sem; the anon_vma is
    theirs in common.  A split marks the PMDs of both, gives the tails the counts of the head, and puts page tables in
    (mm/huge_memory.c:1409 to 1454).  Two at once mark the PMDs between them, and neither finds as many as the page
    has mappings: the kernel stops.  The huge page is of 2 small ones unless the parameter says more; the rest of its
    512 addresses is left out.  H21.
    """
    b = Builder()
    parent, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    b.huge_page(b.vma(parent, "heap", 0, PTRS_PER_PTE), 0, pages, node=0, written=1)
    child = b.fork(parent, "C")
    split = partial(mover, vpns=(0,), node=0, passes=1)
    b.task("parent", cpu0, parent, split, "asks for page 0 on the node where it is")
    b.task("child", cpu1, child, split, "asks for the same")
    return b


def _no_bug_on(k: Context, condition: bool, sentence: str, page: Page) -> Kernel:
    """Go on."""
    yield from ()


split_huge_page.variation(
    "no_bug_on",
    "A split does not compare what it has found with the page's count, and does not stop: the damage is done.",
    {"huge_memory.bug_on": _no_bug_on},
)
