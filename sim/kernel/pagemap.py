"""Where a page stands in its VMA.  include/linux/pagemap.h"""

from __future__ import annotations

from sim.context import Context
from sim.ops import Kernel
from sim.structs import Vma


def linear_page_index(k: Context, vma: Vma, address: int) -> Kernel:
    """The number that a page mapped at *address* has in the anonymous object: its key in the interval tree.

    Caller holds mmap_sem or the anon_vma lock, so that the VMA keeps its bounds.
    include/linux/pagemap.h:297 (v3.7)
    """
    vm_start = yield vma.vm_start
    vm_pgoff = yield vma.vm_pgoff
    return address - vm_start + vm_pgoff
