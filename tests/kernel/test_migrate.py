"""Moving a page: what it costs, what holds on the way, and what is left when it fails."""

from __future__ import annotations

from typing import Any

import pytest

from sim.kernel.migrate import CHUNK, sys_move_pages
from sim.kernel.pgtable import is_migration_entry
from sim.kernel.swap import put_page
from sim.ops import Acquire, CopyPage, Free, Until
from sim.structs import Mm, Page, PageTable, Pte, Task, Written
from sim.sync import down_write, up_write
from sim.user import user_write

PT = PageTable("pt0")
VARIANTS = [("mutex_v37", "mutex"), ("rwsem_v38", "rwsem")]


def mover(b: Any, *vpns: int, passes: int = 10, name: str = "mover") -> None:
    b.spawn(name, lambda k: sys_move_pages(k, b.p, vpns, 1, passes))


# --- what a move costs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("variant", "lock"), VARIANTS)
def test_a_page_mapped_once_costs_two_anon_vma_locks_two_ptl_one_flush_one_copy(
    bench: Any, variant: str, lock: str
) -> None:
    """The prices that the whole project is about."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    b.migrator(page)
    run = b.start(variant)
    assert run.all() is None
    assert (run.taken(lock), run.taken("ptl"), run.points["tlb_flush"], run.ops(CopyPage)) == (2, 2, 1, 1)
    assert (run.points["unmap_walk"], run.points["remap_walk"]) == (1, 1)
    assert run.taken("PG_locked") == 2  # the old page's and the new one's


@pytest.mark.parametrize(("variant", "lock"), VARIANTS)
@pytest.mark.parametrize("pages", [1, 2, 5])
def test_each_page_of_a_call_pays_for_itself(bench: Any, variant: str, lock: str, pages: int) -> None:
    """N pages of one region take the one lock 2 N times and flush N times; only mmap_sem is taken once."""
    b = bench()
    for vpn in range(pages):
        b.page(b.heap, vpn, node=0, written=1)
    mover(b, *range(pages))
    run = b.start(variant)
    assert run.all() is None
    assert b.results["mover"] == 0
    assert (run.taken(lock), run.points["tlb_flush"], run.ops(CopyPage)) == (2 * pages, pages, pages)
    assert run.taken("mmap_sem") == 1


def test_a_page_of_two_processes_is_flushed_twice_and_locked_no_more_often(bench: Any) -> None:
    """Each PTE costs a flush and two ptl; the anon_vma lock is per walk, not per PTE."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    child = b.relative("C", b.heap, 0)
    b.migrator(page)
    run = b.start()
    assert run.all() is None
    assert (run.taken("mutex"), run.taken("ptl"), run.points["tlb_flush"]) == (2, 4, 2)
    new = run[PT.pte[0]].page
    assert run[run[child.pmd[0]].pte[0]] == Pte("present", new, write=False)
    assert (run[new._mapcount], run[new._count]) == (1, 2)


# --- what is there afterwards --------------------------------------------------------------------------------------


def test_a_moved_page_is_the_same_page_in_another_frame(bench: Any) -> None:
    """Node, data, offset and anon_vma are right, one PTE and one reference are left, and the old frame is free."""
    b = bench()
    old = b.page(b.heap, 3, node=0, written=1)
    mover(b, 3)
    run = b.start()
    assert run.all() is None
    new = run[PT.pte[3]].page
    assert new is not old
    assert (run[new.node], run[new.data], run[new.index]) == (1, Written(3, 1, Mm("P")), 3)
    assert run[new.mapping] is run[b.heap.anon_vma]
    assert (run[new._count], run[new._mapcount], run[new.PG_lru], run[new.PG_locked]) == (1, 0, True, None)
    assert run[old.life] is True
    assert run[run[new.mapping].refcount] == 1


@pytest.mark.parametrize("write", [True, False])
def test_moving_neither_gives_nor_takes_the_right_to_write(bench: Any, write: bool) -> None:
    """The migration entry remembers whether the PTE was writable; the new PTE is clean, because no one wrote it."""
    b = bench()
    b.page(b.heap, 0, node=0, written=1)
    b.memory[PT.pte[0]] = b.memory[PT.pte[0]]._replace(write=write)
    mover(b, 0)
    run = b.start()
    assert run.all() is None
    assert (run[PT.pte[0]].kind, run[PT.pte[0]].write, run[PT.pte[0]].dirty) == ("present", write, False)


