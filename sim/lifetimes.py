"""Objects come and go: allocation, freeing, and the read sections of RCU, in which what is type-safe stays so."""

from __future__ import annotations

from typing import Any

from sim.context import Context
from sim.effects import Change, store
from sim.invariants import Memory, Violation, get
from sim.structs import ANON_VMA_CACHEP, RCU, Struct


def alloc(
    struct: type[Struct], init: tuple[tuple[str, Any], ...], memory: Memory, me: Context, changes: list[Change]
) -> Struct:
    """A new object, or a recycled one.  See :class:`sim.ops.Alloc`."""
    ref = _recycled(memory, changes) if struct.typesafe else None
    if ref is None:
        number = get(memory, me.current.allocs) + 1
        store(me.current.allocs, number, memory, changes)
        ref = struct(f"{me.current}.{struct.short}{number}")
    for name, value in init:
        store(getattr(ref, name), value, memory, changes)
    return ref


def free(ref: Struct, memory: Memory, me: Context, changes: list[Change]) -> None:
    """Free *ref*; what is type-safe stays of its type for those who are in a read section now.

    Raises:
        Violation: if it is free already.
    """
    if memory.get(ref.life):
        raise Violation("double free", f"{me.current} frees {ref}, which is free already", (ref,))
    store(ref.life, True, memory, changes)
    if not type(ref).typesafe:
        return
    for reader in get(memory, RCU.readers):
        seen = (*memory.get(reader.rcu, ()), ref)
        store(reader.rcu, tuple(sorted(set(seen), key=str)), memory, changes)
    unused = get(memory, ANON_VMA_CACHEP.free)
    if unused is not None:
        store(ANON_VMA_CACHEP.free, (*unused, ref), memory, changes)


def _recycled(memory: Memory, changes: list[Change]) -> Struct | None:
    """The anon_vma (no other struct is type-safe) that was freed last, alive again, if this world recycles."""
    unused = get(memory, ANON_VMA_CACHEP.free)
    if not unused:
        return None
    ref: Struct = unused[-1]
    store(ANON_VMA_CACHEP.free, unused[:-1], memory, changes)
    store(ref.life, False, memory, changes)
    return ref


def rcu_section(begins: bool, memory: Memory, me: Context, changes: list[Change]) -> None:
    """Begin or end a read section; they do not nest in this kernel's paths."""
    task = me.current
    readers = get(memory, RCU.readers)
    if (task in readers) == begins:
        what = "begins a read section inside another" if begins else "ends a read section that it has not begun"
        raise Violation("kernel bug", f"{task} {what}", (task,))
    others = tuple(it for it in readers if it is not task)
    store(RCU.readers, tuple(sorted((*others, task), key=str)) if begins else others, memory, changes)
    store(task.rcu, () if begins else None, memory, changes)
