"""Huge pages: first touch, copy on write, split; and the collapse of khugepaged, which hides a page table."""

from __future__ import annotations

from typing import Any

import pytest

from sim import invariants, variants
from sim.engines.checker import check
from sim.kernel.huge_memory import __split_huge_page_pmd as split_huge_page_pmd
from sim.kernel.huge_memory import collapse_huge_page
from sim.kernel.memory import FOLL_GET, FOLL_SPLIT, follow_page
from sim.kernel.swap import put_page
from sim.ops import Invlpg, SendIpi, TryAcquire
from sim.setup import Builder
from sim.structs import (
    PTRS_PER_PTE,
    VM_GROWSDOWN,
    VM_STACK_INCOMPLETE_SETUP,
    VM_WRITE,
    Mm,
    Page,
    PageTable,
    Pmd,
    Pte,
    Task,
    Vma,
)
from sim.user import user_read, user_write

HEAP, P, PT = Vma("heap"), Mm("P"), PageTable("pt0")


@pytest.fixture
def it(alone: Any) -> Any:
    """P with a heap of 2 MiB whose pages 1 and 2 are written."""
    b = Builder()
    heap = b.vma(b.mm(), "heap", 0, PTRS_PER_PTE)
    for vpn in (1, 2):
        b.page(heap, vpn, node=0, written=1)
    return alone(b.memory)


def test_the_page_table_is_hidden_only_under_both_locks_and_comes_back(it: Any) -> None:
    """A walk is kept out by the anon_vma lock, a fault by mmap_sem."""
    mutex = it.get(HEAP.anon_vma).mutex
    hidden = 0
    for _ in it.steps(collapse_huge_page(it.k, P, 0, 4)):
        if it.get(P.pmd[0]) is None:
            hidden += 1
            assert it.get(mutex) is it.k.current
            assert it.get(P.mmap_sem).writer is it.k.current
    assert hidden > 10
    assert it.get(P.pmd[0]) is PT
    assert invariants.at_end(it.memory) is None


def test_pages_are_locked_and_isolated_and_given_back(it: Any) -> None:
    it.call(collapse_huge_page(it.k, P, 0, 4))
    tried = [op.lock.ref for op in it.ops if isinstance(op, TryAcquire)]
    assert tried == [Page("f0"), Page("f1")]
    for page in tried:
        assert (it.get(page.PG_locked), it.get(page.PG_lru), it.get(page._count)) == (None, True, 1)


def test_512_ptes_are_looked_at_unless_told_otherwise(it: Any) -> None:
    it.call(collapse_huge_page(it.k, P, 0))
    assert len({op for op in it.ops if getattr(op, "base", "") == "pte"}) == PTRS_PER_PTE


def migrating(it: Any) -> None:
    it.memory[PT.pte[1]] = Pte("migration", it.set(Page("moving"), PG_locked=Task("mover")))


def read_only(it: Any) -> None:
    it.memory[PT.pte[1]] = it.get(PT.pte[1])._replace(write=False)


def pinned(it: Any) -> None:
    it.set(Page("f0"), _count=2)


def locked(it: Any) -> None:
    it.set(Page("f0"), PG_locked=Task("somebody"))


def isolated(it: Any) -> None:
    it.set(Page("f0"), PG_lru=False)


@pytest.mark.parametrize("spoil", [migrating, read_only, pinned, locked, isolated])
def test_a_page_that_cannot_be_had_ends_it(it: Any, spoil: Any) -> None:
    """The next one is not looked at, nothing is kept, and the page table is back."""
    spoil(it)
    before = {field: it.get(field) for field in (Page("f0").PG_locked, Page("f0").PG_lru, Page("f0")._count)}
    it.call(collapse_huge_page(it.k, P, 0, 4))
    assert PT.pte[2] not in it.ops
    assert {field: it.get(field) for field in before} == before
    assert it.get(P.pmd[0]) is PT


