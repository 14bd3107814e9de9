"""A walk of the interval tree finds what it must, in order, and stumbles as the kernel's does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.invariants import Violation
from sim.kernel.interval_tree import (
    anon_vma_interval_tree_insert,
    anon_vma_interval_tree_iter_first,
    anon_vma_interval_tree_iter_next,
    anon_vma_interval_tree_remove,
)
from sim.structs import AnonVma, AnonVmaChain, Vma

ANON_VMA = AnonVma("A")


def tree(it: Any, intervals: list[tuple[int, int]]) -> list[AnonVmaChain]:
    """Insert a link for each (start, length), in this order."""
    nodes = []
    for number, (start, length) in enumerate(intervals):
        vma = it.set(Vma(f"v{number}"), vm_start=start + 1000, vm_end=start + 1000 + length, vm_pgoff=start)
        node = it.set(AnonVmaChain(f"avc{number}"), vma=vma, anon_vma=ANON_VMA)
        it.call(anon_vma_interval_tree_insert(it.k, node, ANON_VMA))
        nodes.append(node)
    return nodes


def walk(it: Any, start: int, last: int) -> list[AnonVmaChain]:
    found = []
    node = it.call(anon_vma_interval_tree_iter_first(it.k, ANON_VMA, start, last))
    while node is not None:
        found.append(node)
        node = it.call(anon_vma_interval_tree_iter_next(it.k, node, start, last))
    return found


@settings(max_examples=300, deadline=None)
@given(
    intervals=st.lists(st.tuples(st.integers(0, 20), st.integers(1, 8)), max_size=20),
    erased=st.sets(st.integers(0, 19)),
    start=st.integers(0, 30),
    length=st.integers(1, 4),
)
def test_a_walk_meets_every_overlapping_vma_once_and_in_order(
    alone: Any, intervals: list[tuple[int, int]], erased: set[int], start: int, length: int
) -> None:
    """The same as looking at all of them; equal starts in order of insertion."""
    it = alone()
    nodes = tree(it, intervals)
    kept = [number for number in range(len(nodes)) if number not in erased]
    for number in set(range(len(nodes))) - {*kept}:
        it.call(anon_vma_interval_tree_remove(it.k, nodes[number], ANON_VMA))
    last = start + length - 1
    ends = {number: sum(intervals[number]) - 1 for number in kept}
    hits = [(intervals[number][0], number) for number in kept if intervals[number][0] <= last and start <= ends[number]]
    assert walk(it, start, last) == [nodes[number] for _, number in sorted(hits)]


def test_a_child_is_met_after_its_parent(alone: Any) -> None:
    """Equal keys go to the right: what a fork inserts later is visited later, which hazard H10 rests on."""
    it = alone()
    parent, child, grandchild = tree(it, [(0, 4)] * 3)
    assert walk(it, 2, 2) == [parent, child, grandchild]


def test_an_empty_tree_has_no_first(alone: Any) -> None:
    assert walk(alone(), 0, 100) == []


def test_a_walk_whose_cursor_was_erased_ends_early(alone: Any) -> None:
    """The cursor is a pointer: after the only other node is moved away, the old one leads nowhere (hazard H2)."""
    it = alone()
    first, second = tree(it, [(0, 4), (0, 4)])
    assert it.call(anon_vma_interval_tree_iter_first(it.k, ANON_VMA, 1, 1)) is first
    it.call(anon_vma_interval_tree_remove(it.k, second, ANON_VMA))
    assert it.call(anon_vma_interval_tree_iter_next(it.k, first, 1, 1)) is None
    it.call(anon_vma_interval_tree_insert(it.k, second, ANON_VMA))
    assert it.call(anon_vma_interval_tree_iter_next(it.k, first, 1, 1)) is second


def test_a_walk_over_a_freed_link_is_a_use_after_free(alone: Any) -> None:
    it = alone()
    first, _ = tree(it, [(0, 4), (0, 4)])
    it.memory[first.life] = True
    with pytest.raises(Violation, match="use after free"):
        it.call(anon_vma_interval_tree_iter_next(it.k, first, 1, 1))


def test_a_walk_can_meet_a_vma_half_moved(alone: Any) -> None:
    """vm_start has grown down and vm_pgoff has not: the interval reaches further than either before or after."""
    it = alone()
    (node,) = tree(it, [(10, 1)])
    vma = it.get(node.vma)
    assert walk(it, 12, 12) == []
    it.set(vma, vm_start=it.get(vma.vm_start) - 2)
    it.set(node, rb_subtree_last=12)
    assert walk(it, 12, 12) == [node]
