"""Moving a page: what it costs, what holds on the way, and what is left when it fails."""

from __future__ import annotations

from typing import Any

import pytest

from sim.kernel.memory import follow_page
from sim.kernel.migrate import CHUNK, MIGRATE_ASYNC, migration_entry_wait, sys_move_pages
from sim.kernel.numacore.migrate import migrate_misplaced_page
from sim.kernel.pgtable import is_migration_entry
from sim.kernel.swap import get_page, put_page
from sim.kernel.vmscan import isolate_lru_page
from sim.ops import Acquire, Add, CopyPage, Free, Until, Write
from sim.structs import Page, PageTable, Pte
from sim.sync import down_write, lock_page, unlock_page, up_write
from sim.user import user_read, user_write

PT = PageTable("pt0")
VARIANTS = [("mutex_v37", "mutex"), ("rwsem_v38", "rwsem")]


def mover(b: Any, *vpns: int, passes: int = 10, name: str = "mover") -> None:
    b.spawn(name, lambda k: sys_move_pages(k, b.p, vpns, 1, passes))


def migrator(b: Any, page: Page, passes: int = 10, **mode: str) -> None:
    """A task that isolates a page and hands it to migrate_pages: no mmap_sem, no follow_page."""

    def body(k: Any) -> Any:
        yield from isolate_lru_page(k, page)
        failed = yield from k.migrate_pages((page,), 1, passes, **mode)
        return failed

    b.spawn("migrator", body)


# --- what a move costs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("variant", "lock"), VARIANTS)
def test_a_page_mapped_once_costs_two_anon_vma_locks_two_ptl_one_flush_one_copy(
    bench: Any, variant: str, lock: str
) -> None:
    """The prices that the whole project is about."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    migrator(b, page)
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
    migrator(b, page)
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
    assert (run[new.node], run[new.data], run[new.index]) == (1, (3, 1), 3)
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


def test_a_page_that_was_freed_meanwhile_is_not_moved(bench: Any) -> None:
    """With the isolation's reference alone left, both frames are freed and nobody takes a lock."""
    b = bench()
    page = b.page(b.heap, 0, node=0)
    b.memory.update({page._count: 0, page._mapcount: -1, page.present_ptes: 0, PT.pte[0]: None})
    migrator(b, page)
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
    migrator(b, page)
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
    migrator(b, page)
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


# --- a page that somebody else has locked --------------------------------------------------------------------------


def holder(b: Any, page: Page) -> None:
    """A task that holds the page lock until it is let go on."""

    def body(k: Any) -> Any:
        yield from lock_page(page)
        yield from get_page(k, page)  # the test stops it before this
        yield from put_page(k, page)
        yield from unlock_page(page)

    b.spawn("holder", body, cpu=1)


def locks_it(event: Any) -> bool:
    return type(event.op) is Acquire


def test_only_the_last_of_few_passes_sleeps_for_a_page_lock(bench: Any) -> None:
    """The passes before it give up at once; the last waits until the page is unlocked, and then moves it."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    migrator(b, page, passes=2)
    holder(b, page)
    run = b.start()
    run.only("holder", until=locks_it)
    run.only("migrator")
    assert "migrator" not in b.results
    assert run.points["alloc_page"] == 2  # it sleeps in its second pass
    assert run.all() is None
    assert b.results["migrator"] == 0


def test_the_kernel_s_ten_passes_sleep_from_the_fourth_on(bench: Any) -> None:
    """``pass > 2`` in mm/migrate.c:981 (v3.7)."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    migrator(b, page)
    holder(b, page)
    run = b.start()
    run.only("holder", until=locks_it)
    run.only("migrator")
    assert run.points["alloc_page"] == 4


def test_a_fault_never_sleeps_for_a_page_lock(bench: Any) -> None:
    """MIGRATE_ASYNC gives up in every pass, without an anon_vma lock; the page goes back to the LRU."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    migrator(b, page, passes=3, mode=MIGRATE_ASYNC)
    holder(b, page)
    run = b.start()
    run.only("holder", until=locks_it)
    run.only("migrator")
    assert b.results["migrator"] == 1
    assert run.taken("mutex") == 0
    assert (run[page._count], run[page.PG_lru]) == (1, True)


# --- who meets a migration entry -----------------------------------------------------------------------------------


def entry_stands(event: Any) -> bool:
    return type(event.op) is Write and is_migration_entry(event.op.value)


def unmapped(event: Any) -> bool:
    """The unmap walk is over: the migrator has given the ptl of the last PTE back."""
    return any(change.field is PT.ptl and change.new is None for change in event.changes)


def test_a_fault_on_a_migration_entry_sleeps_until_the_page_is_unlocked(bench: Any) -> None:
    """The reader waits with mmap_sem held, and reads the new frame afterwards."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    migrator(b, page)
    b.spawn("reader", lambda k: user_read(k, 0), cpu=1)
    run = b.start()
    run.only("migrator", until=lambda event: type(event.op) is CopyPage)
    run.only("reader")
    assert run.points["migration_entry_wait"] == 1
    assert "reader" not in b.results
    assert run[b.p.mmap_sem].readers
    assert run.all() is None
    assert run[PT.pte[0]].page is not page


def test_a_waiter_that_comes_before_the_count_test_makes_the_attempt_fail(bench: Any) -> None:
    """Its reference is one too many: the page is put back, and every pass fails until the waiter has run."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    migrator(b, page, passes=3)
    b.spawn("reader", lambda k: user_read(k, 0), cpu=1)
    run = b.start()
    run.only("migrator", until=entry_stands)
    run.only("migrator", until=unmapped)
    run.only("reader")
    assert run[page._count] == 2
    run.only("migrator")
    assert b.results["migrator"] == 1
    assert run[PT.pte[0]].page is page
    assert run.all() is None


def test_a_waiter_that_comes_after_the_count_test_frees_the_old_frame(bench: Any) -> None:
    """The migration does not mind it any more; the last reference to the old frame is the waiter's."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    migrator(b, page)
    b.spawn("reader", lambda k: user_read(k, 0), cpu=1)
    run = b.start()
    run.only("migrator", until=lambda event: type(event.op) is CopyPage)
    run.only("reader")
    run.only("migrator")
    assert b.results["migrator"] == 0
    assert not run[page.life]
    run.only("reader")
    assert run[page.life] is True
    assert run.all() is None


def test_migration_entry_wait_looks_again_under_the_ptl(bench: Any) -> None:
    """Where the entry has gone by then it returns without touching the page."""
    b = bench()
    b.page(b.heap, 0, node=0, written=1)
    b.spawn("reader", lambda k: migration_entry_wait(k, b.p, PT, 0))
    run = b.start()
    assert run.all() is None
    assert run.taken("ptl") == 1
    assert run.ops(Add) == 0


# --- numa/core -----------------------------------------------------------------------------------------------------


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