@pytest.mark.parametrize("why", ["too short", "never touched", "temporary stack", "no page table", "nothing"])
def test_what_cannot_become_huge_is_not_hidden(it: Any, why: str) -> None:
    """Only mmap_sem is taken and given back."""
    if why == "too short":
        it.set(HEAP, vm_end=PTRS_PER_PTE - 1)
    elif why == "never touched":
        it.set(HEAP, anon_vma=None)
    elif why == "temporary stack":
        it.set(HEAP, vm_flags=VM_WRITE | VM_GROWSDOWN | VM_STACK_INCOMPLETE_SETUP)
    elif why == "no page table":
        it.memory[P.pmd[0]] = None
    else:
        it.set(P, mmap=())
    before = it.get(P.pmd[0])
    for _ in it.steps(collapse_huge_page(it.k, P, 0, 4)):
        assert it.get(P.pmd[0]) is before
    assert it.get(P.mmap_sem).writer is None


def test_every_tlb_has_dropped_the_pages_before_they_are_looked_at(bench: Any) -> None:
    """One interrupt a CPU for the whole 2 MiB."""
    b = bench()
    b.memory[b.heap.vm_end] = PTRS_PER_PTE
    b.page(b.heap, 0, node=0, written=1)
    b.spawn("khugepaged", lambda k: collapse_huge_page(k, b.p, 0, 1), mm=b.mm("K"))
    b.spawn("owner", lambda k: user_write(k, 0), cpu=1)
    run = b.start()
    run.only("owner")
    run.only("khugepaged", until=lambda it: it.op is PT.pte[0])
    assert run[b.cpu1.tlb[b.p, 0]] is None
    assert run.ops(SendIpi) == 1
    assert run.all() is None


# --- huge pages ----------------------------------------------------------------------------------------------------

F0, F1 = Page("f0"), Page("f0.1")


def huge_bench(bench: Any, child: bool = False) -> Any:
    """P with a huge page of two, written once; C, its child, has it too."""
    b = bench()
    b.memory[b.heap.vm_end] = PTRS_PER_PTE
    b.memory[b.p.hpage_nr] = 2
    b.huge_page(b.heap, 0, 2, node=0, written=1)
    if child:
        b.fork(b.p, "C")
    return b


def split(b: Any, mm: str = "P", cpu: int = 0) -> None:
    """A task that splits the huge page as *mm* maps it."""
    b.spawn(f"splits {mm}", lambda k: split_huge_page_pmd(k, Mm(mm), Mm(mm).pmd[0]), cpu=cpu, mm=Mm(mm))


def test_the_first_touch_maps_a_huge_page_and_puts_a_page_table_by(bench: Any) -> None:
    """One fault for all its pages, on the node that touches first; the page table is for a later split."""
    b = bench()
    b.memory[b.heap.vm_end] = PTRS_PER_PTE
    b.memory[b.p.hpage_nr] = 4

    def body(k: Any) -> Any:
        for vpn in (2, 0, 3, 1):
            yield from user_write(k, vpn)

    b.spawn("worker", body, cpu=1)
    run = b.start()
    assert run.all() is None
    pmd = run[P.pmd[0]]
    assert (pmd.kind, pmd.write, pmd.dirty, pmd.splitting) == ("present", True, True, False)
    assert run[pmd.page.node] == 1
    assert [run[it.data].vpn for it in (pmd.page, *run[pmd.page.tails])] == [0, 1, 2, 3]
    assert run.points["fault"] == 1
    assert run.points["clear_page"] == 4
    assert len(run[P.pmd_huge_pte]) == 1


def test_a_vma_without_room_for_a_huge_page_gets_small_ones(bench: Any) -> None:
    b = bench()
    b.memory[b.p.hpage_nr] = 2
    b.spawn("worker", lambda k: user_write(k, 0))
    run = b.start()
    assert run.all() is None
    assert isinstance(run[P.pmd[0]], PageTable)


def test_of_two_first_touches_one_gives_its_huge_page_back(bench: Any) -> None:
    """Both have allocated before either looks again under page_table_lock."""
    b = bench()
    b.memory[b.heap.vm_end] = PTRS_PER_PTE
    b.memory[b.p.hpage_nr] = 2
    b.spawn("one", lambda k: user_write(k, 0), cpu=0)
    b.spawn("two", lambda k: user_write(k, 1), cpu=1)
    run = b.start()
    run.only("one", until=lambda it: it.op == P.page_table_lock or "clear_page" in it.points)
    run.only("two")
    run.only("one")
    assert run.violation is None
    assert run[P.pmd[0]].page is Page("two.f1")
    assert (run[Page("one.f1").life], run[Page("one.f1.1").life], run[PageTable("one.pt2").life]) == (True, True, True)


