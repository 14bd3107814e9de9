"""A rwsem as Linux 3.16 hands it on: its writers spin, and may be faster than who is being woken.

Commits 4fc828e24cd9 and 37e9562453b8, in v3.16: kernel/locking/rwsem-xadd.c.  A writer that comes while another one
owns the lock and runs spins instead of sleeping.  Spinners stand in a line (their MCS lock), and only the first of it
looks: it takes the lock as soon as that is free, also before those who sleep, and gives up when the owner sleeps or
has changed to another one without having been nobody in between; once readers have the lock it spins on, since they
are no owner.  Readers never spin, and sleep behind whoever sleeps.  A release gives the lock to the readers at the
head of the queue at once; a writer there is only woken, and whichever writer is first takes it.

In memory a rwsem hands itself on to the head of its queue (:mod:`sim.locks`), as up to 3.8.  So those who sleep here
queue outside of it, and do their operation when they have the lock.  One thing needs the queue in memory: a reader
that only tries must fail if somebody waits.  Before it tries, the head of the queue therefore does its operation: it
joins the queue in memory, and is handed the lock there; or, if it had been woken, has the lock a few microseconds
before it runs.

Left out: that a task which should leave its CPU stops spinning; and of a spinner and readers who are granted a lock
that is released, the readers are always the faster ones.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from sim.engines.waiters import GRANT, RETRY, SPIN, WAKE, Waiter
from sim.locks import Rwsem, can_take
from sim.machine import enabled
from sim.ops import EXCLUSIVE, SHARED, Acquire, Field, Op, TryAcquire

if TYPE_CHECKING:
    from sim.engines.timed import Clockwork
    from sim.structs import Task


class Rwsems:
    """The rwsems of a run, and who waits for them."""

    def __init__(self, clockwork: Clockwork) -> None:
        self._clockwork, self._ledger = clockwork, clockwork.ledger
        self._memory, self._contexts = clockwork.machine.memory, clockwork.machine.contexts
        self._line: dict[Field, list[int]] = {}  # who spins, the first of whom looks

    def ready(self, i: int, op: Op, clock: int) -> bool:
        """Whether task *i* can do *op* at time *clock*, and need not let others go first.

        If *op* is a reader's try, it is shown whether somebody waits.
        """
        if type(op) is TryAcquire:
            if op.mode == SHARED and is_rwsem(op.lock):
                self._show(op.lock, clock)
            return True
        if not isinstance(op, Acquire) or not is_rwsem(op.lock):
            return enabled(op, self._memory, self._contexts[i])
        owner = self._owner(op.lock)
        if owner is not None and owner is self._contexts[i].current:  # either it was handed to it in memory
            return (op.lock, EXCLUSIVE) not in self._memory.get(owner.held, ())  # or it has it, and waits in vain
        return can_take(self._value(op.lock), op.mode) and (op.mode == EXCLUSIVE or self._head(op.lock) is None)

    def wait(self, i: int, op: Acquire, clock: int) -> Generator[Any, Any, int]:
        """Thread *i* waits for a rwsem; returns when, with the operation done or worth another look."""
        lock, place = op.lock, None
        if op.mode == EXCLUSIVE and self._clockwork.runs(self._owner(lock)):
            clock = yield from self._spin(i, op, clock)
        while not self.ready(i, op, clock):
            waiter = Waiter(self._clockwork.env, i, op, clock, RETRY if op.mode == EXCLUSIVE else GRANT, True)
            clock = yield from self._clockwork.until_served(i, lock, waiter, place)
            if self._clockwork.awake.get(lock) is waiter:
                del self._clockwork.awake[lock]
            if waiter.how is GRANT:
                break
            place = 0
        return clock

    def serve(self, lock: Field, clock: int) -> int:
        """*lock* has changed: let those go on who can now; return what that costs the one who changed it."""
        clockwork, paid = self._clockwork, 0
        for waiter in self._sleepers(lock):
            if waiter.how is WAKE:  # it stands in memory's queue
                return (
                    clockwork.wake(lock, waiter, clock)
                    if enabled(waiter.op, self._memory, self._contexts[waiter.i])
                    else 0
                )
            if self._owner(lock) is not None or lock in clockwork.awake:
                break
            if waiter.how is RETRY:
                if self._is_free(lock):
                    paid += clockwork.wake(lock, waiter, clock)
                break
            paid += clockwork.grant(lock, waiter, clock)
        if self._is_free(lock):
            self._let_first_look(lock, clock)
        return paid

    def show_all(self, clock: int) -> None:
        """Nothing goes on any more: those who wait join the queues in memory, which then say who waits for whom."""
        for lock in [it for it in self._clockwork.waiting if is_rwsem(it)]:
            for waiter in self._clockwork.waiting[lock]:
                if enabled(waiter.op, self._memory, self._contexts[waiter.i]):
                    self._ledger.step(waiter.i, waiter.op, clock)

    # --- spinning ----------------------------------------------------------------------------------------

    def _spin(self, i: int, op: Acquire, clock: int) -> Generator[Any, Any, int]:
        """Thread *i* spins until *op*'s lock is free, or no longer worth it; returns when."""
        lock = op.lock
        line = self._line.setdefault(lock, [])
        line.append(i)
        while True:
            owner = self._owner(lock) if line[0] == i else None  # whose the lock is, as far as the thread has seen
            waiter = Waiter(self._clockwork.env, i, op, clock, SPIN, False)
            clock = yield from self._clockwork.until_served(i, lock, waiter)
            if self._is_free(lock) or self._gives_up(lock, owner, clock):
                break
        line.remove(i)
        self._let_first_look(lock, clock)
        return clock

    def _gives_up(self, lock: Field, owner: Task | None, clock: int) -> bool:
        """Whether a spinner stops at *clock*: a writer has *lock* that sleeps, or that is another one than *owner*."""
        seen = self._owner(lock)
        if seen is None:
            return False
        changed = owner is not None and owner is not seen and clock >= self._clockwork.owner_set.get(lock, 0)
        return changed or not self._clockwork.runs(seen)

    def _let_first_look(self, lock: Field, clock: int) -> None:
        """Of those who spin, the first sees what became of *lock* when it looks next."""
        if line := self._line.get(lock):
            for waiter in self._clockwork.waiting.get(lock, ()):
                if waiter.how is SPIN and waiter.i == line[0]:
                    self._clockwork.look(lock, waiter, clock)
                    break

    # --- who has it, who waits ---------------------------------------------------------------------------

    def _value(self, lock: Field) -> Rwsem:
        value: Rwsem = self._memory.get(lock, lock.default)
        return value

    def _owner(self, lock: Field) -> Task | None:
        """The writer that has *lock*; readers are no owner."""
        owner: Task | None = self._value(lock).writer
        return owner

    def _is_free(self, lock: Field) -> bool:
        return can_take(self._value(lock), EXCLUSIVE)

    def _sleepers(self, lock: Field) -> list[Waiter]:
        return [it for it in self._clockwork.waiting.get(lock, ()) if it.how is not SPIN]

    def _head(self, lock: Field) -> Waiter | None:
        """Who has slept longest, or is being woken; None if nobody sleeps."""
        return self._clockwork.awake.get(lock) or next(iter(self._sleepers(lock)), None)

    def _show(self, lock: Field, clock: int) -> None:
        """Let the head of the queue do its operation, unless a writer has *lock*: who tries to read is to see it."""
        head = self._head(lock)
        if head is not None and head.how is RETRY and self._owner(lock) is None:
            self._ledger.step(head.i, head.op, clock)
            head.how = WAKE if self._owner(lock) is None else GRANT


def is_rwsem(lock: Field) -> bool:
    """Whether *lock* is a rwsem."""
    return lock.lock is not None and lock.lock.name == "rwsem"
