"""Finding VMAs, growing a stack, and sharing an anon_vma with a neighbour."""

from __future__ import annotations

from collections.abc import Callable
from errno import ENOMEM
from typing import Any

import pytest

from sim.invariants import Violation
from sim.kernel.mmap import expand_downwards, find_mergeable_anon_vma, find_vma
from sim.kernel.rmap import anon_vma_prepare
from sim.ops import Release, Write
from sim.setup import Builder
from sim.structs import VM_GROWSDOWN, VM_WRITE, AnonVmaChain, Vma
from sim.user import user_write

TOP = 1000


@pytest.fixture
def builder() -> Builder:
    """An address space P, still empty."""
    b = Builder()
    b.mm()
    return b


def bare(it: Any, name: str, start: int, end: int, **values: Any) -> Vma:
    """A VMA of P that has no anon_vma yet, put in its place among the others."""
    vma = it.set(Vma(name), vm_mm=it.k.mm, vm_start=start, vm_end=end, vm_pgoff=start, **values)
    vmas = sorted((*it.get(it.k.mm.mmap), vma), key=lambda other: it.get(other.vm_start))
    it.set(it.k.mm, mmap=tuple(vmas))
    return vma


# --- find_vma --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "name"),
    [(0, "low"), (9, "low"), (10, "low"), (19, "low"), (20, "high"), (45, "high"), (49, "high"), (50, None)],
)
def test_find_vma_answers_the_first_that_ends_later(
    alone: Any, builder: Builder, address: int, name: str | None
) -> None:
    """Also one that begins after the address: growing a stack depends on it."""
    mm = builder.mm("Q")
    builder.vma(mm, "high", 40, 50)
    builder.vma(mm, "low", 10, 20)
    it = alone(builder.memory)
    found = it.call(find_vma(it.k, mm, address))
    assert found is (Vma(name) if name else None)


# --- growing a stack -------------------------------------------------------------------------------------


@pytest.fixture
def stack(alone: Any, builder: Builder) -> Any:
    """P with a stack of one page at TOP, which is mapped."""
    mm = builder.mm("Q")
    vma = builder.vma(mm, "stack", TOP, TOP + 1, grows_down=True)
    builder.page(vma, TOP, node=0, written=1)
    return alone(builder.memory, mm="Q")


def grow(it: Any, address: int) -> Any:
    return it.call(expand_downwards(it.k, Vma("stack"), address))


def roots_stored(it: Any) -> list[Any]:
    """What the last call stored as the root of the stack's tree."""
    root = it.get(Vma("stack").anon_vma).rb_root
    return [op.value for op in it.ops if isinstance(op, Write) and op.field is root]


def test_a_fault_below_the_stack_erases_and_inserts_the_vma_twice(stack: Any) -> None:
    """Once to reach the address, once for the guard page below it."""
    stack.call(user_write(stack.k, TOP - 3))
    avc = AnonVmaChain("avc_stack")
    assert roots_stored(stack) == [None, avc, None, avc]
    assert stack.get(Vma("stack").vm_start) == TOP - 4


def test_a_fault_on_the_guard_page_grows_the_stack_once(stack: Any) -> None:
    grow(stack, TOP - 1)
    stack.call(user_write(stack.k, TOP - 1))
    assert len(roots_stored(stack)) == 2
    assert stack.get(Vma("stack").vm_start) == TOP - 2


def test_the_address_of_a_page_is_wrong_between_the_two_stores(stack: Any) -> None:
    """vm_start and vm_pgoff move by the same amount, in two steps; just then the tree is empty."""
    vma = Vma("stack")
    root = stack.get(vma.anon_vma).rb_root
    seen = []
    for _ in stack.steps(expand_downwards(stack.k, vma, TOP - 5)):
        address = stack.get(vma.vm_start) + TOP - stack.get(vma.vm_pgoff)
        seen.append((address, stack.get(root) is None))
    wrong = [empty for address, empty in seen if address != TOP]
    assert wrong == [True], "one step long, with the VMA in no tree"
    assert {address for address, _ in seen} == {TOP, TOP - 5}


def test_the_anon_vma_lock_is_held_from_before_the_erase_to_after_the_insert(stack: Any) -> None:
    vma = Vma("stack")
    mutex = stack.get(vma.anon_vma).mutex
    for op in stack.steps(expand_downwards(stack.k, vma, TOP - 1)):
        if isinstance(op, Write) and op.field.base in {"rb_root", "vm_start", "vm_pgoff"}:
            assert stack.get(mutex) is stack.k.current, f"{op.field} is stored without the lock"
    assert stack.get(mutex) is None


