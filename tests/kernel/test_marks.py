"""change_prot_numa: which PTEs are marked for a NUMA hint, and when that is flushed.  mm/mempolicy.c"""

from __future__ import annotations

from typing import Any

from sim.kernel.mempolicy import change_prot_numa
from sim.structs import PageTable, Pte

PT = PageTable("pt0")


def test_a_page_that_nobody_shares_is_marked_and_flushed_once(bench: Any, alone: Any) -> None:
    """Two pages, one flush; the frame, the right to write and the dirty bit stay."""
    b = bench()
    pages = [b.page(b.heap, vpn, node=0, written=1) for vpn in (0, 1)]
    it = alone(b.memory)
    assert it.call(change_prot_numa(it.k, b.heap, 0, 2)) == 2
    assert [it.get(PT.pte[vpn]) for vpn in (0, 1)] == [Pte("prot_none", page, True, True) for page in pages]
    assert it.points == ["tlb_flush"]


def test_a_shared_page_and_a_marked_one_are_left_alone(bench: Any, alone: Any) -> None:
    """Nothing has changed, so nothing is flushed."""
    b = bench()
    b.page(b.heap, 0, node=0, written=1)
    b.relative("C", b.heap, 0)
    b.page(b.heap, 1, node=0, kind="prot_none")
    before = dict(b.memory)
    it = alone(b.memory)
    assert it.call(change_prot_numa(it.k, b.heap, 0, 8)) == 0
    assert [it.get(PT.pte[vpn]) for vpn in (0, 1)] == [before[PT.pte[vpn]] for vpn in (0, 1)]
    assert it.points == []


def test_an_entry_on_its_way_loses_the_right_to_write(bench: Any, alone: Any) -> None:
    """As in mprotect, whose function it is: the next write finds out whether the page must be copied."""
    b = bench()
    page = b.page(b.heap, 0, node=0)
    b.memory[PT.pte[0]] = Pte("migration", page, write=True)
    it = alone(b.memory)
    assert it.call(change_prot_numa(it.k, b.heap, 0, 1)) == 1
    assert it.get(PT.pte[0]) == Pte("migration", page, write=False)
