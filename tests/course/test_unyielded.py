"""A yield that a reader's function has forgotten is named as that, and not as a misconception."""

from __future__ import annotations

from typing import Any

import pytest

from course import check
from course.unyielded import forgotten
from sim.kernel.interval_tree import anon_vma_interval_tree_iter_first as iter_first
from sim.kernel.interval_tree import anon_vma_interval_tree_iter_next as iter_next
from sim.kernel.rmap import page_referenced_one, vma_address
from sim.kernel.tlb import flush_tlb_page
from tests.course.answers import BAD, GOOD


def forgets_yield_from(k: Any, vma: Any, address: int, pte: Any) -> Any:
    """A flush that is named and never run."""
    old = yield pte.xchg(None)
    flush_tlb_page(k, vma, address)
    return old


def forgets_yield(k: Any, vma: Any, address: int, pte: Any) -> Any:
    """A step that is named and never taken."""
    old = pte.xchg(None)
    yield from flush_tlb_page(k, vma, address)
    return old


def forgets_yield_at_a_store(k: Any, vma: Any, address: int, pte: Any) -> Any:
    """A store that is named and never made, in a line of its own."""
    old = yield pte
    pte.set(None)
    yield from flush_tlb_page(k, vma, address)
    return old


def asks_a_field(k: Any, vma: Any, address: int, pte: Any) -> Any:
    """A field is asked in place of what stands in it."""
    if not vma.vm_start or pte.xchg(None):
        yield from flush_tlb_page(k, vma, address)
    return None


def goes_through_a_field(k: Any, vma: Any, address: int, pte: Any) -> Any:
    """A field of a field, of which the first is no answer yet."""
    old = yield pte.xchg(None)
    yield from flush_tlb_page(k, vma.vm_mm.cpu_vm_mask, address)
    return old


def forgets_return(k: Any, vma: Any, address: int, pte: Any) -> Any:
    """The right steps, and no answer."""
    yield pte.xchg(None)
    yield from flush_tlb_page(k, vma, address)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (forgets_yield_from, "'flush_tlb_page(k, vma, address)' stands without yield from"),
        (forgets_yield, "'old = pte.xchg(None)' stands without yield:"),
        (forgets_yield_at_a_store, "'pte.set(None)' stands without yield:"),
        (asks_a_field, "'vma.vm_start' is asked without yield:"),
        (goes_through_a_field, "'vma.vm_mm.cpu_vm_mask' goes through 'vma.vm_mm' without yield:"),
        (forgets_return, "It returns nothing"),
    ],
)
def test_a_forgotten_yield_is_named_and_not_a_misconception(function: Any, said: str) -> None:
    """A slip in Python is told as one, before what it leads to; the kernel's line that then fails is no answer."""
    report = check("L01.4", function)
    assert said in report.findings[0].text
    assert not report.ok
    assert report.tags == ()


@pytest.mark.parametrize("name", ["L01.4", "L02.5", "L03.6"])
def test_a_wrong_thought_is_no_forgotten_yield(name: str) -> None:
    """The solutions, and the wrong answers that name a misconception, forget no yield."""
    wrong = [answer for it, answer, tags in BAD if it == name and tags]
    assert len(wrong) > 1
    assert [forgotten(it, value=True) for it in (GOOD[name], *wrong)] == [""] * (len(wrong) + 1)


def test_a_call_that_is_not_delegated_is_named_in_a_walk() -> None:
    """A walk that tests a generator in place of its answer takes every VMA for one that maps the page."""

    def ptes_of(k: Any, page: Any) -> Any:
        index = yield page.index
        avc = yield from iter_first(k, (yield page.mapping), index, index)
        found = []
        while avc:
            vma = yield avc.vma
            address = yield from vma_address(k, index, vma)
            if page_referenced_one(k, page, vma, address):
                found.append(((yield vma.vm_mm), address))
            avc = yield from iter_next(k, avc, index, index)
        return found

    report = check("L02.5", ptes_of)
    assert "page_referenced_one(k, page, vma, address)' stands without yield from" in repr(report)
    assert report.tags == ()


def without_a_yield(k: Any, vma: Any, address: int, pte: Any) -> Any:
    """Begun, and no generator."""
    return flush_tlb_page(k, vma, address)


def says_so(k: Any, vma: Any, address: int, pte: Any) -> Any:
    """Begun, and no step in it."""
    return None if address else pte


def untouched(k: Any, vma: Any, address: int, pte: Any) -> Any:
    """Not begun."""


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (without_a_yield, "'flush_tlb_page(k, vma, address)' stands without yield from"),
        (says_so, "'says_so' has no yield, so it makes no step."),
        (untouched, "not answered yet"),
    ],
)
def test_a_function_that_makes_no_step_is_not_told_as_unanswered(function: Any, said: str) -> None:
    """Only one in which nothing stands is."""
    report = check("L01.4", function)
    assert said in repr(report)
    assert not report.ok
