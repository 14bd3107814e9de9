"""A huge page moves: whole as in 4.14, in pieces before, and by a NUMA fault as in 3.8; and what that costs."""

from __future__ import annotations

from typing import Any

import pytest

from sim.engines import timed
from sim.engines.checker import check
from sim.errors import BadParameter
from sim.kernel.mempolicy import change_prot_numa, do_mbind, do_migrate_pages
from sim.kernel.migrate import sys_move_pages
from sim.ops import CopyPage
from sim.structs import PTRS_PER_PTE, Mm, Page, PageTable, Pmd, Vma
from sim.user import user_read, user_write
from sim.worlds import WORLDS

HEAP, P, PT = Vma("heap"), Mm("P"), PageTable("pt0")
F0, F1 = Page("f0"), Page("f0.1")


def huge_bench(bench: Any, child: bool = False) -> Any:
    """P with a huge page of two, written once; C, its child, has it too."""
    b = bench()
    b.memory[b.heap.vm_end] = PTRS_PER_PTE
    b.huge_page(b.heap, 0, 2, node=0, written=1)
    if child:
        b.fork(b.p, "C")
    return b


def moving(bench: Any, variant: str, *, child: bool = False, pins: int = 0, pages: int = 2) -> Any:
    """A run in which P's huge page is asked to move to node 1, each of its small pages by name."""
    b = bench()
    b.memory[b.heap.vm_end] = PTRS_PER_PTE
    b.huge_page(b.heap, 0, pages, node=0, written=1, pins=pins)
    if child:
        b.fork(b.p, "C")
    b.spawn("mover", lambda k: sys_move_pages(k, k.mm, tuple(range(pages)), 1, 2))
    b.spawn("writer", lambda k: user_write(k, 1), cpu=1)
    return b.start(variant), b


def test_a_huge_page_moves_whole_since_4_14_with_two_locks_and_one_flush(bench: Any) -> None:
    """One entry is taken out and put back; every small page is copied; the old frames go together."""
    run, b = moving(bench, "thp_v414", pages=8)
    run.only("mover")
    pmd = run[P.pmd[0]]
    assert (pmd.kind, run[pmd.page.node], len(run[pmd.page.tails])) == ("present", 1, 7)
    assert (run.taken("rwsem"), run.points["tlb_flush"], run.ops(CopyPage)) == (2, 1, 8)
    assert (run.points["pte_visit_unmap"], run.points["pte_visit_remap"]) == (1, 1)
    assert (run[F0.life], run[Page("f0.7").life]) == (True, True)
    assert b.results["mover"] == 0
    assert run.all() is None


@pytest.mark.parametrize(("variant", "lock"), [("mutex_v37", "mutex"), ("rwsem_v38", "rwsem")])
def test_before_4_14_it_is_split_and_moves_in_pieces(bench: Any, variant: str, lock: str) -> None:
    """One lock and two flushes for the split, then two locks and a flush for each small page."""
    run, _ = moving(bench, variant, pages=8)
    run.only("mover")
    assert run[P.pmd[0]] is PT
    assert (run.taken(lock), run.points["tlb_flush"], run.ops(CopyPage)) == (1 + 2 * 8, 2 + 8, 8)
    assert run.all() is None


def test_a_fault_on_a_huge_page_that_is_on_its_way_waits_for_it(bench: Any) -> None:
    """Asleep with mmap_sem, until the page lock of the old page is given back."""
    run, _ = moving(bench, "thp_v414")
    run.only("mover", until=lambda it: isinstance(it.op, CopyPage))
    assert run[P.pmd[0]] == Pmd("migration", F0)
    run.only("writer")
    assert run.points["migration_entry_wait"] == 1
    run.only("mover")
    run.only("writer")
    assert run.violation is None
    assert run[run[run[P.pmd[0]].page.tails][0].data].number == 2


def test_a_shared_huge_page_moves_for_all_who_map_it(bench: Any) -> None:
    """One walk each way, one flush for each address space, and nobody may write who might not before."""
    run, _ = moving(bench, "thp_v414", child=True)
    run.only("mover")
    mine, its = run[P.pmd[0]], run[Mm("C").pmd[0]]
    assert mine.page is its.page
    assert (mine.write, its.write, run[mine.page._mapcount], run[mine.page._count]) == (False, False, 1, 2)
    assert (run.taken("rwsem"), run.points["tlb_flush"]) == (2, 2)


def test_a_pinned_huge_page_stays(bench: Any) -> None:
    """The count is too high; the undo walk maps it again, whole, and the new frames are freed."""
    run, b = moving(bench, "thp_v414", pins=1)
    run.only("mover")
    assert b.results["mover"] == 1
    assert run[P.pmd[0]] == Pmd("present", F0, True, False)
    assert (run[F0._count], run[F0._mapcount]) == (2, 0)
    assert run.all() is None


def far_fault(bench: Any, *, pins: int = 0, child: bool = False) -> Any:
    """A thread on node 1 faults on a huge page of node 0 that has a NUMA hint."""
    b = bench()
    b.memory[b.heap.vm_end] = PTRS_PER_PTE
    b.huge_page(b.heap, 0, 2, node=0, kind="prot_none", written=1, pins=pins)
    if child:
        b.fork(b.p, "C")
    b.spawn("far", lambda k: user_read(k, 1), cpu=1)
    b.spawn("near", lambda k: user_read(k, 0))
    return b.start("rwsem_v38"), b


