"""Splitting and merging VMAs: who is in which tree, under which bounds, and when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sim import invariants
from sim.kernel.interval_tree import anon_vma_interval_tree_iter_first, anon_vma_interval_tree_iter_next
from sim.kernel.mmap import split_vma, vma_adjust, vma_merge
from sim.ops import Acquire, Free, Release, Write
from sim.setup import Builder
from sim.structs import VM_WRITE, AnonVma, AnonVmaChain, Vma

HEAP = Vma("heap")


@pytest.fixture
def it(alone: Any) -> Any:
    """P with a heap of the pages 10 to 19, every page of which has its offset as number."""
    b = Builder()
    b.vma(b.mm(), "heap", 10, 20)
    return alone(b.memory)


def bounds(it: Any, vma: Vma) -> tuple[int, int, int]:
    return it.get(vma.vm_start), it.get(vma.vm_end), it.get(vma.vm_pgoff)


def vmas(it: Any) -> list[tuple[int, int, int]]:
    """The bounds of the VMAs of P, in order."""
    return [bounds(it, vma) for vma in it.get(it.k.mm.mmap)]


def found(it: Any, pgoff: int, anon_vma: AnonVma) -> list[Vma]:
    """The VMAs that a walk for the page at *pgoff* visits."""

    def walk(k: Any) -> Any:
        avcs = []
        avc = yield from anon_vma_interval_tree_iter_first(k, anon_vma, pgoff, pgoff)
        while avc is not None:
            avcs.append(avc)
            avc = yield from anon_vma_interval_tree_iter_next(k, avc, pgoff, pgoff)
        return avcs

    return [it.get(avc.vma) for avc in it.call(walk(it.k))]


def tree(it: Any, top: AnonVmaChain | None) -> Iterator[AnonVmaChain]:
    """The links below *top*, from left to right."""
    if top is not None:
        yield from tree(it, it.get(top.rb_left))
        yield top
        yield from tree(it, it.get(top.rb_right))


def split(it: Any, at: int, *, below: bool) -> None:
    assert it.call(split_vma(it.k, it.k.mm, HEAP, at, below)) == 0


# --- splitting -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("below", [True, False])
def test_a_split_makes_two_vmas_with_the_offsets_that_the_pages_had(it: Any, below: bool) -> None:
    """Either part may be the new VMA; both hang on the one anon_vma, and nothing else changes."""
    split(it, 14, below=below)
    assert vmas(it) == [(10, 14, 10), (14, 20, 14)]
    assert bounds(it, HEAP) == ((14, 20, 14) if below else (10, 14, 10))
    anon_vma = it.get(HEAP.anon_vma)
    for vma in it.get(it.k.mm.mmap):
        assert it.get(vma.anon_vma) is anon_vma
        assert it.get(vma.vm_flags) == VM_WRITE
        assert len(it.get(vma.anon_vma_chain)) == 1
    assert it.get(anon_vma.refcount) == 1
    assert [found(it, pgoff, anon_vma) for pgoff in (10, 13, 14, 19)] == [
        [vma] for vma in [it.get(it.k.mm.mmap)[0]] * 2 + [it.get(it.k.mm.mmap)[1]] * 2
    ]
    assert invariants.at_end(it.memory) is None


def test_while_a_vma_is_split_two_links_stand_for_its_pages_then_one_is_gone(it: Any) -> None:
    """First the new piece is linked, under bounds that the old VMA still has too; then the old one leaves its tree."""
    root = it.get(HEAP.anon_vma).rb_root
    seen = [
        [it.get(avc.vma) is HEAP for avc in tree(it, it.get(root))]
        for op in it.steps(split_vma(it.k, it.k.mm, HEAP, 14, True))
        if isinstance(op, Write) and op.field.base in {"rb_root", "vm_start", "rb_left", "rb_right", "rb_parent"}
    ]
    assert [True, False] in seen, "both are in the tree"
    assert [False] in seen, "the old VMA is in no tree"
    assert sorted(seen[-1]) == [False, True]


def test_the_bounds_change_while_the_vma_is_in_no_tree_and_the_lock_is_held(it: Any) -> None:
    anon_vma = it.get(HEAP.anon_vma)
    stores = []
    for op in it.steps(split_vma(it.k, it.k.mm, HEAP, 14, True)):
        if isinstance(op, Write) and op.field.ref is HEAP and op.field.base.startswith("vm_"):
            stores.append(op.field.base)
            assert it.get(anon_vma.mutex) is it.k.current
            assert HEAP not in [it.get(avc.vma) for avc in tree(it, it.get(anon_vma.rb_root))]
    assert stores == ["vm_start", "vm_end", "vm_pgoff"]
    assert it.get(anon_vma.mutex) is None


def test_a_child_s_vma_leaves_both_trees_and_comes_back_to_both(alone: Any) -> None:
    """Erased from all trees before the first store: its own anon_vma's, and its parent's."""
    b = Builder()
    parent = b.mm()
    b.vma(parent, "heap", 10, 20)
    b.fork(parent, "C")
    it, child = alone(b.memory, mm="C"), Vma("heap_C")
    it.call(split_vma(it.k, it.k.mm, child, 14, True))
    below = it.get(it.k.mm.mmap)[0]
    for anon_vma in (AnonVma("A_heap"), AnonVma("A_heap_C")):
        assert found(it, 15, anon_vma)[-1] is child
        assert found(it, 12, anon_vma)[-1] is below
    assert found(it, 12, AnonVma("A_heap")) == [HEAP, below]
    assert invariants.at_end(it.memory) is None


def test_a_vma_that_nobody_has_touched_is_split_without_a_lock(it: Any) -> None:
    it.set(HEAP, anon_vma=None, anon_vma_chain=())
    split(it, 14, below=False)
    assert vmas(it) == [(10, 14, 10), (14, 20, 14)]
    assert not [op for op in it.ops if isinstance(op, Acquire)]


# --- the next VMA gives, takes, or vanishes --------------------------------------------------------------


@pytest.fixture
def three(it: Any) -> Any:
    """The same heap in three VMAs: heap [10, 14), then [14, 17) and [17, 20)."""
    split(it, 14, below=False)
    it.call(split_vma(it.k, it.k.mm, it.get(it.k.mm.mmap)[1], 17, False))
    assert vmas(it) == [(10, 14, 10), (14, 17, 14), (17, 20, 17)]
    return it


@pytest.mark.parametrize(
    ("end", "after"),
    [
        (13, [(10, 13, 10), (13, 17, 13), (17, 20, 17)]),
        (15, [(10, 15, 10), (15, 17, 15), (17, 20, 17)]),
        (17, [(10, 17, 10), (17, 20, 17)]),
        (20, [(10, 20, 10)]),
    ],
)
def test_what_the_next_vma_becomes(three: Any, end: int, after: list[Any]) -> None:
    """It takes what this one leaves, gives what this one takes, or vanishes; perhaps with the one after."""
    anon_vma = three.get(HEAP.anon_vma)
    before = three.get(three.k.mm.mmap)
    three.call(vma_adjust(three.k, HEAP, 10, end, 10, None))
    assert vmas(three) == after
    assert sum(isinstance(op, Free) and isinstance(op.ref, Vma) for op in three.ops) == 3 - len(after)
    for pgoff in range(10, 20):
        (vma,) = found(three, pgoff, anon_vma)
        assert three.get(vma.vm_start) <= pgoff < three.get(vma.vm_end)
    left = three.get(three.k.mm.mmap)
    assert [three.get(vma.life) for vma in before] == [vma not in left for vma in before]
    assert invariants.at_end(three.memory) is None


def test_a_swallowed_vma_is_unlinked_after_the_lock_was_dropped(three: Any) -> None:
    """The lock is taken twice; in between the swallowed VMA is in no list and still in its tree."""
    anon_vma, gone = three.get(HEAP.anon_vma), three.get(three.k.mm.mmap)[1]
    between = []
    for op in three.steps(vma_adjust(three.k, HEAP, 10, 17, 10, None)):
        if isinstance(op, Acquire):
            between.append(gone in [three.get(avc.vma) for avc in tree(three, three.get(anon_vma.rb_root))])
            listed = gone in three.get(three.k.mm.mmap)
            assert listed is (len(between) == 1)
    assert between == [True, True]


def test_who_gains_pages_gains_their_anon_vma(it: Any) -> None:
    """A VMA without one that grows over another's pages is linked first."""
    new = it.set(Vma("new"), vm_mm=it.k.mm, vm_start=6, vm_end=10, vm_pgoff=6, vm_flags=VM_WRITE)
    it.set(it.k.mm, mmap=(new, HEAP))
    it.call(vma_adjust(it.k, new, 6, 12, 6, None))
    assert vmas(it) == [(6, 12, 6), (12, 20, 12)]
    assert it.get(new.anon_vma) is it.get(HEAP.anon_vma)
    assert found(it, 11, it.get(new.anon_vma)) == [new]


