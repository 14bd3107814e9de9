"""Two locks of one kind: held together only where the code says that this is meant."""

from __future__ import annotations

from typing import Any

import pytest

from sim.context import Context
from sim.interpreter import execute
from sim.invariants import Violation
from sim.ops import Kernel
from sim.setup import INIT_MM
from sim.structs import AnonVma, Cpu, Mm, PageTable, Task
from sim.sync import down_write, down_write_nested, mutex_lock, spin_lock, spin_lock_nested

ME = Context(Task("me"), INIT_MM, Cpu("cpu0"), 0, {})
A, B = PageTable("a"), PageTable("b")


def take(*coroutines: Kernel) -> dict[Any, Any]:
    """The memory after one task has taken these locks in turn."""
    memory: dict[Any, Any] = {}
    for coroutine in coroutines:
        for op in coroutine:
            execute(op, memory, ME, [])
    return memory


def test_two_of_a_kind_nest_if_the_second_says_so() -> None:
    """The ptls of mremap, old then new; the mmap_sems of fork, parent's then child's."""
    assert take(spin_lock(A.ptl), spin_lock_nested(B.ptl))[B.ptl] is ME.current
    memory = take(down_write(Mm("P").mmap_sem), down_write_nested(Mm("C").mmap_sem))
    assert memory[Mm("C").mmap_sem].writer is ME.current


@pytest.mark.parametrize(
    "locks",
    [
        lambda: (spin_lock(A.ptl), spin_lock(B.ptl)),
        lambda: (down_write(Mm("P").mmap_sem), down_write(Mm("C").mmap_sem)),
        lambda: (spin_lock(A.ptl), mutex_lock(AnonVma("A").mutex)),
        lambda: (spin_lock(A.ptl), down_write_nested(Mm("C").mmap_sem)),
    ],
    ids=["two ptls", "two mmap_sems", "anon_vma lock inside a ptl", "mmap_sem inside a ptl, nested"],
)
def test_anything_else_is_against_the_order(locks: Any) -> None:
    """Saying nested allows an equal, not a lock that belongs further out."""
    with pytest.raises(Violation, match="lock order"):
        take(*locks())
