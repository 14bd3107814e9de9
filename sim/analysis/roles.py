"""The role of a lock: how one finds it from the object that it is to protect.

``page.mapping.root.mutex`` is a role, and not the name of any one mutex.  Roles are read off the memory of a state, by
following its fields, and are written as a path from the object:

* ``mapping.root.mutex``: from a page to its anon_vma, to that one's root, to its mutex;
* ``PageTable[pte].ptl``: backwards, the ptl of a page table of which a pte names the page;
* ``some PageTable.ptl``: the lock of some object of that struct, however it is related.

``mm_users`` is no lock: whoever is the last to use an address space has all of it to himself, and a role that ends in
it says so.

A lock has many roles, since there are many ways to it; what counts is which of them it has every time.  ``lock``
stands for an anon_vma's ``mutex`` (3.7) or ``rwsem`` (3.8), which are the same lock at two times.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from sim.invariants import Memory
from sim.ops import Field
from sim.structs import AnonVma, Cpu, Mm, Struct, Task, declare, table

#: From one object to others near it: the names of the fields on each way.
Ways = Mapping[Struct, set[tuple[str, ...]]]

#: How many pointers a role follows.
FARTHEST = 3
#: Guards of fields that say nothing about how objects are found.
_NO_LINK = ("ghost", "task")
#: Objects that can always be found; others must be reached from one of these, or be there from the start and named by
#: no field, so that code knows them by itself.
_ROOTS = (Mm, Cpu, Task)


def mentioned(value: Any) -> Iterator[Struct]:
    """The objects that a value of memory names."""
    if isinstance(value, Struct):
        yield value
    elif isinstance(value, tuple):
        for it in value:
            yield from mentioned(it)


class Links:
    """Which fields may ever name an object: for following references backwards.

    *values* has each field of memory with every value that it ever has; *allocated*: the objects made on the way.
    """

    def __init__(self, values: Iterable[tuple[Field, Iterable[Any]]], allocated: Collection[Struct] = ()) -> None:
        self._allocated = allocated
        self._into: dict[Struct, list[Field]] = {}
        for field, its in values:
            if field.guard not in _NO_LINK and field.lock is None:
                for ref in {ref for value in its for ref in mentioned(value)}:
                    self._into.setdefault(ref, []).append(field)

    def into(self, ref: Struct, memory: Memory) -> Iterator[Field]:
        """The fields that name *ref* now, those of *ref* itself left out."""
        for field in self._into.get(ref, ()):
            if field.ref is not ref and ref in mentioned(memory.get(field, field.default)):
                yield field

    def can_be_found(self, ref: Struct, memory: Memory) -> bool:
        """Whether another task could come to *ref* now, by following fields: it is published and not yet unlinked."""
        seen, todo = {ref}, [ref]
        while todo:
            it = todo.pop()
            if isinstance(it, _ROOTS) or (it not in self._into and it not in self._allocated):
                return True
            for field in self.into(it, memory):
                if field.ref not in seen:
                    seen.add(field.ref)
                    todo.append(field.ref)
        return False

    def ways(self, ref: Struct, memory: Memory) -> Ways:
        """The ways to each object near *ref*, none through an object twice but for one that points to itself."""
        found: dict[Struct, set[tuple[str, ...]]] = {ref: {()}}
        ends: list[tuple[Struct, tuple[str, ...], frozenset[Struct]]] = [(ref, (), frozenset({ref}))]
        for _ in range(FARTHEST):
            following = []
            for it, way, passed in ends:
                for name, target in (*_forward(it, memory), *self._backward(it, memory)):
                    if target not in passed or target is it:
                        found.setdefault(target, set()).add((*way, name))
                        following.append((target, (*way, name), passed | {target}))
            ends = following
        return found

    def _backward(self, ref: Struct, memory: Memory) -> Iterator[tuple[str, Struct]]:
        """The objects that have *ref* in a table or list of theirs."""
        for field in self.into(ref, memory):
            if field.key is not None or type(memory.get(field, field.default)) is tuple:
                yield f"{type(field.ref).__name__}[{field.base}]", field.ref


def roles(ways: Ways, lock: Field) -> frozenset[str]:
    """The roles of a lock for the object from which the *ways* lead."""
    name = lock_name(lock)
    return frozenset(
        {f"some {type(lock.ref).__name__}.{name}", *(".".join((*it, name)) for it in ways.get(lock.ref, ()))}
    )


def lock_name(lock: Field) -> str:
    """What roles call a lock."""
    return "lock" if isinstance(lock.ref, AnonVma) else lock.base


def _forward(ref: Struct, memory: Memory) -> Iterator[tuple[str, Struct]]:
    for name in _pointers(type(ref)):
        field = getattr(ref, name)
        value = memory.get(field, field.default)
        if isinstance(value, Struct):
            yield name, value


_POINTERS: dict[type[Struct], tuple[str, ...]] = {}


def _pointers(struct: type[Struct]) -> tuple[str, ...]:
    """The fields of a struct that may point to one object."""
    if struct not in _POINTERS:
        its = {name: getattr(struct, name) for name in struct.fields()}
        _POINTERS[struct] = tuple(
            name
            for name, it in its.items()
            if isinstance(it, declare) and not isinstance(it, table) and it.lock is None and it.guard not in _NO_LINK
        )
    return _POINTERS[struct]
