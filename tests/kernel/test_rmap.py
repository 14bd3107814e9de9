"""From a page to its anon_vma and its PTEs: what is pinned, what is locked, and what is looked at twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sim.kernel.page_alloc import alloc_page
from sim.kernel.rmap import (
    anon_vma_alloc,
    anon_vma_free,
    anon_vma_prepare,
    page_add_anon_rmap,
    page_add_new_anon_rmap,
    page_check_address,
    page_get_anon_vma,
    page_lock_anon_vma,
    page_move_anon_rmap,
    page_unlock_anon_vma,
    put_anon_vma,
)
from sim.ops import Acquire, Add, AddUnless, Alloc, Field, Free, Op, RcuReadLock, RcuReadUnlock, TryAcquire
from sim.structs import AnonVma, Page, PageTable, Pte, Task

PT = PageTable("pt0")
VARIANTS = ["mutex_v37", "rwsem_v38"]


def unmap_behind_its_back(it: Any, page: Page) -> None:
    it.memory[page._mapcount] = -1


def after(steps: Iterator[Op], kind: type[Op], base: str) -> None:
    """Run until an operation of this kind on a field of this name is done."""
    for op in steps:
        field = getattr(op, "field", None) or getattr(op, "lock", None) if kind is not Field else op
        if type(op) is kind and field.base == base:  # type: ignore[union-attr]
            return
    raise AssertionError(f"no {kind.__name__} of {base}")


def finish(steps: Iterator[Op]) -> None:
    for _ in steps:
        pass


# --- page_get_anon_vma: a reference, no lock -----------------------------------------------------------------------


def test_page_get_anon_vma_pins_and_does_not_lock(alone: Any, bench: Any) -> None:
    """The reference is on the page's own anon_vma; put_anon_vma gives it back."""
    b = bench()
    page = b.page(b.heap, 0, node=0)
    it = alone(b.memory)
    anon_vma = it.call(page_get_anon_vma(it.k, page))
    assert anon_vma is it.get(b.heap.anon_vma)
    assert (it.get(anon_vma.refcount), it.get(anon_vma.mutex)) == (2, None)
    it.call(put_anon_vma(it.k, anon_vma))
    assert it.get(anon_vma.refcount) == 1


def test_the_anon_vma_of_an_unmapped_page_is_not_touched(alone: Any, bench: Any) -> None:
    """``page->mapping`` still names it, and says nothing about whether it is there."""
    b = bench()
    page = b.page(b.heap, 0, node=0)
    it = alone(b.memory)
    it.memory.update({page._mapcount: -1, it.get(b.heap.anon_vma).life: True})
    assert it.call(page_get_anon_vma(it.k, page)) is None
    assert it.call(page_lock_anon_vma(it.k, page)) is None


def test_a_page_unmapped_while_it_is_pinned_is_given_up(alone: Any, bench: Any) -> None:
    """The mapcount is tested again after the reference was taken, and the reference dropped."""
    b = bench()
    page = b.page(b.heap, 0, node=0)
    it = alone(b.memory)
    steps = it.steps(page_get_anon_vma(it.k, page))
    after(steps, AddUnless, "refcount")
    unmap_behind_its_back(it, page)
    finish(steps)
    assert it.get(it.get(b.heap.anon_vma).refcount) == 1
    assert [type(op) for op in it.ops[-2:]] == [Add, RcuReadUnlock]


# --- page_lock_anon_vma --------------------------------------------------------------------------------------------


def test_the_fast_path_takes_one_lock_and_no_reference(alone: Any, bench: Any) -> None:
    """One trylock of the root's lock; given back by page_unlock_anon_vma."""
    b = bench()
    page = b.page(b.heap, 0, node=0)
    it = alone(b.memory)
    anon_vma = it.call(page_lock_anon_vma(it.k, page))
    assert it.get(anon_vma.mutex) is it.k.current
    assert [type(op) for op in it.ops if type(op) is not Field] == [RcuReadLock, TryAcquire, RcuReadUnlock]
    it.call(page_unlock_anon_vma(it.k, anon_vma))
    assert it.get(anon_vma.mutex) is None


def test_a_page_unmapped_while_it_is_locked_is_given_up(alone: Any, bench: Any) -> None:
    """The mapcount is tested again under the lock, and the lock given back."""
    b = bench()
    page = b.page(b.heap, 0, node=0)
    it = alone(b.memory)
    steps = it.steps(page_lock_anon_vma(it.k, page))
    after(steps, TryAcquire, "mutex")
    unmap_behind_its_back(it, page)
    finish(steps)
    assert it.get(it.get(b.heap.anon_vma).mutex) is None


def walker(b: Any, name: str, page: Page, cpu: int = 0) -> None:
    def body(k: Any) -> Any:
        anon_vma = yield from k.page_lock_anon_vma(page)
        if anon_vma is not None:
            yield from k.page_unlock_anon_vma(anon_vma)
        return anon_vma

    b.spawn(name, body, cpu)


