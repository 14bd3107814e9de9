"""A trace, one moment after another: what a lens and a sentence are told.

A :class:`Run` knows a trace as a whole (its tasks and their colours, when each task is next seen, which fields are
ever touched); a :class:`Moment` is the state after one step.  Both only read the trace.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sim.invariants import pte_of
from sim.locks import Rwsem, is_queued
from sim.machine import awaited
from sim.ops import Acquire, Field, FlushTlb, HandleIpi, Invlpg, Op, TryAcquire, Until
from vizlib import theme
from vizlib.events import kernel_frames, things_of

if TYPE_CHECKING:
    from sim.machine import Event, Frame
    from sim.trace import Trace

#: The source file of user code: whoever stands there is not in the kernel.
USER_CODE = "sim/user.py"
#: Among the news of every step: the step itself.
STEP: Final = "step"
#: Instead of what a moment does not hold.
NOTHING: Final = object()
#: The steps that take entries out of a TLB, that of the CPU on which they are made.
FLUSHES: Final = (FlushTlb, HandleIpi, Invlpg)


class Actor(NamedTuple):
    """A task as the picture knows it.

    Attributes:
        task: the task.
        name: its name.
        letter: how a schedule calls it.
        cpu: the CPU it is pinned to.
        kind: ``thread``, ``spinner`` (never finishes) or ``handler`` (a CPU's interrupt handler).
        colour: the name of its colour.
        title: what it is, in a few words.
    """

    task: Any
    name: str
    letter: str
    cpu: Any
    mm: Any
    kind: str
    colour: str
    title: str

    @property
    def cpu_name(self) -> str:
        """The CPU in English: ``CPU 0``."""
        return cpu_name(self.cpu)


def cpu_name(cpu: Any) -> str:
    """A CPU in English: ``CPU 0``."""
    return str(cpu).replace("cpu", "CPU ")


class Run:
    """A trace as a whole.

    Attributes:
        any_order: whether the trace stands for every order of its steps, so that nothing is known of when a thing is
            there and when not.
    """

    def __init__(self, trace: Trace, *, any_order: bool = False) -> None:
        self.trace = trace
        self.any_order = any_order
        self.events: tuple[Event, ...] = tuple(trace.events)
        self.first: Mapping[Field, Any] = trace.memory_at(0)
        self._seen: dict[Any, list[int]] = {}
        for at, event in enumerate(self.events):
            self._seen.setdefault(event.task, []).append(at)
        self.actors = self._actors()
        self.actor = {it.task: it for it in self.actors}
        self._news: dict[int, frozenset[Any]] = {}

    def _actors(self) -> tuple[Actor, ...]:
        actors: list[Actor] = []
        threads = 0
        for number, info in enumerate(self.trace.tasks):
            kind = "thread" if not info.daemon else "handler" if self._handles_ipis(number) else "spinner"
            if kind == "handler":
                colour = next((it.colour for it in actors if it.cpu is info.cpu), "task7")
            else:
                colour = theme.task_colour(threads)
                threads += 1
            actors.append(Actor(info.task, str(info.task), info.letter, info.cpu, info.mm, kind, colour, info.title))
        return tuple(actors)

    def _handles_ipis(self, number: int) -> bool:
        info = self.trace.tasks[number]
        return isinstance(self.op_at(info.task, 0), HandleIpi) or str(info.task).startswith("ipi@")

    @property
    def length(self) -> int:
        """How many steps there are."""
        return len(self.events)

    @cached_property
    def last_stacks(self) -> dict[Any, tuple[Frame, ...]]:
        """Where each task stands at the end, if the trace knows."""
        tasks = [info.task for info in self.trace.tasks]
        return dict(zip(tasks, self.trace.last_stacks or [()] * len(tasks), strict=True))

    @cached_property
    def _last_ops(self) -> dict[Any, Op | None]:
        tasks = [info.task for info in self.trace.tasks]
        return dict(zip(tasks, self.trace.pending or [None] * len(tasks), strict=True))

    def next_event(self, task: Any, step: int) -> int | None:
        """The index of the first event of *task* after *step*, or None."""
        seen = self._seen.get(task, [])
        at = bisect_left(seen, step)
        return seen[at] if at < len(seen) else None

    def op_at(self, task: Any, step: int) -> Op | None:
        """What *task* would do next after *step*, or None if it has finished."""
        at = self.next_event(task, step)
        return self._last_ops.get(task) if at is None else self.events[at].op

    def waits_for(self, actor: Actor, step: int) -> Field | None:
        """The field that keeps *actor* from running after *step*, or None if it can run or has finished."""
        free = actor.name in self.trace.runnable[step]
        return None if free else awaited(self.op_at(actor.task, step), actor.cpu)

    def news(self, step: int) -> frozenset[Any]:
        """What is to be asked anew after *step*: questions to a moment, as ``Moment.acts, actor``, and :data:`STEP`."""
        if step not in self._news:
            self._news[step] = frozenset(self._news_at(step))
        return self._news[step]

    def _news_at(self, step: int) -> Iterator[Any]:
        """Every question to which the answer can be another than before."""
        event, last = self.events[step - 1], self.events[step - 2] if step > 1 else None
        actor = self.actor[event.task]
        told, before = self._told[step - 1], self._told[step - 2] if step > 1 else frozenset()
        yield STEP
        yield from told ^ before if last is not None and last.task is event.task else told | before
        yield from ((Moment.remembers, change.field) for change in event.changes)
        yield Moment.intends, event.task
        if self.op_at(event.task, step) is None:
            yield Moment.has_next, actor
        for made in (event,) if last is None else (event, last):
            yield Moment.stack_of, self.actor[made.task]
            yield from ((Moment.changed_in, change.field.ref) for change in made.changes)
            if isinstance(made.op, FLUSHES):
                yield Moment.flush_by, self.actor[made.task]
        now, then = self.trace.runnable[step], self.trace.runnable[step - 1]
        freed = [it for it in self.actors if (it.name in now) != (it.name in then)] if now != then else []
        yield from ((Moment.can_run, it) for it in freed)
        for it in (actor, *freed):
            awaits, awaited = self.waits_for(it, step), self.waits_for(it, step - 1)
            if awaits is not awaited:
                yield from ((Moment.waits_for, it), (Moment.waiters, awaits), (Moment.waiters, awaited))

    @cached_property
    def _told(self) -> list[frozenset[Any]]:
        """By event the questions to which the answer is yes, or who did it, at its step."""
        return [
            frozenset(
                (
                    (Moment.acts, self.actor[event.task]),
                    *((Moment.toucher, it) for it in things),
                    *((Moment.changes, change.field) for change in event.changes),
                )
            )
            for event, things in zip(self.events, self._things, strict=True)
        ]

    @cached_property
    def _things(self) -> list[frozenset[Any]]:
        return [things_of(it) for it in self.events]

    def stack_of_event(self, at: int) -> tuple[Frame, ...]:
        """The call stack of the event with index *at*; empty if the trace holds none."""
        stacks = self.trace.stacks
        return kernel_frames(stacks[at]) if at < len(stacks) else ()

    def stack_at(self, task: Any, step: int) -> tuple[Frame, ...]:
        """Where *task* stands after *step*: the call stack of its next operation."""
        at = self.next_event(task, step)
        return kernel_frames(self.last_stacks.get(task) or ()) if at is None else self.stack_of_event(at)

    @cached_property
    def touched(self) -> frozenset[Any]:
        """Every field that any event of the trace names or changes, and every object of theirs."""
        return frozenset().union(*self._things)

    @cached_property
    def ever(self) -> dict[Field, list[Any]]:
        """Every value that each field has in this run, in order; only fields that are not at their default."""
        values: dict[Field, list[Any]] = {field: [value] for field, value in self.first.items()}
        for event in self.events:
            for change in event.changes:
                values.setdefault(change.field, [change.old]).append(change.new)
        return values

    @cached_property
    def tables(self) -> dict[Any, Field]:
        """For each page table the slot (``mm.pmd[1]``) that points to it."""
        return {
            table: slot
            for slot, values in self.ever.items()
            if slot.base == "pmd"
            for table in values
            if hasattr(table, "ptl")  # and not a huge page, or nothing
        }

    @cached_property
    def frames(self) -> tuple[Any, ...]:
        """Every frame of the run, in the order in which they come into it."""
        found = dict.fromkeys(it.ref for it in self.ever if it.base == "_count")
        return tuple(found)

    @cached_property
    def remembered(self) -> tuple[Field, ...]:
        """The places in TLBs that the run fills.  (A CPU's table has those of every run there was in the process.)"""
        return tuple(it for it in self.ever if it.base == "tlb")

    @cached_property
    def locked(self) -> frozenset[Field]:
        """The locks that the run takes, tries, or waits for."""
        ops = [it.op for it in self.events] + [it for it in self._last_ops.values() if it is not None]
        found = {op.lock for op in ops if isinstance(op, (Acquire, TryAcquire))}
        return frozenset(found | {op.field for op in ops if isinstance(op, Until) and op.field.lock is not None})

    @cached_property
    def awaited(self) -> dict[str, Field]:
        """By id (``field:f1.PG_writeback``) what threads wait for beside locks and the answers to interrupts."""
        ops = [it.op for it in self.events] + [it for it in self._last_ops.values() if it is not None]
        fields = dict.fromkeys(it.field for it in ops if isinstance(it, Until) and it.field.lock is None)
        # A task that computes, or is idle, for ever waits for a count of its own: nobody keeps it waiting.
        return {f"field:{it}": it for it in fields if it.base not in ("csd_pending", "allocs")}

    @cached_property
    def rwsems(self) -> tuple[Field, ...]:
        """Those of the locks in whose queue a task can stand."""
        return tuple(it for it in self.locked if isinstance(self.first.get(it, it.default), Rwsem))

    @cached_property
    def queues(self) -> tuple[Field, ...]:
        """The CPUs' queues of interrupt requests, as far as the run uses them."""
        return tuple(it for it in self.ever if it.base == "call_single_queue")

    def moments(self) -> Iterator[Moment]:
        """The state after each step, from 0 on.  Use one before you ask for the next: the memory is shared."""
        memory = dict(self.first)
        pending = {it.task: self.op_at(it.task, 0) for it in self.actors}
        yield Moment(self, 0, memory, pending, None)
        for step, event in enumerate(self.events, 1):
            memory.update((change.field, change.new) for change in event.changes)
            pending[event.task] = self.op_at(event.task, step)
            yield Moment(self, step, memory, pending, event)

    def moment(self, step: int) -> Moment:
        """The state after *step*."""
        for it in self.moments():
            if it.step == step:
                return it
        raise IndexError(f"step {step} is not between 0 and {self.length}")


class Moment:
    """The state after one step, and the step that led there."""

    def __init__(
        self, run: Run, step: int, memory: Mapping[Field, Any], pending: Mapping[Any, Op | None], event: Event | None
    ) -> None:
        self.run = run
        self.step = step
        self.memory = memory
        self.pending = pending
        self.event = event
        self.ended = step == run.length

    def remembers(self, field: Field) -> Any:
        """What stands in the memory, or :data:`NOTHING`: then *field* has never been written."""
        return self.memory.get(field, NOTHING)

    def intends(self, task: Any) -> Any:
        """What *task* would do next; None if it has finished, :data:`NOTHING` if there is no such task."""
        return self.pending.get(task, NOTHING)

    def get(self, field: Field) -> Any:
        """The value of *field* now."""
        return self.memory.get(field, field.default)

    def pte_of(self, mm: Any, vpn: int) -> Any:
        """The PTE of a virtual page, or None; of a page in a huge one what a PTE would say."""
        return pte_of(self.memory, mm, vpn)  # type: ignore[arg-type]  # it reads only

    @property
    def actor(self) -> Actor | None:
        """Who did the step."""
        return None if self.event is None else self.run.actor[self.event.task]

    @cached_property
    def stack(self) -> tuple[Frame, ...]:
        """The call stack of the step, outermost first."""
        return () if self.event is None else self.run.stack_of_event(self.step - 1)

    @cached_property
    def functions(self) -> tuple[str, ...]:
        """The functions on that stack, outermost first."""
        return tuple(frame.function for frame in self.stack)

    @cached_property
    def changed(self) -> dict[Field, Any]:
        """The fields that the step changed, with their old values."""
        return {} if self.event is None else {change.field: change.old for change in self.event.changes}

    @cached_property
    def things(self) -> frozenset[Any]:
        """What the step was about: see :func:`things_of`."""
        return frozenset() if self.event is None else things_of(self.event)

    def toucher(self, thing: Any) -> Actor | None:
        """Who made the step, if it named the field or object *thing*."""
        return self.actor if thing in self.things else None

    def changes(self, field: Field) -> bool:
        """Whether the step changed *field*."""
        return field in self.changed

    def changed_in(self, thing: Any) -> tuple[Field, ...]:
        """The fields of *thing* that the step changed."""
        return tuple(it for it in self.changed if it.ref is thing)

    def acts(self, actor: Actor) -> bool:
        """Whether *actor* made the step."""
        return self.event is not None and self.event.task is actor.task

    def flush_by(self, actor: Actor) -> Op | None:
        """The step, if *actor* made it and it takes entries out of the TLB of its CPU."""
        op = self.event.op if self.event is not None and self.acts(actor) else None
        return op if isinstance(op, FLUSHES) else None

    @cached_property
    def runnable(self) -> frozenset[str]:
        """The names of the tasks that can make a step now."""
        return frozenset(self.run.trace.runnable[self.step])

    def can_run(self, actor: Actor) -> bool:
        """Whether *actor* can make a step now."""
        return actor.name in self.runnable

    def has_next(self, actor: Actor) -> bool:
        """Whether there is a step that *actor* would make next."""
        return self.pending.get(actor.task) is not None

    def finished(self, actor: Actor) -> bool:
        """Whether *actor* has nothing left to do."""
        if actor.kind != "thread" or self.has_next(actor) or self.can_run(actor):
            return False
        return not self.stopped(actor) and not self.get(actor.task.held) and not self._queues(actor)

    def _queues(self, actor: Actor) -> bool:
        return any(is_queued(self.get(lock), actor.task) for lock in self.run.rwsems)

    def stopped(self, actor: Actor) -> bool:
        """Whether the run ended with a violation before *actor* was through, so that it is not seen again."""
        violation = self.run.trace.violation
        if violation is None or violation.kind == "deadlock":
            return False
        before = self.run.trace.runnable[max(self.run.length - 1, 0)]
        if not self.has_next(actor):
            return bool(self.get(actor.task.held)) or (not self.run.trace.pending and actor.name in before)
        return self.ended and actor.name in before

    def waits_for(self, actor: Actor) -> Field | None:
        """The field that keeps *actor* from running, or None if it can run or has finished."""
        return None if self.can_run(actor) else awaited(self.pending.get(actor.task), actor.cpu)

    def waiters(self, field: Field) -> tuple[Actor, ...]:
        """Those that *field* keeps from running."""
        return tuple(it for it in self.run.actors if self.waits_for(it) is field)

    def stack_of(self, actor: Actor) -> tuple[Frame, ...]:
        """Who did the step: the lines that ran.  Anybody else: the lines on which it stands."""
        if self.event is not None and actor.task is self.event.task:
            return self.stack
        return self.run.stack_at(actor.task, self.step)