# --- merging ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prev", "addr", "end", "after"),
    [
        (0, 14, 16, [(10, 16, 10), (16, 17, 16), (17, 20, 17)]),
        (0, 14, 17, [(10, 20, 10)]),
        (1, 16, 17, [(10, 14, 10), (14, 16, 14), (16, 20, 16)]),
        (1, 15, 16, None),
    ],
    ids=["case 5", "case 6", "case 4", "in the middle"],
)
def test_a_range_that_is_to_get_its_neighbours_flags_joins_them(
    three: Any, prev: int, addr: int, end: int, after: list[Any] | None
) -> None:
    """The cases of mprotect; the flags asked for are those of the neighbours, the middle VMA has none yet."""
    low, middle, high = three.get(three.k.mm.mmap)
    three.set(middle, vm_flags=0)
    before = vmas(three)
    merge = vma_merge(three.k, three.k.mm, (low, middle)[prev], addr, end, VM_WRITE, three.get(low.anon_vma), addr)
    merged = three.call(merge)
    assert vmas(three) == (after or before)
    if after is None:
        assert merged is None
    else:
        assert three.get(merged.vm_start) <= addr < end <= three.get(merged.vm_end)
        assert three.get(merged.vm_flags) == VM_WRITE
    assert three.get(high.life) is (after is not None and len(after) == 1)


