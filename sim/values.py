"""What stands in a field that is no plain number: a PTE, a TLB entry, a request to flush.  All are immutable."""

from __future__ import annotations

from typing import Any, NamedTuple


class Pte(NamedTuple):
    """A page-table entry that is not none (``pte_none`` is Python's None).

    Attributes:
        kind: ``present``, ``prot_none`` (a NUMA hint, numa/core form), ``migration`` or ``swap``.
        page: the frame it names, or the swap slot.
        write: writable, or for a migration entry: was writable.
        dirty: written through since it was made.
    """

    kind: str
    page: Any
    write: bool = True
    dirty: bool = False


class Pmd(NamedTuple):
    """An entry of a page directory that maps a huge page (else it names a page table, or is None).

    Attributes:
        kind: ``present``, ``not_present`` (huge, but closed to the hardware: the end of a split), ``prot_none`` (a NUMA
            hint) or ``migration``.
        page: the huge page's first frame, its head.
        write: writable, or for a migration entry: was writable.
        dirty: written through since it was made.
        splitting: the huge page is about to fall apart; nobody may change this entry but who splits it.
    """

    kind: str
    page: Any
    write: bool = True
    dirty: bool = False
    splitting: bool = False


class TlbEntry(NamedTuple):
    """What a CPU remembers of a present PTE: the frame, and whether a write may go straight through."""

    page: Any
    write: bool
    dirty: bool


class Written(NamedTuple):
    """What the user has last put into a page, as the checks know it: no kernel keeps this.

    A frame has one (its contents), and so has each virtual page (what a read must see).  It goes where the data goes:
    a fork copies it to the child's page, mremap moves it to the new address.

    Attributes:
        vpn: the virtual page that was written to.
        number: the number of the write to that page.
        mm: in which address space.
    """

    vpn: int
    number: int
    mm: Any

    def __repr__(self) -> str:
        return f"write {self.number} to page {self.vpn} of {self.mm}"


class IpiRequest(NamedTuple):
    """One request in a CPU's queue: who waits for it, and what to drop from the TLB (see :class:`sim.ops.SendIpi`)."""

    sender: Any
    mm: Any
    vpn: int
    end: int = 0
    more: Any = ()
    gen: int | None = None


class TlbGen(NamedTuple):
    """How many flushes an address space has asked for.  (``mm->context.tlb_gen``, arch/x86/include/asm/mmu.h, v6.1)

    Attributes:
        number: how many.  A CPU that has made fewer has something left to drop.
        ranges: what they were for, as (first, end).  The kernel keeps no such list, and has a CPU that is behind by
            more than one drop all that it remembers of the address space; here a TLB is told what to drop.
    """

    number: int = 0
    ranges: tuple[tuple[int, int], ...] = ()

    def one_more(self, first: int, end: int) -> TlbGen:
        """With a flush of the pages from *first* to before *end*, or of all (*end* is TLB_FLUSH_ALL)."""
        merged: list[tuple[int, int]] = []
        for low, high in sorted({*self.ranges, (first, end)}):
            if merged and 0 < low <= merged[-1][1] and high > 0:
                merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
            else:
                merged.append((low, high))
        return TlbGen(self.number + 1, tuple(merged))


class TlbflushUnmapBatch(NamedTuple):
    """What a task has unmapped and not yet flushed.  include/linux/sched.h (72b252aed506, v4.3)

    Attributes:
        flush_required: whether there is anything to flush.
        writable: whether a CPU may still write through what it remembers of it.
        cpumask: the CPUs that may remember any of it, in order.
        ranges: the pages, as (mm, first, end) in the order in which they were unmapped.  The kernel keeps no such list,
            and has the CPUs drop all that they remember; here a TLB is told what to drop.
    """

    flush_required: bool = False
    writable: bool = False
    cpumask: tuple[Any, ...] = ()
    ranges: tuple[Any, ...] = ()
