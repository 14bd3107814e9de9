"""Linux 3.8-rc1: a huge page is split by whoever shares the anon_vma lock

The rwsem as first merged (4fc3f1d66b1e) gave page_lock_anon_vma the read side, and split_huge_page went that way like
the walks.  But a split must be alone, not only sure of the tree: two relatives who split one huge page at once come to
wrong counts of its mappings.  3.8 takes the lock to write (mm/huge_memory.c:1837; message 20130104140815).
"""

from __future__ import annotations

from sim.kernel.huge_memory import split_huge_page

__all__ = ["split_huge_page"]

BASE = "rwsem_v38"

VERDICTS = {
    "split_huge_page": "unsafe",
    "split_huge_page~no_bug_on": "unsafe",
}