@pytest.mark.parametrize("spoil", ["flags", "offset", "anon_vma"])
def test_vmas_that_differ_are_not_merged(three: Any, spoil: str) -> None:
    """Other rights, another offset, other pages."""
    low, *_ = three.get(three.k.mm.mmap)
    three.set(three.k.mm, mmap=(low,))
    anon_vma = AnonVma("other") if spoil == "anon_vma" else three.get(low.anon_vma)
    flags = 0 if spoil == "flags" else VM_WRITE
    pgoff = 15 if spoil == "offset" else 14
    assert three.call(vma_merge(three.k, three.k.mm, low, 14, 17, flags, anon_vma, pgoff)) is None
    assert bounds(three, low) == (10, 14, 10)


# --- and a walk ------------------------------------------------------------------------------------------


def test_a_walk_in_the_middle_of_a_split_visits_a_pte_twice_and_does_no_harm(bench: Any) -> None:
    """Both links cover the page: the second visit finds it moved already."""
    b = bench()
    page = b.page(b.heap, 3, node=0, written=1)
    b.migrator(page)
    b.spawn("splitter", lambda k: split_vma(k, b.p, b.heap, 4, True), cpu=1)
    run = b.start()
    run.only("splitter", until=lambda it: isinstance(it.op, Release))  # the new piece is linked
    run.only("migrator")
    assert run.points["pte_visit_remap"] == 2
    assert b.results["migrator"] == 0
    assert run.all() is None