def test_a_page_is_found_by_its_offset_and_not_by_its_address(bench: Any) -> None:
    """A VMA that was moved has another vm_pgoff than vm_start; the walks go by the difference."""
    b = bench()
    page = b.page(b.heap, 3, node=0, written=1)
    avc = b.memory[b.heap.anon_vma_chain][0]
    b.memory.update({b.heap.vm_pgoff: 100, page.index: 103, avc.rb_subtree_last: 107})
    mover(b, 3)
    run = b.start()
    assert run.all() is None
    assert run[PT.pte[3]].page is not page
    assert run[run[PT.pte[3]].page.index] == 103


def test_an_entry_of_another_page_is_left_alone(bench: Any) -> None:
    """A relative has its own page at this address, and somebody else is moving that one."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    child = b.relative("C", b.heap)
    other, table = Page("other"), PageTable("pt_C")
    b.memory.update({child.pmd[0]: table, table.pte[0]: Pte("migration", other), other.PG_locked: Task("somebody")})
    b.migrator(page)
    run = b.start()
    run.only("migrator")
    assert b.results["migrator"] == 0
    assert run[table.pte[0]] == Pte("migration", other)


def test_a_page_that_was_freed_meanwhile_is_not_moved(bench: Any) -> None:
    """With the isolation's reference alone left, both frames are freed and nobody takes a lock."""
    b = bench()
    page = b.page(b.heap, 0, node=0)
    b.memory.update({page._count: 0, page._mapcount: -1, page.present_ptes: 0, PT.pte[0]: None})
    b.migrator(page)
    run = b.start()
    assert run.all() is None
    assert b.results["migrator"] == 0
    assert run.ops(Free) == 2
    assert run.taken("mutex") + run.taken("PG_locked") == 0


# --- what holds on the way -----------------------------------------------------------------------------------------


def test_a_migration_entry_always_names_a_locked_page(bench: Any) -> None:
    """PG_locked is taken before the first entry appears and released after the last has gone."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    b.relative("C", b.heap, 0)
    b.migrator(page)
    run = b.start()
    seen = set()
    while run.only("migrator", until=lambda event: True):
        entries = run[page.migration_ptes]
        seen.add(entries)
        assert not entries or run[page.PG_locked] is not None
    assert seen == {0, 1, 2}


def test_the_flush_is_over_before_the_entry_stands_and_long_before_the_copy(bench: Any) -> None:
    """Nobody writes to the old frame through a TLB once it is copied; the ptl is held over the flush."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    b.migrator(page)
    b.spawn("worker", lambda k: user_write(k, 0), cpu=1)
    run = b.start()
    run.only("worker")
    assert run.all() is None
    steps = {
        "cleared": next(e.step for e in run.events if any(c.field is PT.pte[0] and c.new is None for c in e.changes)),
        "flushed": next(e.step for e in run.events if type(e.op) is Until),
        "entry": next(
            e.step for e in run.events if any(c.field is PT.pte[0] and is_migration_entry(c.new) for c in e.changes)
        ),
        "copied": next(e.step for e in run.events if type(e.op) is CopyPage),
    }
    assert sorted(steps, key=steps.__getitem__) == ["cleared", "flushed", "entry", "copied"]
    assert not any(
        change.field is PT.ptl for e in run.events if steps["cleared"] < e.step < steps["entry"] for change in e.changes
    )


def test_move_pages_holds_mmap_sem_of_its_target_and_of_nobody_else(bench: Any) -> None:
    """It is held to read, from the first look at a VMA to the end, and a writer waits for all of it."""
    b = bench()
    b.page(b.heap, 0, node=0, written=1)
    other = b.mm("Q")
    b.spawn("mover", lambda k: sys_move_pages(k, b.p, (0,), 1), mm=other)

    def writer(k: Any) -> Any:
        yield from down_write(b.p.mmap_sem)
        yield from up_write(b.p.mmap_sem)

    b.spawn("writer", writer, cpu=1)
    run = b.start()
    run.only("mover", until=lambda event: type(event.op) is CopyPage)
    run.only("writer")
    assert "writer" not in b.results
    assert run.all() is None
    assert not any(type(e.op) is Acquire and e.op.lock is other.mmap_sem for e in run.events)


