"""User code's loads and stores, TLBs, the MMU's page-table walk, and interrupts between CPUs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sim import invariants
from sim.context import Context
from sim.effects import Change, store
from sim.invariants import Memory, Violation, get
from sim.ops import TLB_FLUSH_ALL, SendIpi
from sim.structs import Cpu, IpiRequest, Page, Pmd, TlbEntry, Written


def user_write(vpn: int, memory: Memory, me: Context, changes: list[Change]) -> bool:
    """A store through this CPU's TLB; whether an entry let it through.  See :class:`sim.ops.UserWrite`."""
    entry = get(memory, me.cpu.tlb[me.mm, vpn])
    if entry is None or not entry.write or not entry.dirty:
        return False
    _check_frame(entry.page, vpn, memory, me)
    shadow = me.mm.shadow[vpn]
    last = get(memory, shadow)
    if last is None and get(memory, entry.page.data) is not None:
        sentence = f"{me.current} writes to page {vpn} in {entry.page}, although that mapping has been taken from it"
        raise Violation("stale TLB entry", sentence, (me.cpu, entry.page))
    written = Written(vpn, last.number + 1 if last else 1, me.mm)
    store(entry.page.data, written, memory, changes)
    store(shadow, written, memory, changes)
    return True


def user_read(vpn: int, memory: Memory, me: Context) -> bool:
    """A load through this CPU's TLB; whether an entry let it through.  See :class:`sim.ops.UserRead`."""
    entry = get(memory, me.cpu.tlb[me.mm, vpn])
    if entry is None:
        return False
    _check_frame(entry.page, vpn, memory, me)
    seen, last = get(memory, entry.page.data), get(memory, me.mm.shadow[vpn])
    if seen != last:
        pte = invariants.pte_of(memory, me.mm, vpn)
        kind = "lost write" if pte is not None and pte.page is entry.page else "stale read"
        numbers = [it.number if it else 0 for it in (seen, last)]
        sentence = f"{me.current} reads write {numbers[0]} of page {vpn}, the last was {numbers[1]}"
        raise Violation(kind, sentence, (entry.page,))
    return True


def _check_frame(page: Page, vpn: int, memory: Memory, me: Context) -> None:
    """User code reached *page* through its TLB: the frame must still be that virtual page's.

    It may hold the page's data, older data of it, or none; not what was written elsewhere, unless that came here by
    fork or mremap.
    """
    data, last = get(memory, page.data), get(memory, me.mm.shadow[vpn])
    if memory.get(page.life):
        why = "which has been freed"
    elif data is not None and data != last and (data.vpn, data.mm) != (vpn, me.mm):
        if last is not None and (data.vpn, data.mm) == (last.vpn, last.mm):
            return  # older data of where the page came from
        why = f"which now holds page {data.vpn} of {data.mm}"
    else:
        return
    raise Violation("foreign frame", f"{me.current} uses page {vpn} in {page}, {why}", (page,))