def writer(b: Any, name: str, anon_vma: AnonVma, cpu: int = 1) -> None:
    def body(k: Any) -> Any:
        yield from k.anon_vma_lock_write(anon_vma)
        yield from k.anon_vma_unlock_write(anon_vma)

    b.spawn(name, body, cpu)


def got_lock(event: Any) -> bool:
    return type(event.op) is Acquire and event.outcome == "done"


def test_a_page_unmapped_before_the_sleep_is_given_up(alone: Any, bench: Any) -> None:
    """The slow path tests the mapcount once its reference is safe, and drops it instead of sleeping."""
    b = bench()
    page = b.page(b.heap, 0, node=0)
    it = alone(b.memory)
    anon_vma, somebody = it.get(b.heap.anon_vma), Task("somebody")
    it.set(anon_vma, mutex=somebody)
    steps = it.steps(page_lock_anon_vma(it.k, page))
    after(steps, AddUnless, "refcount")
    unmap_behind_its_back(it, page)
    finish(steps)
    assert (it.get(anon_vma.mutex), it.get(anon_vma.refcount)) == (somebody, 1)


@pytest.mark.parametrize("variant", VARIANTS)
def test_who_sleeps_for_the_lock_pins_the_anon_vma_meanwhile(bench: Any, variant: str) -> None:
    """One more reference while it sleeps, dropped as soon as it has the lock."""
    b = bench()
    page = b.page(b.heap, 0, node=0)
    anon_vma = b.memory[b.heap.anon_vma]
    walker(b, "walker", page)
    writer(b, "writer", anon_vma)
    run = b.start(variant)
    run.only("writer", until=got_lock)
    run.only("walker")
    assert run[anon_vma.refcount] == 2
    assert run.all() is None
    assert b.results["walker"] is anon_vma
    assert run[anon_vma.refcount] == 1


def test_who_slept_and_holds_the_last_reference_frees_the_anon_vma(bench: Any) -> None:
    """Everybody else has let go meanwhile: unlock, free, and say that there is none."""
    b = bench()
    page = b.page(b.heap, 0, node=0)
    anon_vma = b.memory[b.heap.anon_vma]
    walker(b, "walker", page)
    writer(b, "writer", anon_vma)
    b.spawn("exit", lambda k: put_anon_vma(k, anon_vma), cpu=1)
    run = b.start()
    run.only("writer", until=got_lock)
    run.only("walker")
    run.only("exit")
    run.only("writer")
    run.only("walker")
    assert b.results["walker"] is None
    assert run[anon_vma.life] is True
    assert run[anon_vma.mutex] is None


def test_walkers_exclude_each_other_in_3_7_and_share_in_3_8(bench: Any) -> None:
    """The whole of the change from mutex to rwsem, seen from a walk."""
    for variant, second in [("mutex_v37", None), ("rwsem_v38", AnonVma("A_heap"))]:
        b = bench()
        page = b.page(b.heap, 0, node=0)
        walker(b, "first", page)
        walker(b, "second", page, cpu=1)
        run = b.start(variant)
        run.only("first", until=lambda event: type(event.op) is TryAcquire)
        run.only("second")
        assert b.results.get("second") is second


# --- the life of an anon_vma ---------------------------------------------------------------------------------------


def test_a_new_anon_vma_is_its_own_root(alone: Any) -> None:
    it = alone()
    anon_vma = it.call(anon_vma_alloc(it.k))
    assert it.get(anon_vma.root) is anon_vma
    assert it.get(anon_vma.refcount) == 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_freeing_waits_for_whoever_holds_the_lock(bench: Any, variant: str) -> None:
    """A walker that got it by trylock has no reference; nothing else keeps the anon_vma for it."""
    b = bench()
    page = b.page(b.heap, 0, node=0)
    anon_vma = b.memory[b.heap.anon_vma]
    walker(b, "walker", page)
    b.spawn("freer", lambda k: anon_vma_free(k, anon_vma), cpu=1)
    run = b.start(variant)
    run.only("walker", until=lambda event: type(event.op) is TryAcquire)
    run.only("freer")
    assert not run[anon_vma.life]
    run.only("walker")
    run.only("freer")
    assert run[anon_vma.life] is True


def test_the_root_is_freed_before_its_member_as_it_was_until_2014(alone: Any) -> None:
    """Hazard H20: freeing the member then looks at the root's lock, which is gone."""
    it = alone()
    root = it.call(anon_vma_alloc(it.k))
    member = it.call(anon_vma_alloc(it.k))
    it.set(member, root=root)
    with pytest.raises(Exception, match=f"use after free.*{root}"):
        it.call(put_anon_vma(it.k, member))


def test_a_member_that_is_not_the_last_leaves_its_root(alone: Any) -> None:
    it = alone()
    root = it.call(anon_vma_alloc(it.k))
    member = it.call(anon_vma_alloc(it.k))
    it.set(member, root=root)
    it.set(root, refcount=2)
    it.call(put_anon_vma(it.k, member))
    assert (it.get(member.life), it.get(root.life), it.get(root.refcount)) == (True, False, 1)


