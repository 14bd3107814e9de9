"""Driving the coroutines of one run, one step at a time, in whatever order it is told.

No policy, no clock, no drawing: who goes next is an engine's affair, and what an operation means stands in
:mod:`sim.interpreter`.
"""

from __future__ import annotations

from collections.abc import Generator
from types import GeneratorType
from typing import Any, Final, NamedTuple

from sim import guard, invariants, locks
from sim.effects import Change
from sim.errors import BadSchedule, NotAnOperation, UserError
from sim.interpreter import BLOCKED, awaited, describe, enabled, execute
from sim.invariants import Memory, Violation, get
from sim.ops import STEPS, Acquire, Choose, Field, Op, Point
from sim.setup import Setup, TaskInfo
from sim.structs import Page, Task
from sim.variants import Variant
from sim.wording import lock_words

__all__ = [
    "BLOCKED",
    "Change",
    "Event",
    "Frame",
    "Machine",
    "advance",
    "awaited",
    "deadlock",
    "describe",
    "enabled",
    "execute",
    "stack_of",
]

_IS_STEP: Final = frozenset(STEPS)
_MAX_POINTS = 10_000


class Frame(NamedTuple):
    """One level of a call stack: function, file as it stands in the project, line."""

    function: str
    file: str
    line: int


class Event(NamedTuple):
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


def _named(op: object) -> str:
    """What was yielded in the place of an operation; of a call whose ``from`` is missing, what to write."""
    if isinstance(op, GeneratorType):
        return f"a call of {op.__name__}, of which nothing runs: write yield from"
    return f"{op!r}, which is no operation of sim.ops"


def advance(coroutine: Generator[Any, Any, Any], answer: Any, memory: Memory, points: list[str]) -> Op | None:
    """Send *answer* and return the next operation that is a step, or None if the coroutine has finished.

    Tracepoints are noted in *points*; constant fields are read on the way.

    Raises:
        NotAnOperation: if it yields something else, naming file and line.
        Violation: if it follows a null pointer: what a pointer names may have been taken away by another task.
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
                raise NotAnOperation(_where(coroutine), f"yields {_named(op)}")
            passed += 1
            if passed > _MAX_POINTS:
                raise NotAnOperation(_where(coroutine), f"passes {_MAX_POINTS} tracepoints without a step")
            op = coroutine.send(answer)
    except StopIteration:
        return None
    except (UserError, Violation):
        raise
    except AttributeError as error:
        if error.obj is None:
            where = guard.place_of(error)
            sentence = f"{where.function} follows a null pointer to its {error.name}, at {where.file}:{where.line}"
            raise Violation("null pointer", sentence) from error
        raise NotAnOperation(guard.place_of(error), f"raises AttributeError: {error}") from error
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
        setup, variant = setup.on(variant)
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
        self.ops: list[Op | None] = []
        starts = []
        for coroutine in self._coroutines:
            self.points.clear()
            self.ops.append(self._advance(coroutine, None, self.memory, self.points))
            starts.append(tuple(self.points))
        #: The tracepoints that each task passed before its first operation.
        self.starts: tuple[tuple[str, ...], ...] = tuple(starts)

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
        memory, points = self.memory, self.points
        if points:
            points.clear()
        try:
            answer = execute(self.ops[i], memory, self.contexts[i], changes, choice)  # type: ignore[arg-type]
            if answer is not BLOCKED:
                self.ops[i] = following = self._advance(self._coroutines[i], answer, memory, points)
                if following is None:
                    check_exit(memory, self.tasks[i].task)
        except Violation as violation:
            self.violation = violation
            return None
        return answer

    def reads(self, i: int, most: int) -> list[tuple[Field, Any]]:
        """Let task number *i* make up to *most* steps as long as they read a field of an object that was not freed.

        What :meth:`perform` would do, many times over: more than half of all steps are such reads.  Returns each
        operation with its answer.  It stops after a step that passed a tracepoint (they stand in ``self.points``) and
        after the task's last.
        """
        memory, get, points, coroutine = self.memory, self.memory.get, self.points, self._coroutines[i]
        advance, op = self._advance, self.ops[i]
        made: list[tuple[Field, Any]] = []
        points.clear()
        try:
            while type(op) is Field and len(made) < most and not (op.life is not None and get(op.life)):
                answer = get(op, op.default)
                made.append((op, answer))
                self.ops[i] = op = advance(coroutine, answer, memory, points)
                if points:
                    break
            if op is None:
                check_exit(memory, self.tasks[i].task)
        except Violation as violation:
            self.violation = violation
            made[-1] = (made[-1][0], None)
        self.steps += len(made)
        return made

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


def check_exit(memory: Memory, task: Task) -> None:
    """Check that *task*, which has come to its end, holds no lock.

    Raises:
        Violation: naming the lock.
    """
    if held := get(memory, task.held):
        raise Violation("held at exit", f"{task} ends while it holds {lock_words(held[0][0])}", (held[0][0].ref,))


def deadlock(memory: Memory, tasks: tuple[TaskInfo, ...], ops: list[Op | None]) -> Violation:
    """The violation for a state in which nothing can run and somebody has not finished."""
    stuck = [(info.task, op) for info, op in zip(tasks, ops, strict=True) if op is not None and not info.daemon]
    parts = []
    for task, op in stuck:
        lock = op.lock if isinstance(op, Acquire) else None
        by = locks.holders(memory.get(lock, lock.default)) if lock is not None else ()
        parts.append(f"{task}: {describe(op)}" + (f", held by {by[0]}" if by else ""))
    second = any(isinstance(op, Acquire) and _is_second_page_lock(op.lock, task, memory) for task, op in stuck)
    rule = invariants.ONE_PAGE_LOCK_AT_A_TIME if second else ""
    return Violation("deadlock", "nothing can run; " + "; ".join(parts), tuple(task for task, _ in stuck), rule)


def _is_second_page_lock(lock: Field, task: Task, memory: Memory) -> bool:
    """Whether *lock* is that of a page, and *task* holds another page's."""
    return isinstance(lock.ref, Page) and any(isinstance(it.ref, Page) for it, _ in get(memory, task.held))
