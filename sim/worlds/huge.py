"""A page table is hidden while a page that it maps moves."""

from __future__ import annotations

from functools import partial

from sim.context import Context
from sim.kernel.huge_memory import collapse_huge_page
from sim.ops import Kernel
from sim.setup import Builder
from sim.structs import PTRS_PER_PTE, Mm
from sim.user import spinner
from sim.worlds import world
from sim.worlds.edits import kernel_mover
from sim.worlds.moving import PASSES


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
