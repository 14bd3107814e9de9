"""Clearing a PTE and flushing it: who is asked, who waits, and what 3.8 leaves out."""

from __future__ import annotations

from typing import Any

import pytest

from sim.kernel.pgtable import is_migration_entry, pte_accessible, pte_none, pte_numa, pte_present
from sim.kernel.pgtable_generic import ptep_clear_flush
from sim.kernel.tlb import flush_tlb_mm, flush_tlb_page, flush_tlb_range
from sim.kernel.v38.pgtable_generic import ptep_clear_flush as ptep_clear_flush_v38
from sim.ops import HandleIpi, Invlpg, SendIpi, Until
from sim.structs import Cpu, Mm, Page, PageTable, Pte
from sim.user import user_read, user_write

PT = PageTable("pt0")


def flusher(b: Any, mm: Mm | None = None) -> None:
    b.spawn("flusher", lambda k: flush_tlb_page(k, b.heap, 0), mm=mm)


def test_a_process_on_one_cpu_is_flushed_without_an_interrupt(alone: Any, bench: Any) -> None:
    b = bench()
    it = alone({**b.memory, b.p.cpu_vm_mask: (Cpu("cpu0"),)})
    it.call(flush_tlb_page(it.k, b.heap, 0))
    assert [type(op) for op in it.ops if type(op) in (Invlpg, SendIpi, Until)] == [Invlpg]
    assert it.points == ["tlb_flush"]


def test_a_flush_returns_when_every_other_cpu_has_answered(bench: Any) -> None:
    """Sending, each answer and the wait are steps of their own; in between the other CPU uses its old entry."""
    b = bench()
    page = b.page(b.heap, 0, node=0)
    flusher(b)
    b.spawn("worker", lambda k: user_write(k, 0), cpu=1)
    run = b.start()
    run.only("worker")
    tlb = run.machine.contexts[1].cpu.tlb[b.p, 0]
    assert run[tlb].page is page
    run.only("flusher", until=lambda event: type(event.op) is SendIpi)
    assert run[tlb].page is page
    assert not run.machine.enabled(run.machine.tasks[0].task)
    run.only("flusher")
    assert run[tlb] is None
    assert "flusher" in b.results
    assert run.ops(HandleIpi) == 1


def test_who_flushes_a_foreign_address_space_leaves_its_own_tlb_alone(bench: Any) -> None:
    """Compaction and the like: only the CPUs of that mm are asked."""
    b = bench()
    flusher(b, mm=b.mm("Q"))
    b.spawn("worker", lambda k: user_write(k, 0), cpu=1)
    run = b.start()
    assert run.all() is None
    assert run.ops(Invlpg) == 0
    assert run.ops(HandleIpi) == 1


def remembered(b: Any, run: Any) -> set[int]:
    """The pages of P in the TLB of CPU 1."""
    return {vpn for (mm, vpn), slot in b.cpu1.tlb.items() if mm is b.p and run[slot] is not None}


@pytest.mark.parametrize(
    ("flush", "mine", "left"),
    [
        (lambda b, k: flush_tlb_range(k, b.heap, 1, 3), True, {0, 3}),
        (lambda b, k: flush_tlb_mm(k, b.p), True, set()),
        (lambda b, k: flush_tlb_range(k, b.heap, 1, 3), False, set()),
    ],
    ids=["a range", "all", "a range, from outside"],
)
def test_a_range_is_flushed_with_one_interrupt_a_cpu(bench: Any, flush: Any, mine: bool, left: set[int]) -> None:
    """However many pages it has; who runs in another address space has everything dropped."""
    b = bench()

    def touch(k: Any) -> Any:
        vpn = 0
        while vpn < 4:
            yield from user_write(k, vpn)
            vpn += 1

    b.spawn("flusher", lambda k: flush(b, k), mm=None if mine else b.mm("Q"))
    b.spawn("worker", touch, cpu=1)
    run = b.start()
    run.only("worker")
    assert remembered(b, run) == {0, 1, 2, 3}
    run.only("flusher")
    assert remembered(b, run) == left
    assert (run.ops(HandleIpi), run.ops(SendIpi), run.ops(Invlpg)) == (1, 1, int(mine))


KINDS = ["present", "prot_none"]


@pytest.mark.parametrize(
    ("clear", "flushes"),
    [(ptep_clear_flush, {"present": 1, "prot_none": 1}), (ptep_clear_flush_v38, {"present": 1, "prot_none": 0})],
    ids=["3.7", "3.8"],
)
@pytest.mark.parametrize("kind", KINDS)
def test_3_8_does_not_flush_what_the_hardware_cannot_have_cached(
    alone: Any, bench: Any, clear: Any, flushes: dict[str, int], kind: str
) -> None:
    """A PROT_NONE entry: 3.7 flushes it all the same.  Both clear it and return what stood there."""
    b = bench()
    page = b.page(b.heap, 0, node=0, kind=kind)
    it = alone({**b.memory, b.p.cpu_vm_mask: (Cpu("cpu0"),)})
    assert it.call(clear(it.k, b.heap, 0, PT.pte[0])) == Pte(kind, page)
    assert it.get(PT.pte[0]) is None
    assert it.points.count("tlb_flush") == flushes[kind]


def clear(k: Any, vma: Any, address: int, pte: Any) -> Any:
    """A flush that was forgotten."""
    old = yield pte.xchg(None)
    return old


@pytest.mark.parametrize(("function", "faults"), [(clear, 0), (ptep_clear_flush, 1)])
def test_without_the_flush_a_thread_goes_on_in_the_old_frame(bench: Any, function: Any, faults: int) -> None:
    """What the flush is for: clear the PTE alone, and the other CPU does not notice."""
    b = bench()
    b.page(b.heap, 0, node=0, written=1)
    b.spawn("clearer", lambda k: function(k, b.heap, 0, PT.pte[0]))

    def twice(k: Any) -> Any:
        yield from user_read(k, 0)
        yield from user_read(k, 0)

    b.spawn("reader", twice, cpu=1)
    run = b.start()
    run.only("reader", until=lambda event: event.answer is True)
    run.only("clearer")
    run.only("reader")
    assert run.points["fault"] == faults


@pytest.mark.parametrize(
    ("kind", "none", "present", "accessible", "numa", "migrating"),
    [
        (None, True, False, False, False, False),
        ("present", False, True, True, False, False),
        ("prot_none", False, True, False, True, False),
        ("migration", False, False, False, False, True),
    ],
)
def test_what_a_pte_is(
    kind: str | None, none: bool, present: bool, accessible: bool, numa: bool, migrating: bool
) -> None:
    pte = None if kind is None else Pte(kind, Page("f0"))
    assert pte_none(pte) is none
    assert pte_present(pte) is present
    assert pte_accessible(pte) is accessible
    assert pte_numa(pte) is numa
    assert is_migration_entry(pte) is migrating