def walk(vpn: int, write: bool, memory: Memory, me: Context, changes: list[Change]) -> str | None:
    """The MMU fills the TLB from the page table, or says why not.  See :class:`sim.ops.Walk`."""
    table = get(memory, me.mm.pmd[vpn // 512])
    if isinstance(table, Pmd):
        return _walk_huge(vpn, write, table, memory, me, changes)
    field = None if table is None else table.pte[vpn % 512]
    pte = None if field is None else get(memory, field)
    if field is None or pte is None:
        return "none"
    if pte.kind != "present":
        return str(pte.kind)
    if write and not pte.write:
        return "read_only"
    if write and not pte.dirty:
        pte = pte._replace(dirty=True)
        store(field, pte, memory, changes)
    store(me.cpu.tlb[me.mm, vpn], TlbEntry(pte.page, pte.write, pte.dirty), memory, changes)
    return None


def _walk_huge(vpn: int, write: bool, pmd: Pmd, memory: Memory, me: Context, changes: list[Change]) -> str | None:
    """The MMU has met a huge page: from one entry the TLB knows all its pages."""
    if pmd.kind != "present":
        return pmd.kind
    if write and not pmd.write:
        return "read_only"
    if write and not pmd.dirty:
        pmd = pmd._replace(dirty=True)
        store(me.mm.pmd[vpn // 512], pmd, memory, changes)
    for number, page in enumerate((pmd.page, *get(memory, pmd.page.tails))):
        place = me.cpu.tlb[me.mm, vpn - vpn % 512 + number]
        store(place, TlbEntry(page, pmd.write, pmd.dirty), memory, changes)
    return None


def send_ipi(op: SendIpi, memory: Memory, me: Context, changes: list[Change]) -> int:
    """Queue a request at every other CPU of the mm's mask, or at those that *op* names; how many there are."""
    mm: Any = op.mm
    mask: Any = get(memory, mm.cpu_vm_mask) if op.cpus is None else op.cpus
    others = [cpu for cpu in mask if cpu is not me.cpu]
    request = IpiRequest(me.cpu, mm, op.vpn, op.end, op.more, op.gen)
    for cpu in others:
        queue = cpu.call_single_queue
        store(queue, (*memory.get(queue, ()), request), memory, changes)
    store(me.cpu.csd_pending, len(others), memory, changes)
    return len(others)


def handle_ipi(memory: Memory, me: Context, changes: list[Change]) -> None:
    """This CPU serves its oldest request, and acknowledges it."""
    cpu = me.cpu
    queue = cpu.call_single_queue
    requests = memory.get(queue, ())
    sender, mm, vpn, end, more, gen = requests[0]
    ranges = ((mm, vpn, end), *more)
    if gen is None:
        for its, first, last in ranges:
            drop(cpu, its, first, last, memory, changes)
        if get(memory, cpu.is_lazy):
            _leave_mm(cpu, me.mm, memory, changes)
    else:
        flush_tlb(cpu, me.mm, [(first, last) for its, first, last in ranges if its is me.mm], gen, memory, changes)
    store(queue, requests[1:], memory, changes)
    pending = sender.csd_pending
    store(pending, memory.get(pending, 0) - 1, memory, changes)


def _leave_mm(cpu: Cpu, mm: Any, memory: Memory, changes: list[Change]) -> None:
    """A lazy CPU that is interrupted for a flush remembers nothing of *mm* from now on, and is interrupted no more.

    Up to 4.14; it is the handler of arch/x86/mm/tlb.c:97 that does it, by ``leave_mm`` (arch/x86/mm/tlb.c:44, v3.7).
    """
    drop(cpu, mm, 0, TLB_FLUSH_ALL, memory, changes)
    mask = get(memory, mm.cpu_vm_mask)
    store(mm.cpu_vm_mask, tuple(it for it in mask if it is not cpu), memory, changes)


def ask_flush(mm: Any, vpn: int, end: int, memory: Memory, changes: list[Change]) -> int:
    """*mm* wants one more flush: which it is.  See :class:`sim.ops.AskFlush`."""
    asked = get(memory, mm.tlb_gen).one_more(vpn, end)
    store(mm.tlb_gen, asked, memory, changes)
    number: int = asked.number
    return number


def flush_tlb(
    cpu: Cpu, mm: Any, pages: Iterable[tuple[int, int]], gen: int, memory: Memory, changes: list[Change]
) -> bool:
    """Make flush *gen*, or all that *cpu* has missed; whether there was any.  See :class:`sim.ops.FlushTlb`."""
    asked, made = get(memory, mm.tlb_gen), get(memory, cpu.tlb_gen)
    if made == asked.number:
        return False
    if not gen == made + 1 == asked.number:
        pages = asked.ranges
    for first, end in pages:
        drop(cpu, mm, first, end, memory, changes)
    store(cpu.tlb_gen, asked.number, memory, changes)
    return True


def drop(cpu: Cpu, mm: Any, vpn: int, end: int, memory: Memory, changes: list[Change]) -> None:
    """Take the pages of *mm* from *vpn* to before *end* out of the TLB of *cpu*.

    All of *mm* are the pages of its VMAs: a TLB can have no other, and which slots were ever used is no state.
    """
    pages: Iterable[int] = range(vpn, end or vpn + 1)
    if end == TLB_FLUSH_ALL:
        bounds = [(get(memory, vma.vm_start), get(memory, vma.vm_end)) for vma in get(memory, mm.mmap)]
        pages = [page for start, stop in bounds for page in range(start, stop)]
    for page in pages:
        store(cpu.tlb[mm, page], None, memory, changes)
