"""A kernel with some functions replaced: the others call the new ones, and everybody else's kernel is as before."""

from __future__ import annotations

from functools import partial

import pytest

from sim import build, variants, worlds
from sim.context import Context
from sim.engines.checker import check
from sim.engines.stepper import replay
from sim.errors import BadVariant
from sim.kernel import memory, rmap
from sim.kernel.rmap import page_get_anon_vma, try_to_unmap_one, vma_address
from sim.ops import Bug, Kernel
from sim.setup import Builder
from sim.structs import Mm, Page, PageTable, Vma
from sim.sync import spin_lock


def stopped(k: Context, page: Page, vma: Vma, address: int, flags: int) -> Kernel:
    """A body that ends the run, so that it is seen whether it was called."""
    yield Bug("kernel bug", "the new body was called", (page,))


def wrapped(k: Context, page: Page, vma: Vma, address: int, flags: int) -> Kernel:
    """A body that calls the one that it replaces, by the name that it imported and by that of its module."""
    yield page._mapcount
    ret = yield from try_to_unmap_one(k, page, vma, address, flags)
    ret = yield from rmap.try_to_unmap_one(k, page, vma, address, flags)
    return ret


def wrong_place(k: Context, pgoff: int, vma: Vma) -> Kernel:
    """A second function to replace: one page too far."""
    address = yield from vma_address(k, pgoff, vma)
    return address + 1


def twice_wrapped(k: Context, page: Page, flags: int) -> Kernel:
    """A caller of a function that the same patch replaces: it gets the new one."""
    anon_vma = yield from page_get_anon_vma(k, page)
    vma = yield page.node
    yield from try_to_unmap_one(k, page, vma, 0, flags)
    return anon_vma


MUTEX = variants.find("mutex_v37")


def test_callers_call_the_new_function() -> None:
    """try_to_unmap_anon, whose code is untouched, finds the new try_to_unmap_one; the old kernel still has the old."""
    mine = MUTEX.changed("mine", try_to_unmap_one=stopped)
    assert [it.sentence for it in check("one_page", mine).violations] == ["the new body was called"]
    assert check("one_page", MUTEX).verdict == "safe"
    assert rmap.try_to_unmap_one is try_to_unmap_one is not stopped


def test_a_new_function_may_call_the_one_that_it_replaces() -> None:
    """No endless recursion; and what the old one calls is replaced too, if it is in the same patch."""
    assert check("one_page", MUTEX.changed("mine", try_to_unmap_one=wrapped)).verdict == "safe"
    both = MUTEX.changed("mine", try_to_unmap_one=wrapped, vma_address=wrong_place)
    assert check("one_page", both, limit=20_000).states != check("one_page", MUTEX).states


def test_the_functions_of_one_patch_call_each_other() -> None:
    """Only the function that it replaces stays the old one; another that is replaced is the new one."""
    both = MUTEX.changed("mine", try_to_unmap_anon=twice_wrapped, try_to_unmap_one=stopped)
    assert [it.sentence for it in check("one_page", both).violations] == ["the new body was called"]


def test_modules_that_import_each_other_see_the_new_function() -> None:
    """memory.py calls migrate.migration_entry_wait by its module, and migrate.py imports memory.py."""

    def waits_for_nobody(k: Context, mm: Mm, pmd: PageTable, address: int) -> Kernel:
        yield Bug("kernel bug", "the fault came here", (pmd,))

    found = check("one_page", MUTEX.changed("mine", migration_entry_wait=waits_for_nobody)).violations
    assert [it.sentence for it in found] == ["the fault came here"]


def test_a_kernel_without_a_patch_is_the_kernel() -> None:
    """Nothing is bound anew, so that ordinary runs pay nothing."""
    body = partial(try_to_unmap_one, address=3)
    assert build.link({})(body) is body
    linked = build.link({"rmap.vma_address": wrong_place})
    assert linked(body).func.__code__ is try_to_unmap_one.__code__
    assert linked(body).func is not try_to_unmap_one
    assert linked(memory.do_anonymous_page) is linked(memory).do_anonymous_page
    assert linked(spin_lock).__globals__ is not spin_lock.__globals__


def test_a_function_that_the_kernel_lacks_names_the_nearest() -> None:
    """A misspelt name, in a variant and in a tilde world; a name that 3.7 does not have and two later trees do."""
    with pytest.raises(BadVariant, match=r"nearest: .*try_to_unmap_one"):
        MUTEX.changed("mine", try_to_unmap_on=stopped)
    with pytest.raises(BadVariant, match=r"no kernel function is called 'vma_adress'; nearest: .*vma_address"):
        worlds.find("one_page").variation("mistake", "A mistake.", {"vma_adress": wrong_place})
    with pytest.raises(BadVariant, match=r"several trees have .*batch.migrate.migrate_pages_batch, v61.migrate"):
        build.checked({"migrate_pages_batch": stopped})


def test_a_bare_name_means_the_function_of_3_7() -> None:
    """Whatever later trees have under it."""
    assert build.checked({"ptep_clear_flush": stopped}) == {"pgtable_generic.ptep_clear_flush": stopped}


def test_a_tilde_world_runs_under_every_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name is part of the run name, and the counterexample is found again from that."""
    monkeypatch.setattr(worlds, "WORLDS", dict(worlds.WORLDS))
    it = worlds.find("one_page").variation("stopped", "Unmapping stops.", {"rmap.try_to_unmap_one": stopped})
    found = check(it, MUTEX).violations[0]
    assert found.run_name.startswith("one_page~stopped?passes=2 mutex_v37 ")
    trace = replay(found.run_name)
    assert trace.violation is not None
    assert trace.violation.sentence == "the new body was called"


def test_a_null_pointer_is_a_violation_and_names_the_line() -> None:
    """Who follows a pointer that another task has cleared does what the kernel would: it oopses."""

    def body(k: Context) -> Kernel:
        vma = yield page.mapping
        yield vma.root

    b = Builder()
    page: Page = Page("nobody")
    b.task("reader", b.cpu(0, 0), b.mm(), body, "follows a null pointer")
    it = worlds.World("null", "", "", {}, {}, lambda: b)
    found = check(it, MUTEX).violations[0]
    assert found.kind == "null pointer"
    assert "body follows a null pointer to its root, at tests/test_build.py:" in found.sentence
