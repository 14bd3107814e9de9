"""The two walks over a page's VMAs: what each visits, and in what order."""

from __future__ import annotations

from typing import Any

from sim.kernel.rmap import (
    TTU_MIGRATION,
    rmap_walk_anon,
    try_to_unmap,
)
from sim.ops import Point
from sim.structs import Page, PageTable, Pte
from sim.sync import lock_page, unlock_page

PT = PageTable("pt0")


def unmap(b: Any, page: Page) -> None:
    def body(k: Any) -> Any:
        yield from lock_page(page)
        yield from try_to_unmap(k, page, TTU_MIGRATION)
        yield Point("unmapped")  # here the test stops: the page must stay locked while entries name it
        yield from unlock_page(page)

    b.spawn("unmapper", body)


def test_the_unmap_walk_ends_with_the_last_pte(bench: Any) -> None:
    """A relative that does not map the page is visited only if it comes first."""
    b = bench()
    page = b.page(b.heap, 0, node=0, pins=1)
    b.relative("C", b.heap)
    unmap(b, page)
    run = b.start()
    assert run.only("unmapper", until=lambda event: "unmapped" in event.points)
    assert (run.points["pte_visit_unmap"], run[page.migration_ptes]) == (1, 1)


def count_visit(k: Any, page: Page, vma: Any, address: int, seen: Any) -> Any:
    yield seen.add(1)
    return 1  # SWAP_AGAIN


def test_the_remap_walk_visits_every_relative(alone: Any, bench: Any) -> None:
    """Nothing tells it that the last entry is gone, so it goes to the end of the tree."""
    b = bench()
    page = b.page(b.heap, 0, node=0)
    b.relative("C", b.heap)
    it = alone(b.memory)
    it.call(rmap_walk_anon(it.k, page, count_visit, page.pins))
    assert it.get(page.pins) == 2
    assert it.points == ["remap_walk"]


def test_the_unmap_walk_gives_up_a_pte_s_mapping_and_its_reference(bench: Any) -> None:
    """One mapping and one reference less for each PTE; the entry remembers the right to write."""
    b = bench()
    page = b.page(b.heap, 0, node=0, pins=1)
    child = b.relative("C", b.heap, 0)
    b.memory[PT.pte[0]] = Pte("present", page)  # writable, as no fork leaves it: the two entries must differ
    unmap(b, page)
    run = b.start()
    assert run.only("unmapper", until=lambda event: "unmapped" in event.points)
    assert run[PT.pte[0]] == Pte("migration", page, write=True)
    assert run[run[child.pmd[0]].pte[0]] == Pte("migration", page, write=False)
    assert (run[page._mapcount], run[page._count]) == (-1, 1)