def test_move_pages_gives_mmap_sem_up_between_chunks(bench: Any) -> None:
    """169 pages a chunk: what fits a page of 24-byte records, less the end marker."""
    b = bench()
    mover(b, *([0] * (CHUNK + 1)))
    run = b.start()
    assert CHUNK == 169
    assert run.all() is None
    assert run.taken("mmap_sem") == 2


def test_move_pages_leaves_alone_what_needs_no_move(bench: Any) -> None:
    """A page on the right node, an address with nothing mapped, one outside every VMA: nobody is isolated."""
    b = bench()
    there = b.page(b.heap, 0, node=1, written=1)
    mover(b, 0, 1, 100)
    run = b.start()
    assert run.all() is None
    assert b.results["mover"] == 0
    assert (run[there._count], run[there.PG_lru]) == (1, True)
    assert run.taken("mutex") == 0


# --- failure -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("variant", "lock"), VARIANTS)
@pytest.mark.parametrize("passes", [1, 2, 10])
def test_a_pinned_page_costs_two_locks_an_attempt_and_stays_where_it_was(
    bench: Any, variant: str, lock: str, passes: int
) -> None:
    """Every attempt unmaps it, sees the extra reference, and walks again to put it back; nothing is copied."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1, pins=1)
    mover(b, 0, passes=passes)
    run = b.start(variant)
    assert run.all() is None
    assert b.results["mover"] == 1
    assert run.taken(lock) == 2 * passes
    assert (run.points["unmap_walk"], run.points["remap_walk"]) == (passes, passes)
    assert (run.points["tlb_flush"], run.ops(CopyPage)) == (passes, 0)
    assert run[PT.pte[0]] == Pte("present", page, write=True, dirty=False)
    assert (run[page._count], run[page._mapcount], run[page.PG_lru]) == (2, 0, True)
    assert run.ops(Free) == passes  # each pass took a new frame and gave it back


def test_an_unpinned_page_is_moved_at_the_next_pass(bench: Any) -> None:
    """What failed once is tried again: here the pin goes away between two passes."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1, pins=1)
    mover(b, 0)
    b.spawn("unpin", lambda k: put_page(k, page), cpu=1)
    b.memory[page.pins] = 0
    run = b.start()
    run.only("mover", until=lambda event: type(event.op) is Free)
    run.only("unpin")
    assert run.all() is None
    assert b.results["mover"] == 0
    assert run.taken("mutex") == 4
    assert run[PT.pte[0]].page is not page


def test_pages_that_move_and_one_that_does_not(bench: Any) -> None:
    """A pinned page does not hold up the others, and only it is tried again."""
    b = bench()
    pages = [b.page(b.heap, vpn, node=0, written=1, pins=int(vpn == 1)) for vpn in range(3)]
    mover(b, 0, 1, 2, passes=3)
    run = b.start()
    assert run.all() is None
    assert b.results["mover"] == 1
    assert [run[PT.pte[vpn]].page is pages[vpn] for vpn in range(3)] == [False, True, False]
    assert run.taken("mutex") == 2 + 2 + 3 * 2


def test_a_pte_that_the_unmap_walk_missed_is_noticed_by_the_mapcount(bench: Any) -> None:
    """The attempt ends there: the new page is not even locked, and what was unmapped is mapped again."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    child = b.relative("C", b.heap, 0)
    avc = b.memory[b.heap.anon_vma_chain][0]
    link, b.memory[avc.rb_right] = b.memory[avc.rb_right], None  # the child's link is out of the tree for a moment
    b.migrator(page, passes=1)
    run = b.start()
    run.only("migrator")
    run.machine.memory[avc.rb_right] = link
    assert run.violation is None
    assert b.results["migrator"] == 1
    assert run.taken("PG_locked") == 1
    assert [run[PT.pte[0]].page, run[run[child.pmd[0]].pte[0]].page] == [page, page]
    assert (run[page._mapcount], run[page._count]) == (1, 2)


def test_a_page_that_nobody_maps_and_somebody_holds_is_given_up_unlocked(bench: Any) -> None:
    """Its anon_vma may be gone, so it is not even looked at; when the last reference goes, the frame is free."""
    b = bench()
    page = b.page(b.heap, 0, node=0, pins=1)
    b.memory.update({page._count: 1, page._mapcount: -1, page.present_ptes: 0, PT.pte[0]: None})
    b.migrator(page, passes=2)
    run = b.start()
    assert run.all() is None
    assert b.results["migrator"] == 1
    assert (run[page.PG_locked], run.taken("PG_locked"), run.taken("mutex")) == (None, 2, 0)
