"""Pinning user pages without a lock, with a second look.  mm/gup.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel import gup
from sim.kernel.pgtable import pmd_offset, pte_offset_map
from sim.kernel.swap import put_page
from sim.ops import Kernel


def gup_pte_range(k: Context, addr: int) -> Kernel:
    """The page that the PTE of *addr* maps, with a reference, if the PTE is still the same when that is taken.

    Caller has turned interrupts off.  mm/gup.c (v6.1)
    """
    page = yield from gup.gup_pte_range(k, addr)
    if page is None:
        return None
    table = yield pmd_offset(k.mm, addr)
    pte = None
    if table is not None:
        pte = yield pte_offset_map(table, addr)
    if pte is None or pte.page is not page or pte.kind != "present" or not pte.write:
        yield from put_page(k, page)
        return None
    return page
