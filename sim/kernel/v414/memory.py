"""A fault on a huge page that is on its way.  mm/memory.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel import memory
from sim.kernel.pgtable import is_pmd_migration_entry
from sim.kernel.v414.migrate import pmd_migration_entry_wait
from sim.ops import Kernel
from sim.structs import Mm, Pmd, Vma


def _handle_huge(k: Context, mm: Mm, vma: Vma, address: int, orig_pmd: Pmd, write: bool) -> Kernel:
    """A fault on a huge page: if it is on its way, wait for it; else as before.

    Caller holds mmap_sem, to read at least, also while this sleeps.  (Part of handle_mm_fault, since 84c3fc4e9c56.)
    """
    if is_pmd_migration_entry(orig_pmd):
        yield from pmd_migration_entry_wait(k, mm, address)
        return
    yield from memory._handle_huge(k, mm, vma, address, orig_pmd, write)
