"""What each operation means for memory: the only interpreter of operations.

:func:`execute` is a pure function of an operation, a memory and who does it.  :mod:`sim.machine` drives the
coroutines of a run with it; the checker calls it with a memory that notes what was touched.
"""

from __future__ import annotations

from typing import Any, Final

from sim import invariants, locks
from sim.context import Context
from sim.effects import Change, check_alive, load, store
from sim.errors import BadSchedule
from sim.hardware import ask_flush, drop, flush_tlb, handle_ipi, send_ipi, user_read, user_write, walk
from sim.invariants import Memory, Violation, get
from sim.lifetimes import alloc, free, rcu_section
from sim.ops import (
    EXCLUSIVE,
    Acquire,
    Add,
    AddUnless,
    Alloc,
    AskFlush,
    Bug,
    Choose,
    CmpXchg,
    CopyPage,
    Field,
    FlushTlb,
    Free,
    HandleIpi,
    Invlpg,
    Op,
    RcuReadLock,
    RcuReadUnlock,
    Release,
    SendIpi,
    TryAcquire,
    Until,
    UserRead,
    UserWrite,
    Walk,
    Write,
    Wrprotect,
    Xchg,
)
from sim.structs import Cpu, Page
from sim.wording import condition, lock_words


class _Blocked:
    def __repr__(self) -> str:
        return "BLOCKED"


#: What :func:`execute` answers when the task has joined a queue and keeps its operation.
BLOCKED: Final = _Blocked()

# --- what an operation means -----------------------------------------------------------------------------


def enabled(op: Op, memory: Memory, me: Context) -> bool:
    """Whether *me* can do *op* now.  A rwsem that cannot be had is enabled once: the task joins its queue."""
    if isinstance(op, Acquire):
        value = memory.get(op.lock, op.lock.default)
        if isinstance(value, locks.Rwsem):
            return not locks.is_queued(value, me.current)
        return value is None
    if isinstance(op, Until):
        return bool(memory.get(op.field, op.field.default) == op.value)
    if isinstance(op, HandleIpi):
        return bool(get(memory, me.cpu.call_single_queue)) and not get(memory, me.cpu.irqs_off)
    return True


def awaited(op: Op | None, cpu: Cpu) -> Field | None:
    """The one field on which it depends whether *op* is enabled on *cpu*; None if it always is, or is no operation."""
    if isinstance(op, Acquire):
        return op.lock
    if isinstance(op, Until):
        return op.field
    return cpu.call_single_queue if isinstance(op, HandleIpi) else None


def execute(op: Op, memory: Memory, me: Context, changes: list[Change], choice: int = 0) -> Any:
    """Do *op*, which is enabled, for *me*: change *memory*, note each change, and return the answer.

    Raises:
        Violation: on misuse, and when an invariant no longer holds.
    """
    match op:  # the most frequent first
        case Field():
            if op.life is not None and memory.get(op.life):
                check_alive(op, memory, me)
            return memory.get(op, op.default)
        case HandleIpi():
            return handle_ipi(memory, me, changes)
        case Write(field, value):
            check_alive(field, memory, me)
            if field.base == "tlb_ubc":
                invariants.before_forgetting(memory, field, value)
            store(field, value, memory, changes)
            return None
        case Add(field, delta):
            value = load(field, memory, me) + delta
            store(field, value, memory, changes)
            return value
        case AddUnless(field, delta, unless):
            value = load(field, memory, me)
            if value == unless:
                return False
            store(field, value + delta, memory, changes)
            return True
        case CmpXchg(field, old, new):
            if load(field, memory, me) != old:
                return False
            store(field, new, memory, changes)
            return True
        case Xchg(field, value):
            old = load(field, memory, me)
            store(field, value, memory, changes)
            return old
        case Wrprotect(field):
            pte = load(field, memory, me)
            store(field, pte and pte._replace(write=False), memory, changes)
            return None
        case Acquire(lock, mode, nested):
            return _acquire(lock, mode, nested, memory, me, changes)
        case TryAcquire(lock, mode):
            return _try_acquire(lock, mode, memory, me, changes)
        case Release(lock, mode):
            _release(lock, mode, memory, me, changes)
            invariants.after(op, memory)
            return None
        case Until(field, wanted, sleeps, queued):
            if not queued:
                check_alive(field, memory, me)
            if sleeps:
                _check_may_sleep(f"wait until {condition(field, wanted)}", memory, me)
            return None
        case UserWrite(vpn):
            return user_write(vpn, memory, me, changes)
        case UserRead(vpn):
            return user_read(vpn, memory, me)
        case Walk(vpn, write):
            return walk(vpn, write, memory, me, changes)
        case Invlpg(mm, vpn, end):
            drop(me.cpu, mm, vpn, end, memory, changes)
            return None
        case SendIpi():
            return send_ipi(op, memory, me, changes)
        case FlushTlb(mm, vpn, end, gen):
            return flush_tlb(me.cpu, mm, ((vpn, end),), gen, memory, changes)
        case AskFlush(mm, vpn, end):
            return ask_flush(mm, vpn, end, memory, changes)
        case CopyPage(dst, src):
            assert isinstance(dst, Page) and isinstance(src, Page)
            data = load(src.data, memory, me)
            check_alive(dst.data, memory, me)
            store(dst.data, data, memory, changes)
            return None
        case Alloc():
            return alloc(op, memory, me, changes)
        case Free(ref):
            free(ref, memory, me, changes)
            invariants.after(op, memory)
            return None
        case RcuReadLock() | RcuReadUnlock():
            rcu_section(type(op) is RcuReadLock, memory, me, changes)
            return None
        case Choose(options, what):
            if not 0 <= choice < options:
                raise BadSchedule(f"{me.current} chooses {what}: {choice} is not between 0 and {options - 1}")
            return choice
        case Bug(kind, sentence, culprits):
            raise Violation(kind, sentence, culprits)
        case _:
            raise AssertionError(f"{op!r} is not a step")


