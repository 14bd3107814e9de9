"""References to a page, the LRU, frames that come and go, and migration entries."""

from __future__ import annotations

from errno import EBUSY
from typing import Any

import pytest

from sim.invariants import Violation
from sim.kernel.page_alloc import __free_page as free_page
from sim.kernel.page_alloc import alloc_page, alloc_pages_node
from sim.kernel.swap import get_page, get_page_unless_zero, put_page
from sim.kernel.swapops import make_migration_entry, migration_entry_to_page
from sim.kernel.vmscan import isolate_lru_page, putback_lru_page
from sim.structs import Page, Pte


def test_a_new_frame_has_one_reference_and_is_on_no_list(alone: Any) -> None:
    """On the node that was asked for, or on this CPU's own."""
    it = alone(node=1)
    here, there = it.call(alloc_page(it.k)), it.call(alloc_pages_node(it.k, 3))
    assert (it.get(here.node), it.get(there.node)) == (1, 3)
    assert (it.get(here._count), it.get(here.PG_lru), it.get(here._mapcount)) == (1, False, -1)


@pytest.mark.parametrize("drop", [put_page, free_page])
def test_the_last_reference_frees_the_frame(alone: Any, drop: Any) -> None:
    """Not the last but one."""
    it = alone()
    page = it.call(alloc_page(it.k))
    it.call(get_page(it.k, page))
    it.call(drop(it.k, page))
    assert not it.get(page.life)
    it.call(drop(it.k, page))
    assert it.get(page.life) is True


def test_a_free_frame_gives_no_reference(alone: Any) -> None:
    """Asking is allowed: whoever asks cannot know."""
    it = alone()
    page = it.call(alloc_page(it.k))
    assert it.call(get_page_unless_zero(it.k, page)) is True
    it.call(put_page(it.k, page))
    it.call(put_page(it.k, page))
    assert it.call(get_page_unless_zero(it.k, page)) is False


def test_of_two_who_isolate_a_page_one_gets_it(alone: Any) -> None:
    """With a reference of its own, which the putback drops."""
    it = alone()
    page = it.set(Page("f0"), _count=1)
    assert it.call(isolate_lru_page(it.k, page)) == 0
    assert it.call(isolate_lru_page(it.k, page)) == -EBUSY
    assert (it.get(page._count), it.get(page.PG_lru)) == (2, False)
    it.call(putback_lru_page(it.k, page))
    assert (it.get(page._count), it.get(page.PG_lru)) == (1, True)


def test_putting_back_a_page_that_nobody_wants_frees_it(alone: Any) -> None:
    """The old frame after a move, the new one after a failure."""
    it = alone()
    page = it.call(alloc_page(it.k))
    it.call(putback_lru_page(it.k, page))
    assert it.get(page.life) is True


def test_a_migration_entry_for_a_page_that_is_not_locked_stops_the_kernel(alone: Any) -> None:
    """Making one and looking at one: BUG_ON(!PageLocked) in both, include/linux/swapops.h:106 and 129 (v3.7)."""
    it = alone()
    page = Page("f0")
    entry = Pte("migration", page)
    for call in (make_migration_entry(it.k, page, True), migration_entry_to_page(it.k, entry)):
        with pytest.raises(Violation, match=r"kernel bug.*f0, which is not locked"):
            it.call(call)
    it.set(page, PG_locked=it.k.current)
    assert it.call(make_migration_entry(it.k, page, False)) == entry._replace(write=False)
    assert it.call(migration_entry_to_page(it.k, entry)) is page
