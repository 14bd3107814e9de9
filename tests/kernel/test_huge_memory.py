"""The collapse of khugepaged: what it hides, from whom, and that everything is there again afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from sim import invariants
from sim.kernel.huge_memory import collapse_huge_page
from sim.ops import SendIpi, TryAcquire
from sim.setup import Builder
from sim.structs import (
    PTRS_PER_PTE,
    VM_GROWSDOWN,
    VM_STACK_INCOMPLETE_SETUP,
    VM_WRITE,
    Mm,
    Page,
    PageTable,
    Pte,
    Task,
    Vma,
)
from sim.user import user_write

HEAP, P, PT = Vma("heap"), Mm("P"), PageTable("pt0")


@pytest.fixture
def it(alone: Any) -> Any:
    """P with a heap of 2 MiB whose pages 1 and 2 are written."""
    b = Builder()
    heap = b.vma(b.mm(), "heap", 0, PTRS_PER_PTE)
    for vpn in (1, 2):
        b.page(heap, vpn, node=0, written=1)
    return alone(b.memory)


def test_the_page_table_is_hidden_only_under_both_locks_and_comes_back(it: Any) -> None:
    """A walk is kept out by the anon_vma lock, a fault by mmap_sem."""
    mutex = it.get(HEAP.anon_vma).mutex
    hidden = 0
    for _ in it.steps(collapse_huge_page(it.k, P, 0, 4)):
        if it.get(P.pmd[0]) is None:
            hidden += 1
            assert it.get(mutex) is it.k.current
            assert it.get(P.mmap_sem).writer is it.k.current
    assert hidden > 10
    assert it.get(P.pmd[0]) is PT
    assert invariants.at_end(it.memory) is None


def test_pages_are_locked_and_isolated_and_given_back(it: Any) -> None:
    it.call(collapse_huge_page(it.k, P, 0, 4))
    tried = [op.lock.ref for op in it.ops if isinstance(op, TryAcquire)]
    assert tried == [Page("f0"), Page("f1")]
    for page in tried:
        assert (it.get(page.PG_locked), it.get(page.PG_lru), it.get(page._count)) == (None, True, 1)


def test_512_ptes_are_looked_at_unless_told_otherwise(it: Any) -> None:
    it.call(collapse_huge_page(it.k, P, 0))
    assert len({op for op in it.ops if getattr(op, "base", "") == "pte"}) == PTRS_PER_PTE


def migrating(it: Any) -> None:
    it.memory[PT.pte[1]] = Pte("migration", it.set(Page("moving"), PG_locked=Task("mover")))


def read_only(it: Any) -> None:
    it.memory[PT.pte[1]] = it.get(PT.pte[1])._replace(write=False)


def pinned(it: Any) -> None:
    it.set(Page("f0"), _count=2)


def locked(it: Any) -> None:
    it.set(Page("f0"), PG_locked=Task("somebody"))


def isolated(it: Any) -> None:
    it.set(Page("f0"), PG_lru=False)


@pytest.mark.parametrize("spoil", [migrating, read_only, pinned, locked, isolated])
def test_a_page_that_cannot_be_had_ends_it(it: Any, spoil: Any) -> None:
    """The next one is not looked at, nothing is kept, and the page table is back."""
    spoil(it)
    before = {field: it.get(field) for field in (Page("f0").PG_locked, Page("f0").PG_lru, Page("f0")._count)}
    it.call(collapse_huge_page(it.k, P, 0, 4))
    assert PT.pte[2] not in it.ops
    assert {field: it.get(field) for field in before} == before
    assert it.get(P.pmd[0]) is PT


@pytest.mark.parametrize("why", ["too short", "never touched", "temporary stack", "no page table", "nothing"])
def test_what_cannot_become_huge_is_not_hidden(it: Any, why: str) -> None:
    """Only mmap_sem is taken and given back."""
    if why == "too short":
        it.set(HEAP, vm_end=PTRS_PER_PTE - 1)
    elif why == "never touched":
        it.set(HEAP, anon_vma=None)
    elif why == "temporary stack":
        it.set(HEAP, vm_flags=VM_WRITE | VM_GROWSDOWN | VM_STACK_INCOMPLETE_SETUP)
    elif why == "no page table":
        it.memory[P.pmd[0]] = None
    else:
        it.set(P, mmap=())
    before = it.get(P.pmd[0])
    for _ in it.steps(collapse_huge_page(it.k, P, 0, 4)):
        assert it.get(P.pmd[0]) is before
    assert it.get(P.mmap_sem).writer is None


def test_every_tlb_has_dropped_the_pages_before_they_are_looked_at(bench: Any) -> None:
    """One interrupt a CPU for the whole 2 MiB."""
    b = bench()
    b.memory[b.heap.vm_end] = PTRS_PER_PTE
    b.page(b.heap, 0, node=0, written=1)
    b.spawn("khugepaged", lambda k: collapse_huge_page(k, b.p, 0, 1), mm=b.mm("K"))
    b.spawn("owner", lambda k: user_write(k, 0), cpu=1)
    run = b.start()
    run.only("owner")
    run.only("khugepaged", until=lambda it: it.op is PT.pte[0])
    assert run[b.cpu1.tlb[b.p, 0]] is None
    assert run.ops(SendIpi) == 1
    assert run.all() is None