# --- locks -----------------------------------------------------------------------------------------------


def _acquire(lock: Field, mode: str, nested: bool, memory: Memory, me: Context, changes: list[Change]) -> Any:
    check_alive(lock, memory, me)
    task, kind = me.current, lock.lock
    assert kind is not None, f"{lock} is no lock"
    held = get(memory, task.held)
    for other, _ in held:
        assert other.lock is not None
        if other.lock.rank >= kind.rank + nested and not get(memory, task.lockdep_recursion):
            sentence = f"{task} takes {lock_words(lock)} while it holds {lock_words(other)}"
            raise Violation("lock order", sentence, (lock.ref, other.ref))
        if kind.sleeps and not other.lock.sleeps:
            _check_may_sleep(f"sleep on {lock_words(lock)}", memory, me)
    value = memory.get(lock, lock.default)
    if not isinstance(value, locks.Rwsem):
        store(lock, task, memory, changes)
    elif locks.holds_times(value, task, mode) == held.count((lock, mode)):  # a reader may nest, and then has it twice
        if not locks.can_take(value, mode):
            store(lock, locks.enqueue(value, task, mode), memory, changes)
            return BLOCKED
        store(lock, locks.take(value, task, mode), memory, changes)
    # else: a rwsem that was handed to the task while it queued
    store(task.held, (*held, (lock, mode)), memory, changes)
    return None


def _check_may_sleep(what: str, memory: Memory, me: Context) -> None:
    for lock, _ in get(memory, me.current.held):
        if not lock.lock.sleeps:
            sentence = f"{me.current} may {what} while it holds {lock_words(lock)}"
            raise Violation("sleep in atomic", sentence, (lock.ref,))


def _try_acquire(lock: Field, mode: str, memory: Memory, me: Context, changes: list[Change]) -> bool:
    check_alive(lock, memory, me)
    value = memory.get(lock, lock.default)
    if not locks.can_take(value, mode):
        return False
    store(lock, locks.take(value, me.current, mode), memory, changes)
    held = me.current.held
    store(held, (*get(memory, held), (lock, mode)), memory, changes)
    return True


def _release(lock: Field, mode: str, memory: Memory, me: Context, changes: list[Change]) -> None:
    check_alive(lock, memory, me)
    task = me.current
    value = memory.get(lock, lock.default)
    held = list(get(memory, task.held))
    if not locks.holds(value, task, mode) or (lock, mode) not in held:
        raise Violation("release without hold", f"{task} releases {lock_words(lock)} and does not hold it", (lock.ref,))
    held.remove((lock, mode))
    store(lock, locks.give_back(value, task, mode), memory, changes)
    store(task.held, tuple(held), memory, changes)


def describe(op: Op) -> str:
    """What a blocked operation waits for, in a few words."""
    if isinstance(op, Acquire):
        return f"it waits for {lock_words(op.lock)}" + ("" if op.mode == EXCLUSIVE else " to read")
    if isinstance(op, Until):
        return f"it waits until {condition(op.field, op.value)}"
    return "it waits for an interrupt" if isinstance(op, HandleIpi) else repr(op)
