"""How each kind of lock behaves, as immutable values.

A lock is a value in memory like any other, so one definition serves all engines.  The functions below are
pure: they take the value and a task, and return the new value (or say that it cannot be had).

=============  ==========================================================  =====================
kind           value                                                       blocked?
=============  ==========================================================  =====================
mutex          the holder, or None                                         the acquire is disabled
page lock      the holder, or None (``PG_locked``, a sleeping bit lock)    the acquire is disabled
spinlock       the holder, or None                                         the acquire is disabled
rwsem          :class:`Rwsem`: writer, readers, and the queue              the task joins the queue
=============  ==========================================================  =====================

Who waits for a mutex is derived, never stored: a queue would add states and hide the schedules in which a
newcomer is first.  Only the rwsem keeps its queue, because a queued writer blocks later readers
(lib/rwsem-spinlock.c, v3.7).
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass
from typing import Any, NamedTuple

from sim.ops import EXCLUSIVE, SHARED


@dataclass(frozen=True, slots=True)
class LockKind:
    """What sort of lock a field is.

    Attributes:
        name: ``mutex``, ``rwsem``, ``spinlock`` or ``page lock``.
        sleeps: whether a task that cannot have it gives its CPU away.
        rank: its place in the lock order, outermost first (mm/rmap.c:20, v3.7; see :mod:`sim.structs`).
    """

    name: str
    sleeps: bool
    rank: int


class Rwsem(NamedTuple):
    """The value of a rwsem: who holds it and who queues, in order.

    *queue* holds (task, mode) pairs; the head is the longest waiter.
    """

    writer: Any = None
    readers: tuple[Any, ...] = ()
    queue: tuple[tuple[Any, str], ...] = ()


FREE_RWSEM = Rwsem()


def holds(value: Any, task: Any, mode: str = EXCLUSIVE) -> bool:
    """Whether *task* holds the lock with this *value* in *mode*."""
    if isinstance(value, Rwsem):
        return task in value.readers if mode == SHARED else value.writer is task
    return value is task and value is not None


def holds_times(value: Rwsem, task: Any, mode: str = EXCLUSIVE) -> int:
    """How often *task* holds the rwsem with this *value* in *mode*."""
    return value.readers.count(task) if mode == SHARED else int(value.writer is task)


def holders(value: Any) -> tuple[Any, ...]:
    """Everybody who holds the lock with this *value*."""
    if isinstance(value, Rwsem):
        return value.readers if value.writer is None else (value.writer,)
    return () if value is None else (value,)


def can_take(value: Any, mode: str) -> bool:
    """Whether a newcomer could take the lock now, in *mode*."""
    if isinstance(value, Rwsem):
        if value.queue or value.writer is not None:
            return False
        return mode == SHARED or not value.readers
    return value is None


def is_queued(value: Any, task: Any) -> bool:
    """Whether *task* stands in the queue of a rwsem."""
    return isinstance(value, Rwsem) and any(waiter is task for waiter, _ in value.queue)


def take(value: Any, task: Any, mode: str) -> Any:
    """The value after *task* has taken the lock in *mode*.  The caller checked :func:`can_take`."""
    if not isinstance(value, Rwsem):
        return task
    if mode == SHARED:
        return value._replace(readers=_with(value.readers, task))
    return value._replace(writer=task)


def enqueue(value: Rwsem, task: Any, mode: str) -> Rwsem:
    """The value after *task* has joined the queue of a rwsem."""
    return value._replace(queue=(*value.queue, (task, mode)))


def give_back(value: Any, task: Any, mode: str) -> Any:
    """The value after *task* has released the lock.  A rwsem is handed on to the head of its queue."""
    if not isinstance(value, Rwsem):
        return None
    if mode == EXCLUSIVE:
        return _hand_on(value._replace(writer=None))
    readers = list(value.readers)
    readers.remove(task)
    return _hand_on(value._replace(readers=tuple(readers)))


def _hand_on(value: Rwsem) -> Rwsem:
    """Wake the head of the queue: one writer, or all readers up to the next writer (lib/rwsem.c, v3.7)."""
    while value.queue:
        task, mode = value.queue[0]
        if mode == EXCLUSIVE:
            if value.readers or value.writer is not None:
                return value
            return value._replace(writer=task, queue=value.queue[1:])
        if value.writer is not None:
            return value
        value = value._replace(readers=_with(value.readers, task), queue=value.queue[1:])
    return value


def _with(readers: tuple[Any, ...], task: Any) -> tuple[Any, ...]:
    """*readers* and *task*, sorted by name, so that the order of arrival makes no second state."""
    found = [*readers]
    insort(found, task, key=str)
    return tuple(found)
