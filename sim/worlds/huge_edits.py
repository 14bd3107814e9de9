"""A huge page is copied by a fork, unmapped, or moved to other addresses while a relative splits it.

Parent and child share a huge page of 2 small ones; the rest of its 512 addresses is left out.  The child calls
move_pages for the first of them: that splits the huge page, also where the parent maps it (mm/memory.c:1526), and
finds it on the right node already.  Neither holds the other's mmap_sem.  Since 4.14 move_pages splits nothing, and
there is nothing to see.
"""

from __future__ import annotations

from functools import partial

from sim.context import Context
from sim.kernel.fork import do_fork
from sim.kernel.mmap import sys_munmap
from sim.kernel.mremap import sys_mremap
from sim.kernel.v61 import mremap as v61_mremap
from sim.ops import Kernel
from sim.setup import Builder
from sim.structs import PTRS_PER_PTE, Mm
from sim.user import user_read
from sim.worlds import world
from sim.worlds.moving import mover

PAGES = 2


def _family(start: int) -> tuple[Builder, Mm]:
    """P, and its child C who splits the huge page at *start* that they share."""
    b = Builder()
    parent, cpu = b.mm(), b.cpu(1, 1)
    b.huge_page(b.vma(parent, "heap", start, start + PTRS_PER_PTE), start, PAGES, node=0, written=1)
    child = b.fork(parent, "C")
    for mm in (parent, child):
        b.memory[mm.used_of_512] = PAGES
    split = partial(mover, vpns=(start,), node=0, passes=1)
    b.task("child", cpu, child, split, f"splits the huge page, to ask where page {start} lies")
    return b, parent


def forker(k: Context) -> Kernel:
    """A process that forks, and then unmaps its huge page."""
    yield from do_fork(k)
    yield from sys_munmap(k, 0, PTRS_PER_PTE)


@world(check={})
def huge_page_forked() -> Builder:
    """A process forks, then unmaps the huge page that it has, while its first child splits that.

    The new child's VMA is in the tree, last, before the PMD is copied: a split that begins later finds the copy there.
    munmap takes the PMD away with its mapping and with the page table that was put by for it (mm/huge_memory.c:1020): a
    split that begins later does not find it.  A PMD that is marked already is neither copied nor taken away: fork and
    munmap wait for the end of the split, and go through small pages (mm/huge_memory.c:752, 1131).  In the end the two
    children map each small page, or one of them the huge page still.
    """
    b, parent = _family(0)
    b.task("parent", b.cpu(0, 0), parent, forker, "forks, and unmaps the huge page")
    return b


def remapper(k: Context, *, old: int, new: int) -> Kernel:
    """A thread that moves a huge page to another address, and reads its second small page there."""
    yield from sys_mremap(k, old, PTRS_PER_PTE, new)
    yield from user_read(k, new + 1)


@world(check={})
def huge_page_remapped() -> Builder:
    """A process moves a huge page to an address next to an older VMA, which takes it over, while its child splits it.

    The heap was of 4 MiB, and its first half has been moved away; now mremap moves the second half behind it, where the
    two are one VMA again.  That begins at a smaller offset than the VMA which the page leaves, so a split looks at the
    new place first and at the old one last; and the PMD is moved without the anon_vma lock, which its PTEs would be
    moved under (mm/mremap.c:176 to 186, against 85 to 119).  The split finds it at neither, and the kernel stops.  A
    defect of every kernel from 3.7 (108d6642ad81) to dd18dbc2d42a (May 2014).
    """
    start = PTRS_PER_PTE
    b, parent = _family(start)
    b.piece(b.memory[parent.mmap][0], "moved", 4 * PTRS_PER_PTE, 5 * PTRS_PER_PTE, 0)
    move = partial(remapper, old=start, new=5 * PTRS_PER_PTE)
    b.task("parent", b.cpu(0, 0), parent, move, f"moves the huge page to address {5 * PTRS_PER_PTE}, reads it there")
    return b


huge_page_remapped.variation(
    "fixed",
    "The PMD is moved under the anon_vma lock where PTEs would be (dd18dbc2d42a, 2014).",
    {"mremap._move_huge_pmd": v61_mremap._move_huge_pmd},
)