def test_a_numa_fault_moves_a_huge_page_without_a_walk_or_a_flush(bench: Any) -> None:
    run, _ = far_fault(bench)
    run.only("far")
    pmd = run[P.pmd[0]]
    assert (pmd.kind, run[pmd.page.node], run[F0.life], run[F1.life]) == ("present", 1, True, True)
    assert (run.taken("rwsem"), run.points["tlb_flush"], run.ops(CopyPage)) == (0, 0, 2)
    assert run.all() is None


@pytest.mark.parametrize(("pins", "child"), [(1, False), (0, True)])
def test_a_huge_page_that_others_use_is_made_accessible_where_it_is(bench: Any, pins: int, child: bool) -> None:
    """A pin, or a second mapping: it stays, is unlocked and back on the LRU, and nobody faults again."""
    run, _ = far_fault(bench, pins=pins, child=child)
    run.only("far")
    assert (run[P.pmd[0]].kind, run[P.pmd[0]].page) == ("present", F0)
    assert (run[F0.PG_locked], run[F0.PG_lru], run[F0._count]) == (None, True, 1 + pins + child)
    assert run.points["fault"] == 1


def test_a_copy_of_a_huge_page_that_somebody_has_touched_is_thrown_away(bench: Any) -> None:
    """The near thread takes the hint away while the far one copies: the PMD is not what it was."""
    run, _ = far_fault(bench)
    run.only("far", until=lambda it: isinstance(it.op, CopyPage))
    run.only("near")
    run.only("far")
    assert (run[P.pmd[0]].page, run[F0.PG_locked], run[F0.PG_lru], run[F0._count]) == (F0, None, True, 1)
    assert run[Page("far.f1").life]
    assert run.all() is None


def test_marks_for_numa_hints_reach_a_huge_page_unless_it_is_shared(bench: Any) -> None:
    """One entry, one flush at the end of the range."""
    for child in (False, True):
        b = huge_bench(bench, child=child)
        b.spawn("scanner", lambda k: change_prot_numa(k, HEAP, 0, PTRS_PER_PTE))
        run = b.start()
        run.only("scanner")
        assert run[P.pmd[0]].kind == ("present" if child else "prot_none")
        assert run.points["tlb_flush"] == 1
        assert b.results["scanner"] == PTRS_PER_PTE


@pytest.mark.parametrize("call", [do_mbind, lambda k, start, end, node: do_migrate_pages(k, P, start, end, node)])
def test_mbind_and_migrate_pages_split_a_huge_page_first(bench: Any, call: Any) -> None:
    b = huge_bench(bench)
    b.spawn("mover", lambda k: call(k, 0, 2, 1))
    run = b.start()
    assert run.all() is None
    assert [run[run[PT.pte[number]].page.node] for number in (0, 1)] == [1, 1]


def test_a_fault_between_mark_and_flush_moves_a_huge_page_under_a_tlb_that_knows_it(bench: Any) -> None:
    """The writer goes on in the old frames, which are free: as 3.8 was.  A flush before the copy mends it."""
    found = check("numa_huge_window", "rwsem_v38")
    assert [it.kind for it in found.violations] == ["foreign frame"]
    assert check("numa_huge_window~fixed", "rwsem_v38").verdict == "safe"


def counts(world: str, variant: str, **params: int) -> Any:
    return timed.run(world, variant, **params).counts


def test_the_counts_of_2_mib_as_one_huge_page() -> None:
    """Two locks and one flush where it moves whole; where it is split first, 1,024 and 512 and the split's own."""
    whole = counts("move_pages", "thp_v414", huge_pages=1, spinners=3)
    assert (whole["anon_vma_locks"], whole["tlb_flushes"], whole["ipis_received"]) == (2, 1, 3)
    assert (whole["unmap_walks"], whole["remap_walks"], whole["page_copies"]) == (1, 1, 512)
    pieces = counts("move_pages", "mutex_v37", huge_pages=1, spinners=3)
    assert (pieces["anon_vma_locks"], pieces["tlb_flushes"], pieces["ipis_received"]) == (1025, 514, 1542)


def test_a_numa_benchmark_with_huge_pages_takes_no_lock_of_an_anon_vma() -> None:
    """One fault and 512 copies for each slice of 2 MiB."""
    its = counts("numa02", "rwsem_v38", huge=1, threads=3, nodes=3)
    assert (its["faults"], its["page_copies"], its["anon_vma_locks"], its["tlb_flushes"]) == (3, 3 * 512, 0, 0)


@pytest.mark.parametrize(
    ("world", "params", "says"),
    [
        (
            "move_pages",
            {"huge_pages": 1, "pinned": 2},
            r"pinned=2 is not allowed in move_pages: 0 to 1 \(huge_pages=1\)",
        ),
        ("move_pages", {"pinned": 5}, r"pinned=5 is not allowed in move_pages: 0 to 4 \(pages=4\)"),
        ("numa02", {"huge": 1, "pages": 1}, "pages=1 is not allowed in numa02 with huge=1"),
    ],
)
def test_what_cannot_be_huge_is_refused(world: str, params: dict[str, int], says: str) -> None:
    with pytest.raises(BadParameter, match=says):
        WORLDS[world].setup(params)
