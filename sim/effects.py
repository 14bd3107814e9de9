"""Reading and changing memory on behalf of a step: what :mod:`sim.interpreter` and its parts are made of."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sim.context import Context
from sim.invariants import Memory, Violation, get
from sim.ops import Field
from sim.structs import PageTable, Pmd, Pte


class Change(NamedTuple):
    """One field that a step changed."""

    field: Field
    old: Any
    new: Any


#: Makes a :class:`Change` of three values in half the time; this module makes more of them than of anything else.
_new = tuple.__new__


def check_alive(field: Field, memory: Memory, me: Context) -> None:
    """Check that *field* may be touched by *me*.

    Raises:
        Violation: if its object was freed, unless RCU keeps it what it was.
    """
    if field.life is None or not memory.get(field.life):
        return
    if type(field.ref).typesafe and field.ref in (memory.get(me.current.rcu) or ()):
        return  # freed since this task's read section began: still of its type, whatever it means now
    raise Violation("use after free", f"{me.current} touches {field}, but {field.ref} was freed", (field.ref,))


def load(field: Field, memory: Memory, me: Context) -> Any:
    """The value of *field*, which must be alive."""
    if field.life is not None and memory.get(field.life):
        check_alive(field, memory, me)
    return memory.get(field, field.default)


def store(field: Field, value: Any, memory: Memory, changes: list[Change]) -> None:
    """Let *field* have *value*, and note the change if it is one."""
    old = memory.get(field, field.default)
    if old == value:
        return
    memory[field] = value
    changes.append(_new(Change, (field, old, value)))
    if field.base == "pte" or field.base == "pmd":
        _count_pte(old, -1, memory, changes)
        _count_pte(value, +1, memory, changes)


#: The ghost that counts the PTEs of a kind, in what they name; the others map a frame.
_COUNTED_IN: Final = {"migration": "migration_ptes", "swap": "swap_ptes"}


def _count_pte(pte: Pte | Pmd | PageTable | None, by: int, memory: Memory, changes: list[Change]) -> None:
    """Keep the ghosts of a frame, or of a swap slot, that say how many PTEs (and PMDs of huge pages) name it."""
    if pte is not None and not isinstance(pte, PageTable):
        ghost = getattr(pte.page, _COUNTED_IN.get(pte.kind, "present_ptes"))
        store(ghost, get(memory, ghost) + by, memory, changes)
