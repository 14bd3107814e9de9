"""RCU type-safety: what a reader may still touch of an anon_vma that was freed, and what it is when it comes back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sim.context import Context
from sim.effects import Change
from sim.interpreter import execute
from sim.invariants import Memory, Violation
from sim.ops import Alloc, Free, Op, RcuReadLock, RcuReadUnlock
from sim.setup import INIT_MM
from sim.structs import ANON_VMA_CACHEP, RCU, AnonVma, Cpu, Page, Task

READER, FREER = (Context(Task(name), INIT_MM, Cpu("cpu0"), 0, {}) for name in ("reader", "freer"))
GONE, FRAME = AnonVma("gone"), Page("frame")


def do(memory: Memory, *steps: tuple[Context, Op]) -> Iterator[Any]:
    """Do the steps one by one, and yield their answers."""
    for who, op in steps:
        changes: list[Change] = []
        yield execute(op, memory, who, changes)


def test_an_anon_vma_freed_within_the_section_may_be_touched_to_its_end() -> None:
    """And not one step later; nor by anybody who was in no section when it was freed."""
    memory: Memory = {GONE.refcount: 7}
    inside = [(READER, RcuReadLock()), (FREER, Free(GONE)), (READER, GONE.refcount)]
    assert list(do(memory, *inside)) == [None, None, 7]
    with pytest.raises(Violation, match=r"freer touches gone.refcount, but gone was freed"):
        list(do(memory, (FREER, GONE.refcount)))
    with pytest.raises(Violation, match=r"reader touches gone.refcount, but gone was freed"):
        list(do(memory, (READER, RcuReadUnlock()), (READER, GONE.refcount)))


def test_a_section_that_begins_after_the_free_does_not_help() -> None:
    """A grace period may have passed: nothing keeps the memory."""
    with pytest.raises(Violation, match="use after free"):
        list(do({}, (FREER, Free(GONE)), (READER, RcuReadLock()), (READER, GONE.refcount)))


def test_only_type_safe_structs_are_kept() -> None:
    """A frame is freed outright, whoever is in a section."""
    with pytest.raises(Violation, match="use after free"):
        list(do({}, (READER, RcuReadLock()), (FREER, Free(FRAME)), (READER, FRAME.mapping)))


def test_a_section_leaves_nothing_behind() -> None:
    """Memory is as before, so that sections make no states of their own."""
    memory: Memory = {}
    list(
        do(memory, (READER, RcuReadLock()), (FREER, RcuReadLock()), (READER, RcuReadUnlock()), (FREER, RcuReadUnlock()))
    )
    assert {field: value for field, value in memory.items() if value != field.default} == {}
    assert memory[RCU.readers] == ()


@pytest.mark.parametrize("ops", [(RcuReadLock(), RcuReadLock()), (RcuReadUnlock(),)])
def test_sections_are_balanced(ops: tuple[Op, ...]) -> None:
    """Beginning twice, and ending what was not begun, stop the machine."""
    with pytest.raises(Violation, match="read section"):
        list(do({}, *((READER, op) for op in ops)))


def test_a_recycled_anon_vma_is_the_old_object_with_a_new_life() -> None:
    """In a world that recycles: the last one freed comes first, and fields that are not set keep their values."""
    memory: Memory = {ANON_VMA_CACHEP.free: (), GONE.refcount: 0, GONE.root: GONE}
    other = AnonVma("other")
    new = Alloc(AnonVma, (("refcount", 1),))
    steps = [(READER, RcuReadLock()), (FREER, Free(other)), (FREER, Free(GONE)), (FREER, new), (READER, GONE.root)]
    assert list(do(memory, *steps)) == [None, None, None, GONE, GONE]
    assert (memory[GONE.life], memory[GONE.refcount], memory[ANON_VMA_CACHEP.free]) == (False, 1, (other,))
    assert list(do({}, (FREER, Free(GONE)), (FREER, new))) == [None, AnonVma("freer.av1")]