def test_a_split_leaves_small_pages_with_the_counts_and_the_data_of_before(bench: Any) -> None:
    """Each tail has its own reference, mapping, anon_vma and offset; the head keeps its own."""
    b = huge_bench(bench)
    split(b)
    run = b.start()
    assert run.all() is None
    assert run[P.pmd[0]] is PT
    assert [run[PT.pte[number]] for number in (0, 1)] == [Pte("present", it, True, True) for it in (F0, F1)]
    for number, page in enumerate((F0, F1)):
        assert (run[page._count], run[page._mapcount], run[page.PG_lru]) == (1, 0, True)
        assert (run[page.mapping], run[page.index]) == (run[HEAP.anon_vma], number)
        assert run[page.data].vpn == number
    assert (run[F0.PG_head], run[F1.first_page], run[P.pmd_huge_pte]) == (False, None, ())


@pytest.mark.parametrize("variant", ["mutex_v37", "rwsem_v38"])
def test_a_split_reaches_every_relative_and_costs_one_lock_and_two_flushes_each(bench: Any, variant: str) -> None:
    """The PMD stays present while it is marked; it is closed only for the moment in which it is replaced."""
    b = huge_bench(bench, child=True)
    split(b)
    run = b.start(variant)
    kinds = set()
    while run.only("splits P", until=lambda it: True):
        kinds.add(getattr(run[Mm("C").pmd[0]], "kind", "page table"))
    assert run.violation is None
    assert kinds == {"present", "not_present", "page table"}
    assert run[Mm("C").pmd[0]] is PageTable("pt_C0")
    assert [(run[it._count], run[it._mapcount]) for it in (F0, F1)] == [(2, 1), (2, 1)]
    assert not run[PageTable("pt_C0").pte[1]].write
    assert run.points["tlb_flush"] == 4
    name = "mutex" if variant == "mutex_v37" else "rwsem"
    assert run.taken(name) == 1


def test_user_code_goes_on_while_a_huge_page_is_being_split(bench: Any) -> None:
    """A TLB that knew it loses it before the page table takes the place of the PMD, and never knows both."""
    b = huge_bench(bench)
    split(b)

    def body(k: Any) -> Any:
        yield from user_write(k, 1)
        yield from user_write(k, 0)
        yield from user_write(k, 1)

    b.spawn("worker", body, cpu=1)
    run = b.start()
    run.only("worker", until=lambda it: it.answer is True)
    assert run[b.cpu1.tlb[P, 0]] is not None, "one entry for the whole huge page"
    run.only("splits P", until=lambda it: getattr(run[P.pmd[0]], "splitting", False))
    run.only("worker", until=lambda it: it.answer is True)
    run.only("splits P", until=lambda it: run[P.pmd[0]] is PT)
    assert run[b.cpu1.tlb[P, 0]] is None
    assert run.all() is None
    assert [run[it.data].number for it in (F0, F1)] == [2, 3]


def test_who_waits_at_a_closed_pmd_faults_until_the_page_table_is_there(bench: Any) -> None:
    b = huge_bench(bench)
    split(b)
    b.spawn("worker", lambda k: user_read(k, 1), cpu=1)
    run = b.start()
    run.only("splits P", until=lambda it: getattr(run[P.pmd[0]], "kind", "") == "not_present")
    answers = set()
    for _ in range(40):
        answers.add(run.only("worker", until=lambda it: True).answer)  # type: ignore[union-attr]
    assert "not_present" in answers
    run.only("splits P")
    assert run.all() is None


@pytest.mark.parametrize("variant", ["mutex_v37", "rwsem_v38"])
def test_the_second_of_two_splits_finds_small_pages_and_leaves_them_alone(bench: Any, variant: str) -> None:
    """It has its reference and asks for the lock while the first is at work."""
    b = huge_bench(bench, child=True)
    split(b)
    split(b, "C", cpu=1)
    run = b.start(variant)
    run.only("splits P", until=lambda it: getattr(run[P.pmd[0]], "splitting", False))
    run.only("splits C")
    assert run[F0._count] == 4
    run.only("splits P")
    run.only("splits C")
    assert run.violation is None
    assert run.points["tlb_flush"] == 4


