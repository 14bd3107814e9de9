"""Where a page stands in its VMA, and references to a page of a page cache.  include/linux/pagemap.h"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.swap import get_page_unless_zero
from sim.ops import Kernel
from sim.structs import Page, Vma


def linear_page_index(k: Context, vma: Vma, address: int) -> Kernel:
    """The number that a page mapped at *address* has in the anonymous object: its key in the interval tree.

    Caller holds mmap_sem or the anon_vma lock, so that the VMA keeps its bounds.
    include/linux/pagemap.h:297 (v3.7)
    """
    vm_start = yield vma.vm_start
    vm_pgoff = yield vma.vm_pgoff
    return address - vm_start + vm_pgoff


def page_cache_get_speculative(k: Context, page: Page) -> Kernel:
    """Take a reference to a page that was found without a lock; return whether.

    Fails while the references are frozen, and for good once the page is free.  include/linux/pagemap.h:132 (v3.7)
    """
    got = yield from get_page_unless_zero(k, page)
    return got


def page_freeze_refs(k: Context, page: Page, count: int) -> Kernel:
    """If *count* is all the references that *page* has, let nobody get another; return whether.

    Caller holds the page lock, and knows whose these references are.  include/linux/pagemap.h:190 (v3.7)
    """
    frozen = yield page._count.cmpxchg(count, 0)
    return frozen


def page_unfreeze_refs(k: Context, page: Page, count: int) -> Kernel:
    """Let *page*, frozen by the caller, have *count* references.  include/linux/pagemap.h:195 (v3.7)"""
    yield page._count.set(count)
