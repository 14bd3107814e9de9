"""Fork, munmap and mremap of a huge page: mapcounts and frames come out right, whole, in part, and beside a split."""

from __future__ import annotations

from typing import Any

import pytest

from sim import invariants
from sim.engines.checker import check
from sim.kernel.fork import do_fork, mmput
from sim.kernel.huge_memory import __split_huge_page_pmd as split_huge_page_pmd
from sim.kernel.madvise import sys_madvise
from sim.kernel.mmap import sys_munmap
from sim.kernel.mremap import sys_mremap
from sim.ops import Alloc, Free, Invlpg, Write
from sim.setup import Builder
from sim.structs import PTRS_PER_PTE, Mm, Page, PageTable, Pmd, Pte
from sim.user import user_read, user_write

P, C, PT = Mm("P"), Mm("C"), PageTable("pt0")
F0, F1 = Page("f0"), Page("f0.1")
HERE, THERE = PTRS_PER_PTE, 4 * PTRS_PER_PTE


@pytest.fixture
def it(alone: Any) -> Any:
    """P with a huge page of two, written once."""
    b = Builder()
    b.huge_page(b.vma(b.mm(), "heap", 0, PTRS_PER_PTE), 0, 2, node=0, written=1)
    b.memory[P.used_of_512] = 2
    return alone(b.memory)


def counts(it: Any, *pages: Page) -> list[tuple[int, int]]:
    """(references, mappings) of each page."""
    return [(it.get(page._count), it.get(page._mapcount) + 1) for page in pages]


def owner(bench: Any) -> Any:
    """P with a huge page of two, written once, and no task."""
    b = bench()
    b.memory |= {b.heap.vm_end: PTRS_PER_PTE, P.used_of_512: 2}
    b.huge_page(b.heap, 0, 2, node=0, written=1)
    return b


def family(bench: Any) -> Any:
    """P and its child C share a huge page of two, which C splits."""
    b = owner(bench)
    b.fork(b.p, "C")
    b.spawn("splits", lambda k: split_huge_page_pmd(k, C, C.pmd[0]), cpu=1, mm=C)
    return b


def waits_for_the_split(b: Any, run: Any, name: str) -> None:
    """C is stopped once P's PMD is marked; the task *name* ends only after the split has."""
    run.only("splits", until=lambda event: getattr(run[P.pmd[0]], "splitting", False))
    run.only(name)
    assert name not in b.results
    run.only("splits")
    run.only(name)
    assert run.all() is None


# --- fork ----------------------------------------------------------------------------------------------------------


def test_a_fork_shares_the_huge_page_and_puts_a_page_table_by_for_the_child(it: Any) -> None:
    """Neither may write: one reference and one mapping more, on the head only."""
    child = it.call(do_fork(it.k))
    assert it.get(P.pmd[0]) == it.get(child.pmd[0]) == Pmd("present", F0, False, True)
    assert counts(it, F0, F1) == [(2, 2), (0, 0)]
    assert [len(it.get(mm.pmd_huge_pte)) for mm in (P, child)] == [1, 1]
    assert invariants.at_end(it.memory) is None


def test_who_writes_after_the_fork_gets_a_copy_of_all(bench: Any) -> None:
    b = owner(bench)
    b.memory[P.hpage_nr] = 2

    def body(k: Any) -> Any:
        yield from do_fork(k)
        yield from user_write(k, 1)

    b.spawn("parent", body)
    run = b.start()
    assert run.all() is None
    copy = run[P.pmd[0]].page
    assert copy is not F0
    assert (run[F0._mapcount], run[copy._mapcount]) == (0, 0)


def test_a_fork_waits_for_a_split_and_copies_small_pages(bench: Any) -> None:
    """Nothing is put by for the child, and the page table that was got for that is given back."""
    b = family(bench)
    b.spawn("forks", do_fork)
    run = b.start()
    spare = run.only("forks", until=lambda event: isinstance(event.op, Alloc) and isinstance(event.answer, PageTable))
    waits_for_the_split(b, run, "forks")
    child = b.results["forks"]
    assert spare is not None
    assert (run[spare.answer.life], run[child.pmd_huge_pte]) == (True, ())
    assert [run[run[child.pmd[0]].pte[number]] for number in (0, 1)] == [
        Pte("present", it, False, True) for it in (F0, F1)
    ]
    assert [(run[it._count], run[it._mapcount]) for it in (F0, F1)] == [(3, 2), (3, 2)]


# --- munmap --------------------------------------------------------------------------------------------------------


