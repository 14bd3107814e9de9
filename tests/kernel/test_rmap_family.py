"""Families of anon_vmas: what fork links, and what exits leave, whoever goes first."""

from __future__ import annotations

from itertools import pairwise, permutations
from typing import Any

import pytest

from sim.kernel.rmap import GFP_NOWAIT, anon_vma_chain_alloc, anon_vma_clone, anon_vma_fork, unlink_anon_vmas
from sim.ops import Acquire, Alloc, Free, Release
from sim.setup import Builder
from sim.structs import AnonVma, AnonVmaChain, Mm, Vma

VMAS = ("heap", "heap_C", "heap_G")


def copy_of(it: Any, vma: Vma, name: str) -> Vma:
    """What dup_mmap makes of *vma* before it calls anon_vma_fork: a copy in another mm, linked to nothing."""
    same = {field: it.get(getattr(vma, field)) for field in ("vm_start", "vm_end", "vm_pgoff", "vm_flags")}
    copy: Vma = it.set(Vma(name), vm_mm=Mm(name[-1]), **same)
    return copy


def in_order(it: Any, node: Any) -> tuple[Any, ...]:
    """The VMAs below *node* in the order in which a walk meets them."""
    if node is None:
        return ()
    return (*in_order(it, it.get(node.rb_left)), it.get(node.vma), *in_order(it, it.get(node.rb_right)))


def tree(it: Any, anon_vma: AnonVma) -> tuple[str, ...]:
    return tuple(map(str, in_order(it, it.get(anon_vma.rb_root))))


def chain(it: Any, name: str) -> list[Any]:
    """The anon_vmas of a VMA's links, newest first."""
    return [it.get(avc.anon_vma) for avc in it.get(Vma(name).anon_vma_chain)]


@pytest.fixture
def family(alone: Any) -> Any:
    """P has a heap; kernel code links the heap of its child C to it, and that of C's child G to C's."""
    b = Builder()
    b.vma(b.mm("P"), "heap", 0, 8)
    it = alone(b.memory)
    for parent, name in pairwise(VMAS):
        it.call(anon_vma_fork(it.k, copy_of(it, Vma(parent), name), Vma(parent)))
    return it


def own(it: Any, name: str) -> AnonVma:
    found: AnonVma = it.get(Vma(name).anon_vma)
    return found


def test_each_generation_is_linked_to_all_its_ancestors(family: Any) -> None:
    """The chains, trees, roots and reference counts of three generations: d + 1 links at depth d, one root."""
    p, c, g = (own(family, name) for name in VMAS)
    assert [chain(family, name) for name in VMAS] == [[p], [c, p], [g, c, p]]
    assert [tree(family, it) for it in (p, c, g)] == [VMAS, VMAS[1:], VMAS[2:]]
    assert {family.get(it.root) for it in (p, c, g)} == {p}
    assert [family.get(it.refcount) for it in (p, c, g)] == [3, 1, 1]


def test_a_family_takes_the_lock_of_its_root_only(family: Any) -> None:
    """The links to three ancestors are made under one lock taken once; the own anon_vma's link under it again."""
    family.call(anon_vma_fork(family.k, copy_of(family, Vma("heap_G"), "heap_H"), Vma("heap_G")))
    taken = [op.lock.ref for op in family.ops if isinstance(op, Acquire)]
    assert taken == [own(family, "heap")] * 2


def test_the_lock_is_held_whenever_a_link_goes_in_or_out(family: Any) -> None:
    """What the trees are made of is stored under the root's lock."""
    mutex = own(family, "heap").mutex
    stores = 0
    for coroutine in (
        anon_vma_fork(family.k, copy_of(family, Vma("heap_G"), "heap_H"), Vma("heap_G")),
        unlink_anon_vmas(family.k, Vma("heap_C")),
    ):
        for op in family.steps(coroutine):
            if (field := getattr(op, "field", None)) is not None and field.base.startswith("rb_"):
                stores += 1
                assert family.get(mutex) is family.k.current, field
    assert stores > 10