def test_who_comes_second_finds_the_stack_grown(stack: Any) -> None:
    """The address is tested again under the lock; then nothing is stored."""
    grow(stack, TOP - 5)
    for address in (TOP - 3, TOP - 5):
        assert grow(stack, address) == 0
        assert not [op for op in stack.ops if isinstance(op, Write)]
        assert isinstance(stack.ops[-1], Release)


def test_a_stack_that_nobody_has_touched_gets_an_anon_vma_first(stack: Any) -> None:
    """Without one there would be no lock to take."""
    stack.set(Vma("stack"), anon_vma=None, anon_vma_chain=())
    assert grow(stack, TOP - 1) == 0
    assert roots_stored(stack)[-1] in stack.get(Vma("stack").anon_vma_chain)


def test_a_stack_does_not_grow_past_offset_zero(stack: Any) -> None:
    stack.set(Vma("stack"), vm_pgoff=3)
    assert grow(stack, TOP - 4) == -ENOMEM
    assert stack.get(Vma("stack").vm_start) == TOP
    assert grow(stack, TOP - 3) == 0


def test_a_fault_that_cannot_grow_the_stack_ends_the_run(stack: Any) -> None:
    stack.set(Vma("stack"), vm_pgoff=3)
    with pytest.raises(Violation, match=f"segmentation fault at page {TOP - 4}"):
        stack.call(user_write(stack.k, TOP - 4))


def test_a_stack_does_not_grow_onto_another_mapping(stack: Any) -> None:
    """The page that would become the guard page belongs to somebody else: SIGBUS."""
    bare(stack, "heap", TOP - 4, TOP - 1, vm_flags=VM_WRITE)
    with pytest.raises(Violation, match="SIGBUS: no room to grow stack"):
        stack.call(user_write(stack.k, TOP - 1))


def test_a_split_stack_needs_no_guard_page_between_its_halves(stack: Any) -> None:
    bare(stack, "lower", TOP - 4, TOP - 1, vm_flags=VM_WRITE | VM_GROWSDOWN)
    stack.call(user_write(stack.k, TOP - 1))
    assert stack.get(Vma("stack").vm_start) == TOP - 1


# --- sharing a neighbour's anon_vma ----------------------------------------------------------------------


@pytest.fixture
def heap(alone: Any, builder: Builder) -> Any:
    """A heap [100, 110) with an anon_vma, and after it a VMA [110, 120) without."""
    mm = builder.mm("Q")
    builder.vma(mm, "heap", 100, 110)
    it = alone(builder.memory, mm="Q")
    bare(it, "next", 110, 120)
    return it


def mergeable(it: Any, name: str) -> Any:
    return it.call(find_mergeable_anon_vma(it.k, Vma(name)))


def test_a_neighbour_lends_its_anon_vma(heap: Any) -> None:
    """In both directions."""
    anon_vma = heap.get(Vma("heap").anon_vma)
    assert mergeable(heap, "next") is anon_vma
    bare(heap, "before", 90, 100)
    assert mergeable(heap, "before") is anon_vma


def test_a_first_fault_joins_the_neighbours_tree(heap: Any) -> None:
    """Two VMAs of one process then hang on one anon_vma (hazard H4)."""
    heap.call(anon_vma_prepare(heap.k, Vma("next")))
    anon_vma = heap.get(Vma("heap").anon_vma)
    assert heap.get(Vma("next").anon_vma) is anon_vma
    (avc,) = heap.get(Vma("next").anon_vma_chain)
    assert heap.get(AnonVmaChain("avc_heap").rb_right) is avc


def _gap(it: Any) -> None:
    it.set(Vma("next"), vm_start=111, vm_pgoff=111)


def _other_offset(it: Any) -> None:
    it.set(Vma("next"), vm_pgoff=7)


def _other_flags(it: Any) -> None:
    it.set(Vma("next"), vm_flags=VM_WRITE | VM_GROWSDOWN)


def _forked(it: Any) -> None:
    it.set(Vma("heap"), anon_vma_chain=(AnonVmaChain("avc_heap"), AnonVmaChain("avc_parent")))


def _fresh(it: Any) -> None:
    it.set(Vma("heap"), anon_vma=None, anon_vma_chain=())


@pytest.mark.parametrize("spoil", [_gap, _other_offset, _other_flags, _forked, _fresh])
def test_a_neighbour_does_not_lend_its_anon_vma(heap: Any, spoil: Callable[[Any], None]) -> None:
    """Not across a gap, an offset or flags that forbid merging; not after a fork; not if it has none."""
    spoil(heap)
    assert mergeable(heap, "next") is None


def test_write_protection_does_not_keep_neighbours_apart(heap: Any) -> None:
    """A later mprotect may change it back."""
    heap.set(Vma("next"), vm_flags=0)
    assert mergeable(heap, "next") is heap.get(Vma("heap").anon_vma)
