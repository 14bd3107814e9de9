"""The stack of a new program: where its pages go, and who leaves them alone meanwhile."""

from __future__ import annotations

from errno import EFAULT
from typing import Any

import pytest

from sim import invariants
from sim.kernel.exec import STACK_EXPAND, setup_arg_pages
from sim.kernel.rmap import is_vma_temporary_stack
from sim.ops import Write
from sim.setup import Builder
from sim.structs import PTRS_PER_PTE, VM_GROWSDOWN, VM_STACK_INCOMPLETE_SETUP, VM_WRITE, Mm, Page, PageTable, Vma
from sim.user import user_read

STACK, MM = Vma("stack"), Mm("P")
TOP = 3 * PTRS_PER_PTE


@pytest.fixture
def it(alone: Any) -> Any:
    """A process in exec, with a temporary stack of two written pages below TOP."""
    b = Builder()
    b.vma(b.mm(), "stack", TOP - 2, TOP, grows_down=True)
    b.memory[STACK.vm_flags] |= VM_STACK_INCOMPLETE_SETUP
    for vpn in (TOP - 2, TOP - 1):
        b.page(STACK, vpn, node=0, written=1)
    return alone(b.memory)


def place(it: Any) -> tuple[int, int]:
    return it.get(STACK.vm_start), it.get(STACK.vm_end)


@pytest.mark.parametrize("shift", [1, 2, 10, PTRS_PER_PTE + 1, 2 * PTRS_PER_PTE])
def test_a_stack_moves_down_with_its_pages_and_has_room_to_grow(it: Any, shift: int) -> None:
    """Also onto itself, across page tables, and far; page tables that are left empty are freed."""
    assert it.call(setup_arg_pages(it.k, STACK, shift)) == 0
    assert place(it) == (TOP - 2 - shift - STACK_EXPAND, TOP - shift)
    assert it.get(STACK.vm_flags) == VM_WRITE | VM_GROWSDOWN
    for vpn, frame in ((TOP - 2, "f0"), (TOP - 1, "f1")):
        assert invariants.pte_of(it.memory, MM, vpn - shift).page is Page(frame)
        it.call(user_read(it.k, vpn - shift))
    assert it.get(PageTable("pt2").life) is (shift > PTRS_PER_PTE)
    assert it.get(MM.mmap_sem).writer is None
    assert invariants.at_end(it.memory) is None


def test_the_offsets_are_wrong_from_the_widening_to_the_move(it: Any) -> None:
    """Where a walk would look for the page, and where it is: why migration has to leave it alone."""
    wrong, mutex = [], it.get(STACK.anon_vma).mutex
    for op in it.steps(setup_arg_pages(it.k, STACK, 10)):
        if it.get(mutex) is not None:
            continue
        looked = it.get(STACK.vm_start) + TOP - 2 - it.get(STACK.vm_pgoff)
        pte = invariants.pte_of(it.memory, MM, looked)
        if pte is None or pte.page is not Page("f0"):
            wrong.append((op, it.get(STACK.vm_flags) & VM_STACK_INCOMPLETE_SETUP))
    assert len(wrong) > 5
    assert all(temporary for _, temporary in wrong)


def test_a_stack_is_temporary_by_both_flags_and_its_direction(it: Any) -> None:
    """One of the two hints alone is any program's."""
    half = VM_STACK_INCOMPLETE_SETUP & -VM_STACK_INCOMPLETE_SETUP
    for flags, expected in (
        (VM_GROWSDOWN | VM_STACK_INCOMPLETE_SETUP, True),
        (VM_GROWSDOWN | half, False),
        (VM_STACK_INCOMPLETE_SETUP, False),
        (VM_GROWSDOWN, False),
    ):
        it.set(STACK, vm_flags=flags)
        assert it.call(is_vma_temporary_stack(it.k, STACK)) is expected


def test_page_tables_move_without_the_anon_vma_lock(it: Any) -> None:
    mutex = it.get(STACK.anon_vma).mutex
    held = {
        it.get(mutex) is not None
        for op in it.steps(setup_arg_pages(it.k, STACK, 10))
        if isinstance(op, Write) and op.field.base == "pte"
    }
    assert held == {False}


def test_a_stack_does_not_move_onto_another_mapping(it: Any) -> None:
    below = it.set(Vma("below"), vm_mm=MM, vm_start=TOP - 12, vm_end=TOP - 11, vm_pgoff=0)
    it.set(MM, mmap=(below, STACK))
    assert it.call(setup_arg_pages(it.k, STACK, 10)) == -EFAULT
    assert place(it) == (TOP - 2, TOP)
