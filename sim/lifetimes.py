"""Objects come and go: allocation, freeing, and the read sections of RCU, in which what is type-safe stays so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sim.context import Context
from sim.effects import Change, store
from sim.invariants import Memory, Violation, get
from sim.ops import Alloc, Field
from sim.structs import ANON_VMA_CACHEP, FREE_AREA, RCU, AnonVma, Page, Slab, Struct

#: Where objects of a struct wait to be given out again, in worlds that recycle them.
_FREE: dict[type[Struct], Slab] = {AnonVma: ANON_VMA_CACHEP, Page: FREE_AREA}


def alloc(op: Alloc, memory: Memory, me: Context, changes: list[Change]) -> Struct:
    """A new object, or a recycled one.  See :class:`sim.ops.Alloc`."""
    struct, init = op.struct, op.init
    ref = _recycled(struct, dict(init), memory, changes) if struct in _FREE and not op.tails else None
    if ref is None:
        number = get(memory, me.current.allocs) + 1
        store(me.current.allocs, number, memory, changes)
        ref = struct(f"{me.current}.{struct.short}{number}")
    for name, value in init:
        store(getattr(ref, name), value, memory, changes)
    if op.tails and isinstance(ref, Page):
        for field, value in compound(ref, op.tails, get(memory, ref.node)):
            store(field, value, memory, changes)
    return ref


def compound(head: Page, tails: int, node: int) -> Iterator[tuple[Field, Any]]:
    """The fields that make *head* and so many frames after it one huge page, with their values."""
    its = tuple(Page(f"{head}.{number}") for number in range(1, tails + 1))
    yield head.tails, its
    yield head.PG_head, True
    for page in its:
        yield page.node, node
        yield page.first_page, head
        yield page.PG_lru, False
        yield page._count, 0


def free(ref: Struct, memory: Memory, me: Context, changes: list[Change]) -> None:
    """Free *ref*; what is type-safe stays of its type for those who are in a read section now.

    Raises:
        Violation: if it is free already.
    """
    if memory.get(ref.life):
        raise Violation("double free", f"{me.current} frees {ref}, which is free already", (ref,))
    store(ref.life, True, memory, changes)
    if isinstance(ref, Page) and get(memory, ref.PG_head):
        for page in get(memory, ref.tails):
            store(page.life, True, memory, changes)
        return
    if (slab := _FREE.get(type(ref))) is not None and (unused := get(memory, slab.free)) is not None:
        store(slab.free, (*unused, ref), memory, changes)
    if not type(ref).typesafe:
        return
    for reader in get(memory, RCU.readers):
        seen = (*memory.get(reader.rcu, ()), ref)
        store(reader.rcu, tuple(sorted(set(seen), key=str)), memory, changes)


def _recycled(struct: type[Struct], init: dict[str, Any], memory: Memory, changes: list[Change]) -> Struct | None:
    """The object of *struct* that was freed last, alive again, if this world recycles; a frame of the node asked for.

    An anon_vma is as it was left; a frame belongs to nobody and has nothing in it.
    """
    slab = _FREE[struct]
    unused = get(memory, slab.free) or ()
    fits = [it for it in unused if struct is not Page or get(memory, it.node) == init["node"]]
    if not fits:
        return None
    ref: Struct = fits[-1]
    store(slab.free, tuple(it for it in unused if it is not ref), memory, changes)
    store(ref.life, False, memory, changes)
    if isinstance(ref, Page):
        for field in (ref.mapping, ref.private, ref.data, ref.PG_dirty, ref.PG_mlocked):
            store(field, field.default, memory, changes)
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
