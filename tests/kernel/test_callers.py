"""The callers of page migration: what each holds while it moves a page, and whose pages it moves."""

from __future__ import annotations

from collections.abc import Callable
from errno import EBUSY
from typing import Any

import pytest

from sim.kernel.compaction import compact_zone
from sim.kernel.memory_hotplug import do_migrate_range, offline_pages
from sim.kernel.mempolicy import do_mbind, do_migrate_pages
from sim.locks import Rwsem
from sim.ops import Acquire, CopyPage
from sim.structs import PageTable, Task

PT = PageTable("pt0")

CALLERS: dict[str, Callable[[Any, Any], Any]] = {
    "compaction": lambda k, page: compact_zone(k, (page,)),
    "hot-remove": lambda k, page: do_migrate_range(k, (page,)),
    "migrate_pages": lambda k, page: do_migrate_pages(k, k.mm, 0, 8, 1),
    "mbind": lambda k, page: do_mbind(k, 0, 8, 1),
}


def held_while_copying(run: Any) -> Rwsem:
    """How mmap_sem of P was held at the moment of the copy."""
    run.only("mover", until=lambda event: type(event.op) is CopyPage)
    value: Rwsem = run[run.machine.tasks[0].mm.mmap_sem]
    return value


@pytest.mark.parametrize(
    ("caller", "writer", "readers"),
    [
        ("compaction", None, ()),
        ("hot-remove", None, ()),
        ("migrate_pages", None, (Task("mover"),)),
        ("mbind", Task("mover"), ()),
    ],
)
def test_what_a_caller_holds_of_mmap_sem(bench: Any, caller: str, writer: Any, readers: Any) -> None:
    """Nothing, or the one process's to read or to write; and the page is moved in every case."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    b.spawn("mover", lambda k: CALLERS[caller](k, page), cpu=1)
    run = b.start()
    assert held_while_copying(run) == Rwsem(writer, readers)
    assert run.all() is None
    assert b.results["mover"] == 0
    assert (run[PT.pte[0]].page is page, run[run[PT.pte[0]].page.node]) == (False, 1)


@pytest.mark.parametrize("caller", ["migrate_pages", "mbind"])
def test_a_relative_s_mmap_sem_is_nobody_s_business(bench: Any, caller: str) -> None:
    """The child holds its own to write, and its PTE is changed under it."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1)
    child = b.fork(b.p, "C")
    b.spawn("mover", lambda k: CALLERS[caller](k, page), cpu=1)
    b.spawn("child", lambda k: _holds(child.mmap_sem), mm=child)
    run = b.start()
    run.only("child", until=lambda event: type(event.op) is Acquire)
    run.only("mover")
    assert b.results["mover"] == 0
    assert run[run[child.pmd[0]].pte[0]] == run[PT.pte[0]]
    assert run[PT.pte[0]].page is not page


def _holds(lock: Any) -> Any:
    yield Acquire(lock)
    yield PT.pte[0]


@pytest.mark.parametrize("caller", ["migrate_pages", "mbind"])
def test_what_lies_on_the_node_already_stays(bench: Any, caller: str) -> None:
    """And a page table that is not there is passed over."""
    b = bench()
    page = b.page(b.heap, 3, node=1, written=1)
    b.spawn("mover", lambda k: CALLERS[caller](k, page), cpu=1)
    run = b.start()
    assert run.all() is None
    assert (run.ops(CopyPage), run[PT.pte[3]].page) == (0, page)


@pytest.mark.parametrize("caller", ["compaction", "hot-remove"])
def test_a_free_frame_is_passed_over(bench: Any, caller: str) -> None:
    """It gives no reference."""
    b = bench()
    page = b.page(b.heap, 0, node=0)
    b.memory.update({page._count: 0, page.life: True, page._mapcount: -1, page.present_ptes: 0, PT.pte[0]: None})
    b.spawn("mover", lambda k: CALLERS[caller](k, page), cpu=1)
    run = b.start()
    assert run.all() is None
    assert b.results["mover"] == 0


def test_hot_remove_gives_up_the_round_at_a_page_that_somebody_has_isolated(bench: Any) -> None:
    """And puts back what it has isolated before; then it tries again, as often as it is told."""
    b = bench()
    first, second = b.page(b.heap, 0, node=0, written=1), b.page(b.heap, 1, node=0, written=1, pins=1)
    b.memory[second.PG_lru] = False
    b.spawn("once", lambda k: do_migrate_range(k, (first, second)))
    b.spawn("mover", lambda k: offline_pages(k, (first, second), 2), cpu=1)
    run = b.start()
    assert run.all() is None
    assert b.results == {"once": -EBUSY, "mover": False}
    assert (run[first.PG_lru], run[first._count], run.ops(CopyPage)) == (True, 1, 0)


def test_compaction_says_how_many_pages_stayed(bench: Any) -> None:
    """A pinned page is tried and put back."""
    b = bench()
    page = b.page(b.heap, 0, node=0, written=1, pins=1)
    b.spawn("mover", lambda k: compact_zone(k, (page,), passes=2), cpu=1)
    run = b.start()
    assert run.all() is None
    assert (b.results["mover"], run[PT.pte[0]].page) == (1, page)
