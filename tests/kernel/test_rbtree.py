"""The red-black tree keeps its properties, and shows its insides to whoever looks without the lock."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.kernel import rbtree
from sim.kernel.interval_tree import anon_vma_interval_tree_insert, anon_vma_interval_tree_remove
from sim.ops import Write
from sim.structs import AnonVma, AnonVmaChain, Vma

ANON_VMA = AnonVma("A")


def new_node(it: Any, number: int, start: int, length: int) -> AnonVmaChain:
    """A link to a VMA of its own, with the page offsets [start, start + length)."""
    vma = it.set(Vma(f"v{number}"), vm_start=start + 1000, vm_end=start + 1000 + length, vm_pgoff=start)
    return it.set(AnonVmaChain(f"avc{number}"), vma=vma, anon_vma=ANON_VMA)


def insert(it: Any, node: AnonVmaChain) -> None:
    it.call(anon_vma_interval_tree_insert(it.k, node, ANON_VMA))


def erase(it: Any, node: AnonVmaChain) -> None:
    it.call(anon_vma_interval_tree_remove(it.k, node, ANON_VMA))


def interval(it: Any, node: AnonVmaChain) -> tuple[int, int]:
    vma = it.get(node.vma)
    start = it.get(vma.vm_pgoff)
    return start, start + it.get(vma.vm_end) - it.get(vma.vm_start) - 1


def check_subtree(it: Any, node: Any, parent: AnonVmaChain | None) -> tuple[list[AnonVmaChain], int, int]:
    """The nodes below *node* in order, its black height and its last offset; asserts every property on the way."""
    if node is None:
        return [], 1, -1
    assert it.get(node.rb_parent) is parent, f"{node} does not know its parent"
    red = it.get(node.rb_color) == rbtree.RED
    assert not (red and (parent is None or it.get(parent.rb_color) == rbtree.RED)), f"{node} is red below red"
    left, left_height, left_last = check_subtree(it, it.get(node.rb_left), node)
    right, right_height, right_last = check_subtree(it, it.get(node.rb_right), node)
    assert left_height == right_height, f"{node} has {left_height} black nodes to the left, {right_height} to the right"
    last = max(interval(it, node)[1], left_last, right_last)
    assert it.get(node.rb_subtree_last) == last, f"{node} does not know the last offset below it"
    return [*left, node, *right], left_height + (not red), last


def in_order(it: Any) -> list[AnonVmaChain]:
    return check_subtree(it, it.get(ANON_VMA.rb_root), None)[0]


def reachable(it: Any, node: AnonVmaChain | None) -> set[AnonVmaChain]:
    """What a walk from *node* downwards meets, without any check."""
    if node is None:
        return set()
    return {node} | reachable(it, it.get(node.rb_left)) | reachable(it, it.get(node.rb_right))


intervals = st.tuples(st.integers(0, 12), st.integers(1, 200))
commands = st.lists(st.one_of(intervals, st.integers(0, 1000)), max_size=60)


@settings(max_examples=300, deadline=None)
@given(todo=commands)
def test_every_property_holds_after_every_insert_and_erase(alone: Any, todo: list[Any]) -> None:
    """Colours, heights, parents, order and subtree_last are right; equal starts stay in order of insertion."""
    it = alone()
    model: list[tuple[int, int, AnonVmaChain]] = []
    for number, command in enumerate(todo):
        if isinstance(command, tuple):
            node = new_node(it, number, *command)
            insert(it, node)
            model.append((command[0], number, node))
            model.sort(key=lambda entry: entry[:2])
        elif model:
            start, _, node = model.pop(command % len(model))
            erase(it, node)
            if command % 3 == 0:  # back again, as a VMA whose bounds have changed
                insert(it, node)
                model.append((start, number, node))
                model.sort(key=lambda entry: entry[:2])
        assert in_order(it) == [node for _, _, node in model]


@settings(max_examples=50, deadline=None)
@given(order=st.permutations(range(24)))
def test_a_tree_is_taken_apart_to_nothing_in_any_order(alone: Any, order: list[int]) -> None:
    it = alone()
    nodes = [new_node(it, number, number, 1) for number in range(24)]
    for node in nodes:
        insert(it, node)
    for number in order:
        erase(it, nodes[number])
        in_order(it)
    assert it.get(ANON_VMA.rb_root) is None


@pytest.mark.parametrize("first", range(12))
def test_every_ancestor_learns_that_the_node_which_reached_furthest_has_gone(alone: Any, first: int) -> None:
    """Wherever it stood, and whichever node now reaches furthest: also the one that takes its place."""
    for second in {*range(12)} - {first}:
        it = alone()
        reach = {first: 1000, second: 500}
        nodes = [new_node(it, number, number, reach.get(number, 1)) for number in range(12)]
        for node in nodes:
            insert(it, node)
        erase(it, nodes[first])
        assert in_order(it) == [node for node in nodes if node is not nodes[first]]


def test_a_new_node_has_no_children_when_it_becomes_reachable(alone: Any) -> None:
    """Linking a node that was in a tree before clears its old pointers first."""
    it = alone()
    nodes = [new_node(it, number, number, 1) for number in range(3)]
    for node in nodes:
        insert(it, node)
    top = nodes[1]
    erase(it, top)
    assert it.get(top.rb_left) is not None, "an erased node keeps its pointers"
    for _ in it.steps(anon_vma_interval_tree_insert(it.k, top, ANON_VMA)):
        if top in reachable(it, it.get(ANON_VMA.rb_root)):
            assert it.get(top.rb_left) is None
            assert it.get(top.rb_right) is None
            break


def test_a_rotation_hides_nodes_that_nobody_erased(alone: Any) -> None:
    """Three ascending inserts rotate once; meanwhile a walk from the top misses older nodes (hazard H4)."""
    it = alone()
    nodes = [new_node(it, number, number, 1) for number in range(3)]
    insert(it, nodes[0])
    insert(it, nodes[1])
    missed = set()
    for _ in it.steps(anon_vma_interval_tree_insert(it.k, nodes[2], ANON_VMA)):
        missed |= {*nodes[:2]} - reachable(it, it.get(ANON_VMA.rb_root))
    assert missed == {nodes[1]}
    assert in_order(it) == nodes


def test_every_store_of_a_pointer_is_a_step_of_its_own(alone: Any) -> None:
    """The rotation of three ascending nodes: the new node's four, its link, three of the rotation, the top."""
    it = alone()
    nodes = [new_node(it, number, number, 1) for number in range(3)]
    for node in nodes:
        insert(it, node)
    writes = [op.field for op in it.ops if isinstance(op, Write)]
    stores = [field for field in writes if field.base not in {"rb_color", "rb_subtree_last"}]
    first, second, third = nodes
    assert stores == [
        *(third.rb_parent, third.rb_left, third.rb_right, second.rb_right),
        *(first.rb_right, second.rb_left, second.rb_parent, first.rb_parent, ANON_VMA.rb_root),
    ]
