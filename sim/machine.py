"""The only interpreter of operations: what each means for memory.  No policy, no clock, no drawing.

:func:`execute` is a pure function of an operation, a memory and who does it; the checker calls it with a
memory that notes what was touched.  :class:`Machine` drives the coroutines of one run with it, one step at a
time, in whatever order it is told.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from types import GeneratorType
from typing import Any, Final, NamedTuple

from sim import guard, invariants, locks
from sim.context import Context
from sim.errors import BadSchedule, NotAnOperation, UserError
from sim.invariants import Memory, Violation, get
from sim.ops import (
    EXCLUSIVE,
    STEPS,
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
    Point,
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
from sim.structs import IpiRequest, Page, Pte, Struct, Task, TlbEntry
from sim.variants import Variant
from sim.worlds import Setup, TaskInfo


class Change(NamedTuple):
    """One field that a step changed."""

    field: Field
    old: Any
    new: Any


class Frame(NamedTuple):
    """One level of a call stack: function, file as it stands in the project, line."""

    function: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Event:
    """What one step did.

    Attributes:
        step: its number, counted from 1 after set-up.
        task: who did it.
        op: the operation.
        choice: the number chosen if the operation is a free decision.
        answer: what the coroutine was sent.
        outcome: ``done``, ``blocked`` (it joined a queue) or ``bug``.
        changes: the fields that changed.
        points: the tracepoints that it passed on its way to its next operation.
        violation: what went wrong, if the outcome is ``bug``.
    """

    step: int
    task: Task
    op: Op
    choice: int | None
    answer: Any
    outcome: str
    changes: tuple[Change, ...]
    points: tuple[str, ...] = ()
    violation: Violation | None = None


class _Blocked:
    def __repr__(self) -> str:
        return "BLOCKED"


#: What :func:`execute` answers when the task has joined a queue and keeps its operation.
BLOCKED: Final = _Blocked()

_IS_STEP: Final = frozenset(STEPS)
_MAX_POINTS = 10_000


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
    match op:
        case Field():
            return _load(op, memory, me)
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
        case Acquire(lock, mode):
            return _acquire(lock, mode, memory, me, changes)
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
        case HandleIpi():
            request, *rest = get(memory, me.cpu.call_single_queue)
            _store(me.cpu.tlb[request.mm, request.vpn], None, memory, changes)
            _store(me.cpu.call_single_queue, tuple(rest), memory, changes)
            pending = request.sender.csd_pending
            _store(pending, get(memory, pending) - 1, memory, changes)
            return None
        case Invlpg(mm, vpn):
            _store(me.cpu.tlb[mm, vpn], None, memory, changes)
            return None
        case SendIpi(mm, vpn):
            return _send_ipi(mm, vpn, memory, me, changes)
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
    changes.append(Change(field, old, value))
    if field.base == "pte":
        _count_pte(old, -1, memory, changes)
        _count_pte(value, +1, memory, changes)


def _count_pte(pte: Pte | None, by: int, memory: Memory, changes: list[Change]) -> None:
    """Keep the two ghosts of a frame that say how many PTEs name it."""
    if pte is not None:
        ghost = pte.page.migration_ptes if pte.kind == "migration" else pte.page.present_ptes
        _store(ghost, get(memory, ghost) + by, memory, changes)


# --- locks -----------------------------------------------------------------------------------------------


def _acquire(lock: Field, mode: str, memory: Memory, me: Context, changes: list[Change]) -> Any:
    _check_alive(lock, memory, me)
    task, kind = me.current, lock.lock
    assert kind is not None, f"{lock} is no lock"
    held = get(memory, task.held)
    for other, _ in held:
        assert other.lock is not None
        if other.lock.rank >= kind.rank:
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
    number = get(memory, shadow) + 1
    _store(entry.page.data, (vpn, number), memory, changes)
    _store(shadow, number, memory, changes)
    return True


def _user_read(vpn: int, memory: Memory, me: Context) -> bool:
    entry = get(memory, me.cpu.tlb[me.mm, vpn])
    if entry is None:
        return False
    _check_frame(entry.page, vpn, memory, me)
    data = get(memory, entry.page.data)
    seen, last = (data[1] if data else 0), get(memory, me.mm.shadow[vpn])
    if seen != last:
        pte = invariants.pte_of(memory, me.mm, vpn)
        kind = "lost write" if pte is not None and pte.page is entry.page else "stale read"
        raise Violation(kind, f"{me.current} reads write {seen} of page {vpn}, the last was {last}", (entry.page,))
    return True


def _check_frame(page: Page, vpn: int, memory: Memory, me: Context) -> None:
    """User code reached *page* through its TLB: the frame must still be that virtual page's."""
    data = get(memory, page.data)
    if memory.get(page.life):
        why = "which has been freed"
    elif data is not None and data[0] != vpn:
        why = f"which now holds page {data[0]}"
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


