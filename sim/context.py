"""What a kernel function knows about where it runs: the ``k`` that each takes first.

``k`` answers "which task is current, on which CPU", and carries the functions that history moved
(:data:`SEAMS`): a kernel function calls ``k.anon_vma_lock_read(anon_vma)`` and the variant says what that is.
There is no clock and no randomness here, and no word of who schedules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from sim.ops import Kernel, KernelFunction
from sim.structs import Cpu, Mm, Task

#: The functions that a variant may supply, each with what it must do.
SEAMS: Final[Mapping[str, str]] = {
    "anon_vma_lock_write": "(k, anon_vma): take the root's lock to change the interval tree",
    "anon_vma_unlock_write": "(k, anon_vma): give it back",
    "anon_vma_lock_read": "(k, anon_vma): take the root's lock to walk the interval tree",
    "anon_vma_trylock_read": "(k, root): the same of a root, without waiting; return whether it was taken",
    "anon_vma_unlock_root": "(k, root): give back what that took, whatever *root* has become meanwhile",
    "anon_vma_unlock_read": "(k, anon_vma): give it back",
    "page_lock_anon_vma": "(k, page, flags): the page's anon_vma, locked for a walk, or None if nobody maps it",
    "page_unlock_anon_vma": "(k, anon_vma, flags): give it back",
    "rmap_walk_anon_lock": "(k, anon_vma): lock for the remap walk",
    "rmap_walk_anon_unlock": "(k, anon_vma): give it back",
    "ptep_clear_flush": "(k, vma, address, pte): clear a PTE, flush every TLB that may hold it, return the old PTE",
    "split_huge_page": "(k, page): make small pages of a huge one; return 0, or 1 if nobody maps it",
    "flush_tlb_batched_pending": "(k, mm): flush what others have unmapped in *mm* and put off flushing; ptl held",
    "shrink_page_list": "(k, pages, ttu_flags): free isolated pages; return how many were freed, and the others",
    "do_pages_move": "(k, mm, addresses, node, passes): move what *mm* maps there; return how many were not moved",
    "migrate_pages": "(k, pages, node, passes, mode): move pages to a node; return how many could not be moved",
}


class Context:
    """The ``k`` of one task.

    Attributes:
        current: the task.
        mm: its address space.
        cpu: the CPU it is pinned to.
        node: that CPU's NUMA node.
    """

    anon_vma_lock_write: Callable[..., Kernel]
    anon_vma_unlock_write: Callable[..., Kernel]
    anon_vma_lock_read: Callable[..., Kernel]
    anon_vma_trylock_read: Callable[..., Kernel]
    anon_vma_unlock_root: Callable[..., Kernel]
    anon_vma_unlock_read: Callable[..., Kernel]
    page_lock_anon_vma: Callable[..., Kernel]
    page_unlock_anon_vma: Callable[..., Kernel]
    rmap_walk_anon_lock: Callable[..., Kernel]
    rmap_walk_anon_unlock: Callable[..., Kernel]
    ptep_clear_flush: Callable[..., Kernel]
    split_huge_page: Callable[..., Kernel]
    flush_tlb_batched_pending: Callable[..., Kernel]
    shrink_page_list: Callable[..., Kernel]
    do_pages_move: Callable[..., Kernel]
    migrate_pages: Callable[..., Kernel]

    def __init__(self, current: Task, mm: Mm, cpu: Cpu, node: int, seams: Mapping[str, KernelFunction]) -> None:
        self.current = current
        self.mm = mm
        self.cpu = cpu
        self.node = node
        for name, function in seams.items():
            setattr(self, name, partial(function, self))
