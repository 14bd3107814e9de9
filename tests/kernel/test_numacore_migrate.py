"""A page that the wrong node uses: moved if nobody else maps it, and if nobody else was faster."""

from __future__ import annotations

from typing import Any

from sim.kernel.memory import follow_page
from sim.kernel.numacore.migrate import migrate_misplaced_page
from sim.structs import Page, Task


def misplaced(b: Any, page: Page) -> None:
    def body(k: Any) -> Any:
        yield from follow_page(k, b.heap, 0)
        moved = yield from migrate_misplaced_page(k, page, 1)
        return moved

    b.spawn("fault", body)


def test_a_misplaced_page_moves_and_the_caller_s_reference_is_gone(bench: Any) -> None:
    """One reference, of the one PTE, is left on the new frame; the old one is free."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    misplaced(b, page)
    run = b.start()
    assert run.all() is None
    assert b.results["fault"] == 1
    assert run[page.life] is True


def test_a_misplaced_page_of_two_processes_stays(bench: Any) -> None:
    """It is not even isolated, and the caller's reference is dropped all the same."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    b.relative("C", b.heap, 0)
    misplaced(b, page)
    run = b.start()
    assert run.all() is None
    assert b.results["fault"] == 0
    assert (run[page._count], run.taken("mutex")) == (2, 0)


def test_a_misplaced_page_that_somebody_else_has_isolated_stays(bench: Any) -> None:
    """Of two migrators that want the same page, one gets it off the LRU."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    b.memory[page.PG_lru] = False
    misplaced(b, page)
    run = b.start()
    assert run.all() is None
    assert b.results["fault"] == 0
    assert run[page._count] == 1


def test_a_fault_does_not_sleep_for_a_misplaced_page_that_somebody_has_locked(bench: Any) -> None:
    """MIGRATE_ASYNC in every pass: the page stays where it is, back on the LRU, and no anon_vma lock was taken."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    b.memory[page.PG_locked] = Task("somebody")
    misplaced(b, page)
    run = b.start()
    run.only("fault")
    assert b.results["fault"] == 0
    assert (run[page._count], run[page.PG_lru], run.taken("mutex")) == (1, True, 0)