def test_follow_page_gives_the_head_or_splits_as_it_is_told(alone: Any) -> None:
    b = Builder()
    heap = b.vma(b.mm(), "heap", 0, PTRS_PER_PTE)
    head = b.huge_page(heap, 0, 2, node=0, written=1)
    it = alone(b.memory)
    assert it.call(follow_page(it.k, heap, 1)) is head
    assert (it.get(head._count), it.get(head.PG_head)) == (2, True)
    it.memory[head._count] = 1
    assert it.call(follow_page(it.k, heap, 1, FOLL_GET | FOLL_SPLIT)) is F1
    assert (it.get(F1._count), it.get(head.PG_head), it.get(P.pmd[0])) == (2, False, PT)


def test_a_huge_page_that_is_being_split_is_waited_for(bench: Any) -> None:
    """Whoever looks for it takes the anon_vma lock, which the split holds, and then finds small pages."""
    b = huge_bench(bench)
    split(b)
    b.spawn("looks", lambda k: follow_page(k, b.heap, 1), cpu=1)
    run = b.start()
    run.only("splits P", until=lambda it: getattr(run[P.pmd[0]], "splitting", False))
    run.only("looks")
    assert "looks" not in b.results
    run.only("splits P")
    run.only("looks")
    assert b.results["looks"] is F1


def test_a_write_to_a_shared_huge_page_copies_it_whole(bench: Any) -> None:
    """The first who writes gets the copy; the other then has the page to himself."""
    b = huge_bench(bench, child=True)
    b.memory[Mm("C").hpage_nr] = 2
    b.spawn("parent", lambda k: user_write(k, 1))
    b.spawn("child", lambda k: user_write(k, 0), cpu=1, mm=Mm("C"))
    run = b.start()
    run.only("parent")
    copy = run[P.pmd[0]].page
    assert copy is not F0
    assert [run[it.data].number for it in (copy, *run[copy.tails])] == [1, 2]
    run.only("child")
    assert run[Mm("C").pmd[0]] == Pmd("present", F0, True, True)
    assert (run[F0._count], run[F0._mapcount], run[F0.data].number) == (1, 0, 2)
    assert run.violation is None


def test_the_last_reference_frees_a_huge_page_whole(alone: Any) -> None:
    b = Builder()
    head = b.huge_page(b.vma(b.mm(), "heap", 0, PTRS_PER_PTE), 0, 2, node=0)
    it = alone(b.memory)
    it.memory[P.pmd[0]] = None
    it.memory[head.present_ptes] = 0
    it.call(put_page(it.k, head))
    assert (it.get(head.life), it.get(F1.life)) == (True, True)


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        (F1._count, 1, "wrong refcount"),
        (F1._mapcount, 0, "wrong refcount"),
        (F0._mapcount, -1, "wrong mapcount"),
        (P.pmd_huge_pte, (), "leak"),
        (F0.index, 1, "broken tree"),
        (F1.data, None, "lost write"),
    ],
)
def test_a_final_state_with_a_wrong_huge_page_is_noticed(alone: Any, field: Any, value: Any, kind: str) -> None:
    b = Builder()
    b.huge_page(b.vma(b.mm(), "heap", 0, PTRS_PER_PTE), 0, 2, node=0, written=1)
    assert invariants.at_end(b.memory) is None
    b.memory[field] = value
    found = invariants.at_end(b.memory)
    assert found is not None
    assert found.kind == kind


def test_two_readers_who_split_one_huge_page_are_stopped_by_the_kernel(bench: Any) -> None:
    """3.8-rc1: each finds one of two mappings.  Where nobody compares the counts, they are wrong in the end."""
    stopped, wrong = (check(it, "rwsem_v38_rc1") for it in ("split_huge_page", "split_huge_page~no_bug_on"))
    assert (stopped.violations[0].kind, wrong.violations[0].kind) == ("kernel bug", "leak")
    assert stopped.violations[0].sentence == "a split of f0 finds 1 of its 2 mappings"
    assert variants.find("rwsem_v38_rc1").base == "rwsem_v38"


def test_a_huge_page_of_512_is_split_like_one_of_two(bench: Any) -> None:
    b = bench()
    b.memory[b.heap.vm_end] = PTRS_PER_PTE
    b.huge_page(b.heap, 0, PTRS_PER_PTE, node=0, written=1)
    split(b)
    run = b.start()
    assert run.all() is None
    assert run[PT.pte[511]] == Pte("present", Page("f0.511"), True, True)
    assert run[Page("f0.511").index] == 511
    assert run.ops(Invlpg) == 2
