"""What each operation means for memory: the only interpreter of operations.

:func:`execute` is a pure function of an operation, a memory and who does it.  :mod:`sim.machine` drives the
coroutines of a run with it; the checker calls it with a memory that notes what was touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from sim import invariants, locks
from sim.context import Context
from sim.errors import BadSchedule
from sim.invariants import Memory, Violation, get
from sim.ops import (
    EXCLUSIVE,
    TLB_FLUSH_ALL,
    Acquire,
    Add,
    AddUnless,
    Alloc,
    Bug,
    Choose,
    CopyPage,
    Field,
    Free,
    HandleIpi,
    Invlpg,
    Op,
    Release,
    SendIpi,
    TryAcquire,
    Until,
    UserRead,
    UserWrite,
    Walk,
    Write,
    Xchg,
)
from sim.structs import Cpu, IpiRequest, Page, Pte, Struct, TlbEntry, Written


class Change(NamedTuple):
    """One field that a step changed."""

    field: Field
    old: Any
    new: Any


#: Makes a :class:`Change` of three values in half the time; this module makes more of them than of anything else.
_new = tuple.__new__


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
        return bool(get(memory, me.cpu.call_single_queue))
    return True


def awaited(op: Op, me: Context) -> Field | None:
    """The one field on which it depends whether *op* is enabled, or None if it always is."""
    if isinstance(op, Acquire):
        return op.lock
    if isinstance(op, Until):
        return op.field
    return me.cpu.call_single_queue if isinstance(op, HandleIpi) else None


def execute(op: Op, memory: Memory, me: Context, changes: list[Change], choice: int = 0) -> Any:
    """Do *op*, which is enabled, for *me*: change *memory*, note each change, and return the answer.

    Raises:
        Violation: on misuse, and when an invariant no longer holds.
    """
    match op:  # the most frequent first
        case Field():
            if op.life is not None and memory.get(op.life):
                _check_alive(op, memory, me)
            return memory.get(op, op.default)
        case HandleIpi():
            return _handle_ipi(memory, me, changes)
        case Write(field, value):
            _check_alive(field, memory, me)
            _store(field, value, memory, changes)
            return None
        case Add(field, delta):
            value = _load(field, memory, me) + delta
            _store(field, value, memory, changes)
            return value
        case AddUnless(field, delta, unless):
            value = _load(field, memory, me)
            if value == unless:
                return False
            _store(field, value + delta, memory, changes)
            return True
        case Xchg(field, value):
            old = _load(field, memory, me)
            _store(field, value, memory, changes)
            return old
        case Acquire(lock, mode, nested):
            return _acquire(lock, mode, nested, memory, me, changes)
        case TryAcquire(lock, mode):
            return _try_acquire(lock, mode, memory, me, changes)
        case Release(lock, mode):
            _release(lock, mode, memory, me, changes)
            invariants.after(op, memory)
            return None
        case Until(field, _, sleeps):
            _check_alive(field, memory, me)
            if sleeps:
                _check_may_sleep(f"wait for {field}", memory, me)
            return None
        case UserWrite(vpn):
            return _user_write(vpn, memory, me, changes)
        case UserRead(vpn):
            return _user_read(vpn, memory, me)
        case Walk(vpn, write):
            return _walk(vpn, write, memory, me, changes)
        case Invlpg(mm, vpn, end):
            _drop(me.cpu, mm, vpn, end, memory, changes)
            return None
        case SendIpi(mm, vpn, end):
            return _send_ipi(mm, vpn, end, memory, me, changes)
        case CopyPage(dst, src):
            assert isinstance(dst, Page) and isinstance(src, Page)
            data = _load(src.data, memory, me)
            _check_alive(dst.data, memory, me)
            _store(dst.data, data, memory, changes)
            return None
        case Alloc(struct, init):
            return _alloc(struct, init, memory, me, changes)
        case Free(ref):
            if memory.get(ref.life):
                raise Violation("double free", f"{me.current} frees {ref}, which is free already", (ref,))
            _store(ref.life, True, memory, changes)
            invariants.after(op, memory)
            return None
        case Choose(options, what):
            if not 0 <= choice < options:
                raise BadSchedule(f"{me.current} chooses {what}: {choice} is not between 0 and {options - 1}")
            return choice
        case Bug(kind, sentence, culprits):
            raise Violation(kind, sentence, culprits)
        case _:
            raise AssertionError(f"{op!r} is not a step")


def _check_alive(field: Field, memory: Memory, me: Context) -> None:
    if field.life is not None and memory.get(field.life):
        raise Violation("use after free", f"{me.current} touches {field}, but {field.ref} was freed", (field.ref,))


def _load(field: Field, memory: Memory, me: Context) -> Any:
    if field.life is not None and memory.get(field.life):
        _check_alive(field, memory, me)
    return memory.get(field, field.default)


def _store(field: Field, value: Any, memory: Memory, changes: list[Change]) -> None:
    old = memory.get(field, field.default)
    if old == value:
        return
    memory[field] = value
    changes.append(_new(Change, (field, old, value)))
    if field.base == "pte":
        _count_pte(old, -1, memory, changes)
        _count_pte(value, +1, memory, changes)


def _count_pte(pte: Pte | None, by: int, memory: Memory, changes: list[Change]) -> None:
    """Keep the two ghosts of a frame that say how many PTEs name it."""
    if pte is not None:
        ghost = pte.page.migration_ptes if pte.kind == "migration" else pte.page.present_ptes
        _store(ghost, get(memory, ghost) + by, memory, changes)


# --- locks -----------------------------------------------------------------------------------------------


def _acquire(lock: Field, mode: str, nested: bool, memory: Memory, me: Context, changes: list[Change]) -> Any:
    _check_alive(lock, memory, me)
    task, kind = me.current, lock.lock
    assert kind is not None, f"{lock} is no lock"
    held = get(memory, task.held)
    for other, _ in held:
        assert other.lock is not None
        if other.lock.rank >= kind.rank + nested:
            raise Violation("lock order", f"{task} takes {lock} while it holds {other}", (lock.ref, other.ref))
        if kind.sleeps and not other.lock.sleeps:
            _check_may_sleep(f"sleep on {lock}", memory, me)
    value = memory.get(lock, lock.default)
    if isinstance(value, locks.Rwsem) and not locks.holds(value, task, mode):
        if not locks.can_take(value, mode):
            _store(lock, locks.enqueue(value, task, mode), memory, changes)
            return BLOCKED
        _store(lock, locks.take(value, task, mode), memory, changes)
    elif not isinstance(value, locks.Rwsem):
        _store(lock, task, memory, changes)
    # else: a rwsem that was handed to the task while it queued
    _store(task.held, (*held, (lock, mode)), memory, changes)
    return None


def _check_may_sleep(what: str, memory: Memory, me: Context) -> None:
    for lock, _ in get(memory, me.current.held):
        if not lock.lock.sleeps:
            raise Violation("sleep in atomic", f"{me.current} may {what} while it holds {lock}", (lock.ref,))


def _try_acquire(lock: Field, mode: str, memory: Memory, me: Context, changes: list[Change]) -> bool:
    _check_alive(lock, memory, me)
    value = memory.get(lock, lock.default)
    if not locks.can_take(value, mode):
        return False
    _store(lock, locks.take(value, me.current, mode), memory, changes)
    held = me.current.held
    _store(held, (*get(memory, held), (lock, mode)), memory, changes)
    return True


def _release(lock: Field, mode: str, memory: Memory, me: Context, changes: list[Change]) -> None:
    _check_alive(lock, memory, me)
    task = me.current
    value = memory.get(lock, lock.default)
    held = list(get(memory, task.held))
    if not locks.holds(value, task, mode) or (lock, mode) not in held:
        raise Violation("release without hold", f"{task} releases {lock} and does not hold it", (lock.ref,))
    held.remove((lock, mode))
    _store(lock, locks.give_back(value, task, mode), memory, changes)
    _store(task.held, tuple(held), memory, changes)


# --- user code, TLBs and interrupts ----------------------------------------------------------------------


def _user_write(vpn: int, memory: Memory, me: Context, changes: list[Change]) -> bool:
    entry = get(memory, me.cpu.tlb[me.mm, vpn])
    if entry is None or not entry.write or not entry.dirty:
        return False
    _check_frame(entry.page, vpn, memory, me)
    shadow = me.mm.shadow[vpn]
    last = get(memory, shadow)
    written = Written(vpn, last.number + 1 if last else 1, me.mm)
    _store(entry.page.data, written, memory, changes)
    _store(shadow, written, memory, changes)
    return True


def _user_read(vpn: int, memory: Memory, me: Context) -> bool:
    entry = get(memory, me.cpu.tlb[me.mm, vpn])
    if entry is None:
        return False
    _check_frame(entry.page, vpn, memory, me)
    seen, last = get(memory, entry.page.data), get(memory, me.mm.shadow[vpn])
    if seen != last:
        pte = invariants.pte_of(memory, me.mm, vpn)
        kind = "lost write" if pte is not None and pte.page is entry.page else "stale read"
        numbers = [it.number if it else 0 for it in (seen, last)]
        sentence = f"{me.current} reads write {numbers[0]} of page {vpn}, the last was {numbers[1]}"
        raise Violation(kind, sentence, (entry.page,))
    return True


def _check_frame(page: Page, vpn: int, memory: Memory, me: Context) -> None:
    """User code reached *page* through its TLB: the frame must still be that virtual page's.

    It may hold the page's data, older data of it, or none; not what was written elsewhere, unless that came here by
    fork or mremap.
    """
    data, last = get(memory, page.data), get(memory, me.mm.shadow[vpn])
    if memory.get(page.life):
        why = "which has been freed"
    elif data is not None and data != last and (data.vpn, data.mm) != (vpn, me.mm):
        if last is not None and (data.vpn, data.mm) == (last.vpn, last.mm):
            return  # older data of where the page came from
        why = f"which now holds page {data.vpn} of {data.mm}"
    else:
        return
    raise Violation("foreign frame", f"{me.current} uses page {vpn} in {page}, {why}", (page,))


def _walk(vpn: int, write: bool, memory: Memory, me: Context, changes: list[Change]) -> str | None:
    table = get(memory, me.mm.pmd[vpn // 512])
    field = None if table is None else table.pte[vpn % 512]
    pte = None if field is None else get(memory, field)
    if field is None or pte is None:
        return "none"
    if pte.kind != "present":
        return str(pte.kind)
    if write and not pte.write:
        return "read_only"
    if write and not pte.dirty:
        pte = pte._replace(dirty=True)
        _store(field, pte, memory, changes)
    _store(me.cpu.tlb[me.mm, vpn], TlbEntry(pte.page, pte.write, pte.dirty), memory, changes)
    return None


def _send_ipi(mm: Any, vpn: int, end: int, memory: Memory, me: Context, changes: list[Change]) -> int:
    others = [cpu for cpu in get(memory, mm.cpu_vm_mask) if cpu is not me.cpu]
    request = IpiRequest(me.cpu, mm, vpn, end)
    for cpu in others:
        queue = cpu.call_single_queue
        _store(queue, (*memory.get(queue, ()), request), memory, changes)
    _store(me.cpu.csd_pending, len(others), memory, changes)
    return len(others)


def _handle_ipi(memory: Memory, me: Context, changes: list[Change]) -> None:
    cpu = me.cpu
    queue = cpu.call_single_queue
    requests = memory.get(queue, ())
    sender, mm, vpn, end = requests[0]
    _drop(cpu, mm, vpn, end, memory, changes)
    _store(queue, requests[1:], memory, changes)
    pending = sender.csd_pending
    _store(pending, memory.get(pending, 0) - 1, memory, changes)


def _drop(cpu: Cpu, mm: Any, vpn: int, end: int, memory: Memory, changes: list[Change]) -> None:
    """Take the pages of *mm* from *vpn* to before *end* out of the TLB of *cpu*."""
    pages: Iterable[int] = range(vpn, end or vpn + 1)
    if end == TLB_FLUSH_ALL:
        keys: list[Any] = list(cpu.tlb)
        pages = sorted(page for of, page in keys if of is mm)
    for page in pages:
        _store(cpu.tlb[mm, page], None, memory, changes)


def _alloc(
    struct: type[Struct], init: tuple[tuple[str, Any], ...], memory: Memory, me: Context, changes: list[Change]
) -> Struct:
    number = get(memory, me.current.allocs) + 1
    _store(me.current.allocs, number, memory, changes)
    ref = struct(f"{me.current}.{struct.short}{number}")
    for name, value in init:
        _store(getattr(ref, name), value, memory, changes)
    return ref


def describe(op: Op) -> str:
    """What a blocked operation waits for, in a few words."""
    if isinstance(op, Acquire):
        return f"it waits for {op.lock}" + ("" if op.mode == EXCLUSIVE else " to read")
    if isinstance(op, Until):
        return f"it waits until {op.field} is {op.value}"
    return "it waits for an interrupt" if isinstance(op, HandleIpi) else repr(op)