def test_munmap_frees_the_huge_page_after_the_flush_and_what_was_put_by_before(it: Any) -> None:
    spare = it.get(P.pmd_huge_pte)[0]
    it.call(sys_munmap(it.k, 0, PTRS_PER_PTE))
    flush = next(number for number, op in enumerate(it.ops) if isinstance(op, Invlpg))
    freed = {op.ref: number for number, op in enumerate(it.ops) if isinstance(op, Free)}
    assert freed[spare] < flush < freed[F0]
    assert [it.get(page.life) for page in (F0, F1)] == [True, True]
    assert it.get(P.pmd[0]) is None
    assert invariants.at_end(it.memory) is None


@pytest.mark.parametrize(
    ("start", "pages", "left"), [(0, 1, [False, True]), (1, 1, [True, False]), (1, 511, [True, False])]
)
@pytest.mark.parametrize("call", [sys_munmap, sys_madvise])
def test_a_part_goes_after_a_split(it: Any, call: Any, start: int, pages: int, left: list[bool]) -> None:
    """The small page that stays has one reference and one mapping; a VMA is cut only where no huge page lies across."""
    it.call(call(it.k, start, pages))
    assert [not it.get(page.life) for page in (F0, F1)] == left
    stays = F0 if left[0] else F1
    assert counts(it, stays) == [(1, 1)]
    assert isinstance(it.get(P.pmd[0]), PageTable)
    assert it.get(P.pmd_huge_pte) == ()
    assert invariants.at_end(it.memory) is None


def test_a_vma_is_cut_after_the_huge_page_that_lies_across_was_split(it: Any) -> None:
    """By the time at which the bounds are stored there are small pages."""
    for op in it.steps(sys_munmap(it.k, 1, 1)):
        if isinstance(op, Write) and op.field.base in ("vm_start", "vm_end") and op.field.ref.name == "heap":
            assert isinstance(it.get(P.pmd[0]), PageTable)


def test_a_process_that_ends_gives_its_huge_page_back(it: Any) -> None:
    it.call(mmput(it.k, P))
    assert [it.get(page.life) for page in (F0, F1)] == [True, True]
    assert invariants.at_end(it.memory) is None


def test_munmap_waits_for_a_split_and_unmaps_small_pages(bench: Any) -> None:
    b = family(bench)
    b.spawn("unmaps", lambda k: sys_munmap(k, 0, PTRS_PER_PTE))
    run = b.start()
    waits_for_the_split(b, run, "unmaps")
    assert [(run[it._count], run[it._mapcount]) for it in (F0, F1)] == [(1, 0), (1, 0)]


# --- mremap --------------------------------------------------------------------------------------------------------


def moved(it: Any, old: int, length: int, new: int) -> Any:
    it.call(sys_mremap(it.k, old, length, new))
    assert invariants.at_end(it.memory) is None
    return it.get(P.pmd[new // PTRS_PER_PTE])


def test_mremap_moves_the_pmd_and_flushes_where_it_was(it: Any) -> None:
    """The frame, its counts and the page table that was put by stay as they are."""
    assert moved(it, 0, PTRS_PER_PTE, THERE) == Pmd("present", F0, True, True)
    assert it.get(P.pmd[0]) is None
    assert counts(it, F0) == [(1, 1)]
    assert len(it.get(P.pmd_huge_pte)) == 1
    assert it.points.count("tlb_flush") == 1
    assert it.get(P.shadow[THERE + 1]).number == 1


@pytest.mark.parametrize(("old", "length", "new"), [(0, PTRS_PER_PTE, THERE + 1), (0, 1, THERE), (1, 1, THERE)])
def test_what_is_no_whole_huge_page_at_both_places_is_split_and_moved(it: Any, old: int, length: int, new: int) -> None:
    table = moved(it, old, length, new)
    page = F1 if old else F0
    assert it.get(table.pte[new % PTRS_PER_PTE]) == Pte("present", page, True, True)
    assert counts(it, F0, F1) == [(1, 1), (1, 1)]


def test_the_data_is_read_at_the_new_place(bench: Any) -> None:
    b = owner(bench)

    def body(k: Any) -> Any:
        yield from user_read(k, 1)
        yield from sys_mremap(k, 0, PTRS_PER_PTE, THERE)
        yield from user_read(k, THERE + 1)

    b.spawn("owner", body)
    run = b.start()
    assert run.all() is None


def test_a_split_that_finds_a_moving_page_nowhere_is_stopped_by_the_kernel() -> None:
    """3.7 to 3.14: of two mappings it finds the child's; under the anon_vma lock it finds both."""
    found, fixed = (check(f"huge_page_remapped{form}", "mutex_v37") for form in ("", "~fixed"))
    assert found.violations[0].sentence == "a split of f0 finds 1 of its 2 mappings"
    assert (fixed.verdict, fixed.complete) == ("safe", True)
