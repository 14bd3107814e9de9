"""Looking at one PTE or PMD: pure functions of a value that was read before.  arch/x86/include/asm/pgtable.h

A PTE's value is None (``pte_none``) or a :class:`sim.structs.Pte`.  A PMD's value is None (``pmd_none``), a page table,
or a :class:`sim.structs.Pmd` that maps a huge page.
"""

from __future__ import annotations

from sim.ops import Field
from sim.structs import PTRS_PER_PTE, Mm, PageTable, Pmd, Pte

#: What a page directory may hold for 2 MiB of addresses.
PmdValue = PageTable | Pmd | None


def pte_wrprotect(pte: Pte) -> Pte:
    """The same without the right to write.  arch/x86/include/asm/pgtable.h:193 (v3.7)"""
    return pte._replace(write=False)


def pte_none(pte: Pte | None) -> bool:
    """Nothing is mapped here.  arch/x86/include/asm/pgtable.h:394 (v3.7)"""
    return pte is None


def pte_present(pte: Pte | None) -> bool:
    """A frame is mapped here, even if PROT_NONE keeps the hardware out.  arch/x86/include/asm/pgtable.h:405 (v3.7)"""
    return pte is not None and pte.kind in {"present", "prot_none"}


def pte_accessible(pte: Pte | None) -> bool:
    """The hardware may have put it into a TLB.  arch/x86/include/asm/pgtable.h:417 (v3.8)"""
    return pte is not None and pte.kind == "present"


def pte_numa(pte: Pte | None) -> bool:
    """A NUMA hint: mapped, and PROT_NONE so that the next access faults.  1354305521-11583-5 (numa/core v18)"""
    return pte is not None and pte.kind == "prot_none"


def pte_modify(pte: Pte) -> Pte:
    """The same page with a private mapping's protection: read-only, accessible, and as dirty as before.

    arch/x86/include/asm/pgtable.h:318 (v3.7)
    """
    return pte._replace(kind="present", write=False)


def is_migration_entry(pte: Pte | None) -> bool:
    """A page that was mapped here is on its way to another frame.  include/linux/swapops.h:111 (v3.7)"""
    return pte is not None and pte.kind == "migration"


def is_swap_entry(pte: Pte | None) -> bool:
    """The data of this page stands in a swap slot, or will.  The kernel asks the opposite, ``non_swap_entry``.

    include/linux/swapops.h:186 (v3.7)
    """
    return pte is not None and pte.kind == "swap"


def is_write_migration_entry(pte: Pte | None) -> bool:
    """The page that was mapped here was writable.  include/linux/swapops.h:117 (v3.7)"""
    return pte is not None and pte.kind == "migration" and pte.write


def make_migration_entry_read(pte: Pte) -> Pte:
    """The same entry; what will be mapped in its place is not writable.  include/linux/swapops.h:133 (v3.7)"""
    return pte._replace(write=False)


def pmd_trans_huge(pmd: PmdValue) -> bool:
    """A huge page is mapped here, even if the hardware is kept out.  arch/x86/include/asm/pgtable.h:158 (v3.7)"""
    return isinstance(pmd, Pmd) and pmd.kind != "migration"


def pmd_trans_splitting(pmd: PmdValue) -> bool:
    """Somebody is splitting the huge page that is mapped here.  arch/x86/include/asm/pgtable.h:153 (v3.7)"""
    return isinstance(pmd, Pmd) and pmd.splitting


def pmd_numa(pmd: PmdValue) -> bool:
    """A NUMA hint on a whole huge page.  include/asm-generic/pgtable.h:605 (v3.8)"""
    return isinstance(pmd, Pmd) and pmd.kind == "prot_none"


def pmd_mknonnuma(pmd: Pmd) -> Pmd:
    """The same, and accessible.  include/asm-generic/pgtable.h:629 (v3.8)"""
    return pmd._replace(kind="present")


def pmd_mknotpresent(pmd: Pmd) -> Pmd:
    """The same, closed to the hardware, and still huge.  arch/x86/include/asm/pgtable.h:287 (v3.7)"""
    return pmd._replace(kind="not_present")


def is_pmd_migration_entry(pmd: PmdValue) -> bool:
    """A huge page that was mapped here is on its way.  include/linux/swapops.h (616b8371539a, v4.14)"""
    return isinstance(pmd, Pmd) and pmd.kind == "migration"


def pmd_addr_end(address: int, end: int) -> int:
    """Where the page table of *address* ends, or *end* if it is nearer.  include/asm-generic/pgtable.h:253 (v3.7)"""
    return min((pmd_index(address) + 1) * PTRS_PER_PTE, end)


def pmd_index(address: int) -> int:
    """The slot of *address* among the page tables of an mm.  arch/x86/include/asm/pgtable.h:450 (v3.7)"""
    return address // PTRS_PER_PTE


def pte_index(address: int) -> int:
    """The slot of *address* in its page table.  arch/x86/include/asm/pgtable.h:470 (v3.7)"""
    return address % PTRS_PER_PTE


def pmd_offset(mm: Mm, address: int) -> Field:
    """Where the page table of *address* is named.  arch/x86/include/asm/pgtable.h:516 (v3.7)"""
    return mm.pmd[pmd_index(address)]


def pte_offset_map(table: PageTable, address: int) -> Field:
    """Where the PTE of *address* stands in its page table.  arch/x86/include/asm/pgtable_64.h:142 (v3.7)"""
    return table.pte[pte_index(address)]