def test_a_vma_that_has_an_anon_vma_is_read_once(alone: Any, bench: Any) -> None:
    """The common case takes no lock."""
    b = bench()
    it = alone(b.memory)
    assert it.call(anon_vma_prepare(it.k, b.heap)) == 0
    assert it.ops == [b.heap.anon_vma]


def bare_heap(b: Any) -> None:
    """Forget that the heap ever had an anon_vma."""
    for field in (b.heap.anon_vma, b.heap.anon_vma_chain):
        del b.memory[field]
    for field in [field for field in b.memory if str(field.ref) in ("A_heap", "avc_heap")]:
        del b.memory[field]


@pytest.mark.parametrize("variant", VARIANTS)
def test_of_two_first_faults_one_gives_its_anon_vma_back(bench: Any, variant: str) -> None:
    """Both hold mmap_sem to read; the second sees under page_table_lock that the first was faster."""
    b = bench()
    bare_heap(b)
    b.spawn("first", lambda k: anon_vma_prepare(k, b.heap))
    b.spawn("second", lambda k: anon_vma_prepare(k, b.heap), cpu=1)
    run = b.start(variant)
    run.only("first", until=lambda event: type(event.op) is Alloc and event.op.struct is AnonVma)
    run.only("second")
    assert run.all() is None
    (avc,) = run[b.heap.anon_vma_chain]
    anon_vma = run[b.heap.anon_vma]
    assert (run[avc.vma], run[avc.anon_vma], run[anon_vma.rb_root]) == (b.heap, anon_vma, avc)
    assert (run[anon_vma.refcount], run[anon_vma.root]) == (1, anon_vma)
    assert run.ops(Alloc) == 4
    assert run.ops(Free) == 2


# --- a page's place, and its PTEs ----------------------------------------------------------------------------------


def test_a_new_page_belongs_to_the_vma_s_own_anon_vma_and_an_old_one_to_the_root(alone: Any, bench: Any) -> None:
    """Exclusive or not: the oldest anon_vma is the one in whose tree every relative stands."""
    b = bench()
    it = alone(b.memory)
    root = it.get(b.heap.anon_vma)
    own = it.call(anon_vma_alloc(it.k))
    it.set(own, root=root)
    it.set(b.heap, anon_vma=own, vm_pgoff=100)
    new, old = it.call(alloc_page(it.k)), it.call(alloc_page(it.k))
    it.call(page_add_new_anon_rmap(it.k, new, b.heap, 3))
    it.call(page_add_anon_rmap(it.k, old, b.heap, 3))
    assert (it.get(new.mapping), it.get(old.mapping)) == (own, root)
    assert it.get(new.index) == it.get(old.index) == 103
    assert it.get(new._mapcount) == it.get(old._mapcount) == 0
    assert it.get(new.PG_lru) is True
    it.call(page_move_anon_rmap(it.k, old, b.heap, 3))
    assert it.get(old.mapping) is own


def test_a_page_that_has_a_place_keeps_it(alone: Any, bench: Any) -> None:
    """A migrated page has inherited the anon_vma of the old one; a new PTE does not move it to the root."""
    b = bench()
    it = alone(b.memory)
    own = it.call(anon_vma_alloc(it.k))
    page = it.set(it.call(alloc_page(it.k)), mapping=own, index=3)
    it.call(page_add_anon_rmap(it.k, page, b.heap, 3))
    assert it.get(page.mapping) is own


def test_a_pte_without_the_page_is_not_worth_the_ptl(alone: Any, bench: Any) -> None:
    """No table, nothing there, or a migration entry: seen without the lock."""
    b = bench()
    page = b.page(b.heap, 0, node=0)
    it = alone(b.memory)
    for address, value in [(600, None), (1, None), (1, Pte("migration", page))]:
        if value is not None:
            it.memory[PT.pte[address]] = value
        assert it.call(page_check_address(it.k, page, b.p, address)) is None
        assert all(type(op) is Field for op in it.ops)


@pytest.mark.parametrize("instead", [None, "migration", "other"])
def test_a_pte_is_looked_at_again_under_the_ptl(alone: Any, bench: Any, instead: str | None) -> None:
    """Between the first look and the lock it may have gone, or name another page; then the lock is given back."""
    b = bench()
    page, other = b.page(b.heap, 0, node=0), b.page(b.heap, 1, node=0)
    it = alone(b.memory)
    steps = it.steps(page_check_address(it.k, page, b.p, 0))
    after(steps, Acquire, "ptl")
    it.memory[PT.pte[0]] = {None: None, "migration": Pte("migration", page), "other": Pte("present", other)}[instead]
    finish(steps)
    assert it.get(PT.ptl) is None


def test_a_page_that_is_found_comes_with_its_ptl(alone: Any, bench: Any) -> None:
    """Also behind PROT_NONE, which the hardware cannot reach."""
    b = bench()
    page = b.page(b.heap, 5, node=0, kind="prot_none")
    it = alone(b.memory)
    assert it.call(page_check_address(it.k, page, b.p, 5)) == (PT.pte[5], PT)
    assert it.get(PT.ptl) is it.k.current