def test_nothing_is_linked_where_the_parent_has_touched_nothing(family: Any) -> None:
    """Without an anon_vma there is nothing to share: the child's first touch will make one."""
    family.set(Vma("bare"), vm_mm=Mm("P"))
    family.call(anon_vma_fork(family.k, copy_of(family, Vma("bare"), "bare_C"), Vma("bare")))
    assert (own(family, "bare_C"), chain(family, "bare_C")) == (None, [])


def test_a_clone_adds_no_anon_vma_and_keeps_the_order(family: Any) -> None:
    """A split or mremap copies the links and no more."""
    half = copy_of(family, Vma("heap_G"), "half")
    family.call(anon_vma_clone(family.k, half, Vma("heap_G")))
    assert chain(family, "half") == chain(family, "heap_G")
    assert [op.struct for op in family.ops if isinstance(op, Alloc)] == [AnonVmaChain] * 3
    assert tree(family, own(family, "heap")) == (*VMAS, "half")


def test_the_lock_is_dropped_before_an_allocation_may_sleep(family: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every first attempt finds no memory: the second comes with no lock held, and the links are the same."""
    mutex = own(family, "heap").mutex
    asked = []

    def alloc(k: Any, gfp: str) -> Any:
        asked.append((gfp, family.get(mutex) is None))
        if gfp == GFP_NOWAIT:
            return None
        avc = yield from anon_vma_chain_alloc(k, gfp)
        return avc

    monkeypatch.setattr("sim.kernel.rmap.anon_vma_chain_alloc", alloc)
    half = copy_of(family, Vma("heap_G"), "half")
    family.call(anon_vma_clone(family.k, half, Vma("heap_G")))
    assert asked == [("nowait", True), ("kernel", True)] + [("nowait", False), ("kernel", True)] * 2
    assert chain(family, "half") == chain(family, "heap_G")
    assert len([op for op in family.ops if isinstance(op, Release)]) == 3


def test_an_anon_vma_outlives_its_process_for_the_sake_of_the_child(family: Any) -> None:
    """C goes before G: all of C's links go, and A_C stays, because its tree still holds G's VMA."""
    p, c, g = (own(family, name) for name in VMAS)
    family.call(unlink_anon_vmas(family.k, Vma("heap_C")))
    assert [tree(family, it) for it in (p, c, g)] == [("heap", "heap_G"), ("heap_G",), ("heap_G",)]
    assert [type(op.ref) for op in family.ops if isinstance(op, Free)] == [AnonVmaChain] * 2
    assert [family.get(it.life) for it in (p, c, g)] == [False] * 3
    assert family.get(p.refcount) == 3


@pytest.mark.parametrize("order", list(permutations(VMAS)), ids="-".join)
def test_nothing_is_left_whoever_exits_first(family: Any, order: tuple[str, ...]) -> None:
    """After the last exit every link and every anon_vma is free; until then each anon_vma with a tree lives."""
    everything = {field.ref for field in family.memory if isinstance(field.ref, AnonVma | AnonVmaChain)}
    owned = {name: own(family, name) for name in VMAS}
    for number, name in enumerate(order):
        family.call(unlink_anon_vmas(family.k, Vma(name)))
        left = order[number + 1 :]
        for at, its in enumerate(VMAS):
            linked = tuple(it for it in VMAS[at:] if it in left)
            assert family.get(owned[its].life) or tree(family, owned[its]) == linked
            assert family.get(owned[its].life) <= (not linked)
    assert [it for it in everything if not family.get(it.life)] == []
    assert len(everything) == 3 + 6


def test_the_root_is_freed_last(family: Any) -> None:
    """P is gone, then C: G's exit empties three trees, and the root, where the lock is, goes after the others."""
    p, c, g = (own(family, name) for name in VMAS)
    family.call(unlink_anon_vmas(family.k, Vma("heap")))
    family.call(unlink_anon_vmas(family.k, Vma("heap_C")))
    family.call(unlink_anon_vmas(family.k, Vma("heap_G")))
    assert [op.ref for op in family.ops if isinstance(op, Free) and isinstance(op.ref, AnonVma)] == [g, c, p]
