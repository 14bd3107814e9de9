"""The books of a run that is replayed from a tape: what each step costs and is counted, and which comes next."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, Final

from sim.engines.costs import Costs, row_of
from sim.engines.counts import COUNTS, TIMED_COUNTS
from sim.engines.shared import Shared as SharedThings
from sim.engines.tape import Segment, Tape, played
from sim.engines.tape_recorder import Private, Shared
from sim.interpreter import BLOCKED, execute
from sim.machine import Change, Frame
from sim.ops import Acquire, CopyPage, Field, HandleIpi, Op, SendIpi, TryAcquire, Until
from sim.structs import AnonVma, Task

#: Shared steps that are each thread's own: its interrupts, whom it waits for, and the nodes between which it copies.
_OWN: Final = (SendIpi, Until, CopyPage)


class Deck:
    """What stands in for the machine: tasks, and of memory what orders them.

    Attributes:
        tasks, contexts, starts: as of :class:`sim.machine.Machine`.
        memory: the locks that are shared, who holds them, and answers to interrupts that are out.
        ops: what is next; of a thread that is on its tape nothing.
        segments: of each thread where it is on its tape.
        steps: how many were made.
    """

    violation = None

    def __init__(self, tape: Tape) -> None:
        whole = tape.machine
        self.tasks, self.contexts, self.starts = whole.tasks, whole.contexts, whole.starts
        before = whole.setup.memory
        self.memory: dict[Field, Any] = {it: before[it] for it in tape.locks.values() if it in before}
        for copy in tape.copied.values():
            for page in (copy.src, copy.dst):
                self.memory[page.node] = whole.memory.get(page.node, 0)
        handlers = set(tape.handlers.values())
        self.ops: list[Op | None] = [HandleIpi() if i in handlers else None for i in range(len(self.tasks))]
        self.steps = 0
        self.segments: list[Any] = [None] * len(self.tasks)
        self._index = {info.task: i for i, info in enumerate(self.tasks)}

    def stack(self, task: Task) -> tuple[Frame, ...]:
        """Where *task* stands, outermost first."""
        found: tuple[Frame, ...] = self.segments[self._index[task]].stack
        return found


class _Segment:
    """A segment of the tape of one thread, with what it costs.

    Attributes:
        marks: when each of its private steps begins, and the last has ended, from its start (ns).
        last: how many private steps there are.
        op: the shared step after them, or None at the end.
        ns, after: what that costs, and what the tracepoints after it cost.
        changes: the requests that it sends.
        stack: where the thread stands before it.
        other: what it does if a trylock fails, and how many segments are left out then.
        counts: what it adds to the counts; times: how often it was begun.
    """

    __slots__ = ("after", "changes", "counts", "last", "marks", "ns", "op", "other", "stack", "times")

    marks: list[int]
    op: Op | None

    def __init__(self, marks: list[int], op: Op | None, counts: Counter[str], shared: Shared | None) -> None:
        self.marks, self.op, self.counts, self.last = marks, op, counts, len(marks) - 1
        self.stack = shared.stack if shared is not None else ()
        self.ns = self.after = self.times = 0
        self.changes: list[Change] = []
        self.other: tuple[list[_Segment], int] = ([], 0)


class Books:
    """The books of one run from *tape*, with *pages* pages a thread; what the clock asks of a ledger.

    Attributes:
        machine: what stands in for it.
        costs, counts, changes: as of :class:`sim.engines.ledger.Ledger`.
        segments: on which segment each thread is; places: on which of its private steps.
    """

    def __init__(self, tape: Tape, pages: int, costs: Costs) -> None:
        self.machine = Deck(tape)
        self.costs = costs
        self.counts = dict.fromkeys((*COUNTS, *TIMED_COUNTS), 0)
        self.changes: list[Change] = []
        self._tape = tape
        self._shared = SharedThings(self.machine, costs)  # type: ignore[arg-type]
        self._ns: dict[tuple[str, ...], int] = {}
        self._marks: dict[int, tuple[list[int], Counter[str]]] = {}
        self._handler_ns, self._target = costs["ipi_handler"], costs["ipi_target"]
        self._queues: dict[int, deque[Field]] = {it: deque() for it in tape.handlers.values()}
        self._queue_of = {handler: queue for queue, handler in tape.handlers.items()}
        self._all: list[_Segment] = []
        self._common: dict[int, _Segment] = {}
        self._answers = 0
        tasks = self.machine.tasks
        self.places = [0] * len(tasks)
        self.segments = self.machine.segments
        self._next: list[Iterator[_Segment]] = [iter(())] * len(tasks)
        self._instead: list[Iterator[_Segment] | None] = [None] * len(tasks)
        self._kept: list[Any] = []
        for its, parts in tape.threads(pages):
            self._kept.append(parts)
            for i in its:
                mine = [([self._segment(i, it) for it in part], times) for part, times in parts]
                self._next[i] = played(mine)
                self._begin(i, next(self._next[i]))

    def _segment(self, i: int, it: Segment) -> _Segment:
        """*it* as thread *i* does it; all threads of a kind share those in which nothing is their own."""
        shared = it.shared
        own = shared is not None and _is_own(shared)
        segment = None if own else self._common.get(id(it))
        if segment is None:
            marks, counts = self._private(it.private)
            if shared is not None and shared.counts:
                counts = counts + Counter(shared.counts)
            segment = _Segment(marks, None if shared is None else self._op(i, shared), counts, shared)
            if shared is not None:
                self._charge(i, segment, shared)
            self._all.append(segment)
            if not own:
                self._common[id(it)] = segment
        return segment

    def _private(self, steps: tuple[Private, ...]) -> tuple[list[int], Counter[str]]:
        """When each of *steps* begins and the last has ended, and what they add to the counts."""
        found = self._marks.get(id(steps))
        if found is None:
            marks = [0, *accumulate(self._rows(rows) for rows, _ in steps)]
            found = self._marks[id(steps)] = marks, Counter(name for _, its in steps for name in its)
        return found

    def _rows(self, rows: tuple[str, ...]) -> int:
        """What a step costs that is charged for *rows*: the first is the operation's, the others were passed."""
        ns = self._ns.get(rows)
        if ns is None:
            ns = self._ns[rows] = self.costs[rows[0]] + sum(self.costs.point(name) for name in rows[1:])
        return ns

    def _op(self, i: int, it: Shared) -> Op:
        """The operation of a shared step of thread *i*."""
        info = self.machine.tasks[i]
        if it.kind is Until:
            return Until(info.cpu.csd_pending, 0)
        if it.kind is SendIpi:
            return SendIpi(info.mm, 0)
        if it.kind is CopyPage:
            return self._tape.copied[i]
        name, mode, nested = it.what
        lock = self._tape.locks[name]
        return Acquire(lock, mode, nested) if it.kind is Acquire else it.kind(lock, mode)  # type: ignore[call-arg]

    def _charge(self, i: int, segment: _Segment, it: Shared) -> None:
        """What its shared step costs, and what comes of it."""
        segment.ns = self.costs[row_of(segment.op)]  # type: ignore[arg-type]
        segment.after = sum(self.costs.point(name) for name in it.points)
        if it.kind is SendIpi:
            targets = self._tape.targets[i]
            segment.changes = [Change(self._queue_of[handler], None, handler) for handler in targets]
            segment.ns += len(targets) * self._target
        elif it.kind is CopyPage:
            copy = self._tape.copied[i]
            memory = self.machine.memory
            nodes = {memory[copy.src.node], memory[copy.dst.node]}
            if nodes != {self.machine.contexts[i].node}:
                segment.ns += self.costs["copy_page_remote"] - self.costs["copy_page"]
        elif it.kind is TryAcquire:
            segments, left_out = it.other
            segment.other = [self._segment(i, part) for part in segments], left_out

    @property
    def steps(self) -> int:
        """How many steps were made that are shared, with the answers to interrupts; at the end, how many in all."""
        return self.machine.steps + self._answers

    # --- what the clock asks -----------------------------------------------------------------------------

    def start(self, i: int) -> int:
        """When thread *i* makes its first step."""
        return sum(self.costs.point(name) for name in self.machine.starts[i])

    def step(self, i: int, op: Op, at: int) -> int:
        """Let task *i* do *op*, its next, at time *at*; return what it costs."""
        self.machine.steps += 1
        segment: _Segment = self.segments[i]
        ns: int = segment.ns
        changes = self.changes = []
        taken = True
        if type(op) is SendIpi:
            self._send(i, segment)
        elif type(op) is CopyPage:
            ns += self._shared.copy(op, at)
        elif type(op) is not Until:
            taken = execute(op, self.machine.memory, self.machine.contexts[i], changes)
            ns += self._shared.count(i, op, at)  # type: ignore[arg-type]
            if taken is BLOCKED:
                return ns
            if type(op) is TryAcquire:
                self.counts["anon_vma_locks"] += taken and isinstance(op.lock.ref, AnonVma)
        self._go_on(i, segment, taken is False)
        return ns + segment.after

    def _send(self, i: int, segment: _Segment) -> None:
        """Requests to other CPUs, as :func:`sim.hardware.send_ipi` leaves them: whom each is from, in their order."""
        pending = self.machine.tasks[i].cpu.csd_pending
        for _, _, handler in segment.changes:
            self._queues[handler].append(pending)
        self.machine.memory[pending] = len(segment.changes)
        self.changes = [*segment.changes, Change(pending, 0, len(segment.changes))]

    def handle(self, handler: int, at: int) -> tuple[int, Field, int]:
        """The oldest request is answered, as :func:`sim.hardware.handle_ipi` does it; as of a ledger."""
        self._answers += 1
        pending, memory = self._queues[handler].popleft(), self.machine.memory
        memory[pending] = left = memory[pending] - 1
        return self._handler_ns, pending, left

    def blocked(self, i: int, op: Op, at: int, sleeps: bool) -> None:
        """As of a ledger."""

    def unblocked(self, i: int, op: Op, since: int, at: int, sleeps: bool) -> None:
        """As of a ledger."""

    # --- which segment is next ---------------------------------------------------------------------------

    def _begin(self, i: int, segment: _Segment) -> None:
        segment.times += 1
        self.segments[i], self.places[i] = segment, 0

    def _go_on(self, i: int, segment: _Segment, failed: bool) -> None:
        """Thread *i* has come to the end of *segment*; whether with a trylock that failed."""
        if failed:
            its, left_out = segment.other
            self._instead[i] = iter(its)
            for _ in range(left_out):
                next(self._next[i])
        instead = self._instead[i]
        if instead is not None:
            following = next(instead, None)
            if following is not None:
                self._begin(i, following)
                return
            self._instead[i] = None
        self._begin(i, next(self._next[i]))

    def close(self) -> None:
        """The run is over: count what its segments counted, and the interrupts."""
        self.counts["ipis_received"] += self._answers
        self.machine.steps += sum(it.last * it.times for it in self._all)
        for segment in self._all:
            for name, number in segment.counts.items():
                self.counts[name] += number * segment.times


def _is_own(it: Shared) -> bool:
    """Whether threads of one kind do *it* each in its own way, or what they do if it fails."""
    return it.kind in _OWN or any(part.shared is not None and _is_own(part.shared) for part in it.other[0])
