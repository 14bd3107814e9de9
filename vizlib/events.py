"""What one event is about: the fields and objects that it names, and the lines that ran."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sim.ops import Acquire, CopyPage, Field, Free, Release, TryAcquire

if TYPE_CHECKING:
    from sim.machine import Event, Frame

#: Calls such as spin_lock, one operation each: the line that calls one says more than the one line in it.
THIN = "sim/sync.py"


def kernel_frames(stack: Sequence[Frame]) -> tuple[Frame, ...]:
    """*stack* without the calls that are one operation each."""
    return tuple(frame for frame in stack if frame.file != THIN)


def things_of(event: Event) -> frozenset[Any]:
    """What a step is about: the fields that it names or changes, their objects, and those that it names as a whole."""
    fields = [change.field for change in event.changes]
    objects: tuple[Any, ...] = ()
    match event.op:
        case Field() as field:
            fields.append(field)
        case Acquire(lock, _) | TryAcquire(lock, _) | Release(lock, _):
            fields.append(lock)
        case CopyPage(dst, src):
            objects = (dst, src)
        case Free(ref):
            objects = (ref,)
        case op:
            fields += [it for it in (getattr(op, "field", None),) if isinstance(it, Field)]
    return frozenset((*fields, *objects, *(it.ref for it in fields)))