def _send_ipi(mm: Any, vpn: int, memory: Memory, me: Context, changes: list[Change]) -> int:
    others = [cpu for cpu in get(memory, mm.cpu_vm_mask) if cpu is not me.cpu]
    for cpu in others:
        queue = cpu.call_single_queue
        _store(queue, (*get(memory, queue), IpiRequest(me.cpu, mm, vpn)), memory, changes)
    _store(me.cpu.csd_pending, len(others), memory, changes)
    return len(others)


def _alloc(
    struct: type[Struct], init: tuple[tuple[str, Any], ...], memory: Memory, me: Context, changes: list[Change]
) -> Struct:
    number = get(memory, me.current.allocs) + 1
    _store(me.current.allocs, number, memory, changes)
    ref = struct(f"{me.current}.{struct.short}{number}")
    for name, value in init:
        _store(getattr(ref, name), value, memory, changes)
    return ref


# --- driving coroutines ----------------------------------------------------------------------------------


def advance(coroutine: Generator[Any, Any, Any], answer: Any, memory: Memory, points: list[str]) -> Op | None:
    """Send *answer* and return the next operation that is a step, or None if the coroutine has finished.

    Tracepoints are noted in *points*; constant fields are read on the way.

    Raises:
        NotAnOperation: if it yields something else, naming file and line.
    """
    passed = 0
    try:
        op = coroutine.send(answer)
        while True:
            if type(op) is Field:
                if not op.const:
                    return op
                answer = memory.get(op, op.default)
            elif type(op) is Point:
                points.append(op.name)
                answer = None
            elif type(op) in _IS_STEP:
                return op  # type: ignore[no-any-return]
            else:
                raise NotAnOperation(_where(coroutine), f"yields {op!r}, which is no operation of sim.ops")
            passed += 1
            if passed > _MAX_POINTS:
                raise NotAnOperation(_where(coroutine), f"passes {_MAX_POINTS} tracepoints without a step")
            op = coroutine.send(answer)
    except StopIteration:
        return None
    except (UserError, Violation):
        raise
    except Exception as error:
        raise NotAnOperation(guard.place_of(error), f"raises {type(error).__name__}: {error}") from error


def stack_of(coroutine: Any) -> tuple[Frame, ...]:
    """The call stack of a suspended coroutine, outermost first."""
    frames = []
    while isinstance(coroutine, GeneratorType) and coroutine.gi_frame is not None:
        code = coroutine.gi_code
        frames.append(Frame(code.co_name, guard.shorten(code.co_filename), coroutine.gi_frame.f_lineno))
        coroutine = coroutine.gi_yieldfrom
    return tuple(frames)


def _where(coroutine: Any) -> Frame:
    return stack_of(coroutine)[-1]


