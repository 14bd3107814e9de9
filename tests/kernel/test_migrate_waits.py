"""Who waits for whom while a page moves, and whom that stops."""

from __future__ import annotations

from typing import Any

from sim.kernel.migrate import MIGRATE_ASYNC, migration_entry_wait
from sim.kernel.pgtable import is_migration_entry
from sim.kernel.swap import get_page, put_page
from sim.ops import Acquire, Add, CopyPage, Write
from sim.structs import Page, PageTable
from sim.sync import lock_page, unlock_page
from sim.user import user_read

PT = PageTable("pt0")


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
    b.migrator(page, passes=2)
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
    b.migrator(page)
    holder(b, page)
    run = b.start()
    run.only("holder", until=locks_it)
    run.only("migrator")
    assert run.points["alloc_page"] == 4


def test_a_fault_never_sleeps_for_a_page_lock(bench: Any) -> None:
    """MIGRATE_ASYNC gives up in every pass, without an anon_vma lock; the page goes back to the LRU."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    b.migrator(page, passes=3, mode=MIGRATE_ASYNC)
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
    b.migrator(page)
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
    b.migrator(page, passes=3)
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
    b.migrator(page)
    b.spawn("reader", lambda k: user_read(k, 0), cpu=1)
    run = b.start()
    run.only("migrator", until=lambda event: type(event.op) is CopyPage)
    run.only("reader")
    run.only("migrator")
    assert b.results["migrator"] == 0
    assert not run[page.life]
    assert run[page.mapping] is None  # whoever still finds it finds no anon_vma
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
