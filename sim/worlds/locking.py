"""Families of processes in which nobody changes the tree: what the lock itself must be."""

from __future__ import annotations

from functools import partial

from sim.setup import Builder
from sim.structs import Vma
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