class Machine:
    """One run: the coroutines of a world under a variant, and the memory they share.

    It does what it is told, one step of one task at a time; who goes next is an engine's affair.
    """

    def __init__(self, setup: Setup, variant: Variant) -> None:
        self.setup = setup
        self.variant = variant
        self.tasks: tuple[TaskInfo, ...] = setup.tasks
        self.memory: Memory = dict(setup.memory)
        self.steps = 0
        self.violation: Violation | None = None
        self.points: list[str] = []
        self._index = {info.task: i for i, info in enumerate(self.tasks)}
        self.contexts = [info.context(variant) for info in self.tasks]
        self._advance = guard.watched(advance) if variant.guarded else advance
        self._coroutines = [guard.start(info.body, k) for info, k in zip(self.tasks, self.contexts, strict=True)]
        self.ops: list[Op | None] = [self._advance(it, None, self.memory, self.points) for it in self._coroutines]
        self.first_points = tuple(self.points)

    def pending(self, task: Task) -> Op | None:
        """The operation that *task* would do next, or None if it has finished."""
        return self.ops[self._index[task]]

    def enabled(self, task: Task) -> bool:
        """Whether *task* can make a step now."""
        i = self._index[task]
        op = self.ops[i]
        return self.violation is None and op is not None and enabled(op, self.memory, self.contexts[i])

    def runnable(self) -> tuple[Task, ...]:
        """The tasks that can make a step now, in the world's order."""
        return tuple(info.task for info in self.tasks if self.enabled(info.task))

    @property
    def done(self) -> bool:
        """Whether every task that is no daemon has finished."""
        return all(op is None or info.daemon for op, info in zip(self.ops, self.tasks, strict=True))

    def step(self, task: Task, choice: int = 0) -> Event:
        """Let *task* make one step.

        Raises:
            BadSchedule: if it cannot, naming the step and who could run.
        """
        i = self._index[task]
        if not self.enabled(task):
            raise BadSchedule(self._why_not(task))
        op = self.ops[i]
        assert op is not None
        changes: list[Change] = []
        answer = self.perform(i, changes, choice)
        outcome = "bug" if self.violation else "blocked" if answer is BLOCKED else "done"
        chosen = choice if isinstance(op, Choose) else None
        points = tuple(self.points)
        return Event(self.steps, task, op, chosen, answer, outcome, tuple(changes), points, self.violation)

    def perform(self, i: int, changes: list[Change], choice: int = 0) -> Any:
        """The inner loop of a run: let task number *i*, which can, make one step; return the answer.

        The changes are appended to *changes*, the tracepoints stand in ``self.points``, a violation in
        ``self.violation``.
        """
        self.steps += 1
        self.points.clear()
        op = self.ops[i]
        try:
            answer = execute(op, self.memory, self.contexts[i], changes, choice)  # type: ignore[arg-type]
            if answer is not BLOCKED:
                self.ops[i] = following = self._advance(self._coroutines[i], answer, self.memory, self.points)
                if following is None:
                    _check_exit(self.memory, self.tasks[i].task)
        except Violation as violation:
            self.violation = violation
            return None
        return answer

    def stack(self, task: Task) -> tuple[Frame, ...]:
        """The call stack of *task*, outermost first, with the lines on which it stands."""
        return stack_of(self._coroutines[self._index[task]])

    def verdict(self) -> Violation | None:
        """What is wrong with the state as it is: a violation, a deadlock, or a broken final state."""
        if self.violation is not None:
            return self.violation
        if self.done:
            return invariants.at_end(self.memory)
        return None if self.runnable() else deadlock(self.memory, self.tasks, self.ops)

    def _why_not(self, task: Task) -> str:
        at = f"step {self.steps + 1}"
        if self.violation is not None:
            return f"{at}: the run ended at step {self.steps} with a violation ({self.violation.kind})"
        could = ", ".join(f"{info.letter} = {info.task}" for info in self.tasks if self.enabled(info.task)) or "nobody"
        op = self.pending(task)
        if op is None:
            return f"{at}: {task} has finished; who could run: {could}"
        return f"{at}: {task} is blocked ({describe(op)}); who could run: {could}"


def _check_exit(memory: Memory, task: Task) -> None:
    if held := get(memory, task.held):
        raise Violation("held at exit", f"{task} ends while it holds {held[0][0]}", (held[0][0].ref,))


def describe(op: Op) -> str:
    """What a blocked operation waits for, in a few words."""
    if isinstance(op, Acquire):
        return f"it waits for {op.lock}" + ("" if op.mode == EXCLUSIVE else " to read")
    if isinstance(op, Until):
        return f"it waits until {op.field} is {op.value}"
    return "it waits for an interrupt" if isinstance(op, HandleIpi) else repr(op)


def deadlock(memory: Memory, tasks: tuple[TaskInfo, ...], ops: list[Op | None]) -> Violation:
    """The violation for a state in which nothing can run and somebody has not finished."""
    stuck = [(info.task, op) for info, op in zip(tasks, ops, strict=True) if op is not None and not info.daemon]
    parts = []
    for task, op in stuck:
        lock = op.lock if isinstance(op, Acquire) else None
        by = locks.holders(memory.get(lock, lock.default)) if lock is not None else ()
        parts.append(f"{task}: {describe(op)}" + (f", held by {by[0]}" if by else ""))
    return Violation("deadlock", "nothing can run; " + "; ".join(parts), tuple(task for task, _ in stuck))
