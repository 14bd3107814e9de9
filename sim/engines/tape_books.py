"""The books of a run that is replayed from a tape: what each step costs and is counted, and which comes next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from sim.engines.costs import Costs, row_of
from sim.engines.counts import COUNTS, TIMED_COUNTS
from sim.engines.shared import Shared as SharedThings
from sim.engines.tape import Segment, Tape, played
from sim.engines.tape_recorder import Shared
from sim.interpreter import BLOCKED, execute
from sim.machine import Change, Frame
from sim.ops import Acquire, CopyPage, Field, HandleIpi, Op, Release, SendIpi, TryAcquire, Until
from sim.structs import AnonVma, Task

_LOCKING: Final = frozenset((Acquire, TryAcquire, Release))


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
    """A segment of the tape, with what it costs.

    Attributes:
        ahead: how long a thread is busy with private steps before it lets others go first (ns).
        steps: how many private steps there are.
        kind: the type of the shared step after them, or None at the end.
        op: that step, or None if it is each thread's own.
        ns, after: what that costs (at the end: the last private one), and what the tracepoints after it cost.
        stack: where the thread stands before it.
        other: what it does if a trylock fails, and how many segments are left out then.
        counts: what it adds to the counts; times: how often it was begun.
        rounds, length: if a part that is repeated begins with it, how often that is done, and its number of segments.
    """

    __slots__ = ("after", "ahead", "counts", "kind", "length", "ns", "op", "other", "rounds", "stack", "steps", "times")

    def __init__(self, costs: list[int], counts: Counter[str]) -> None:
        self.ahead, self.counts, self.steps = sum(costs), counts, len(costs)
        self.kind: type[Op] | None = None
        self.op: Op | None = None
        self.stack: tuple[Frame, ...] = ()
        self.ns = self.after = self.times = self.rounds = self.length = 0
        self.other: tuple[list[_Segment], int] = ([], 0)


class Books:
    """The books of one run from *tape*, with *pages* pages a thread; what the clock asks of a ledger.

    Attributes:
        machine: what stands in for it.
        costs, counts, changes: as of :class:`sim.engines.ledger.Ledger`; but that requests were sent is no change.
        segments: on which segment each thread is; there: whether at its end, before the shared step.
        own: of each thread the shared steps that no other makes: its interrupts, its wait for them, and its copies.
        asked: whom each thread interrupts.
        left: how many rounds each thread has left to do of the part that it is in, or was in last.
        began: whether the thread that was the first to begin a round has begun another, which nobody has seen yet.
    """

    def __init__(self, tape: Tape, pages: int, costs: Costs) -> None:
        self.machine = Deck(tape)
        self.costs = costs
        self.counts = dict.fromkeys((*COUNTS, *TIMED_COUNTS), 0)
        self.changes: list[Change] = []
        self._tape, self._memory = tape, self.machine.memory
        self._shared = SharedThings(self.machine, costs)  # type: ignore[arg-type]
        self._ns: dict[tuple[str, ...], int] = {}
        self._all: list[_Segment] = []
        self._answers = 0
        tasks = self.machine.tasks
        self.own: list[dict[type[Op], Op]] = [
            {SendIpi: SendIpi(it.mm, 0), Until: Until(it.cpu.csd_pending, 0)} for it in tasks
        ]
        for i, copy in tape.copied.items():
            self.own[i][CopyPage] = copy
        self._remote = {i: self._more_for_remote(i, copy) for i, copy in tape.copied.items()}
        self._target = costs["ipi_target"]
        self.asked = [tape.targets.get(i, ()) for i in range(len(tasks))]
        self.there = [False] * len(tasks)
        self.segments = self.machine.segments
        self._next: list[Iterator[_Segment]] = [iter(())] * len(tasks)
        self._instead: list[Iterator[_Segment] | None] = [None] * len(tasks)
        self.left, self._length = [0] * len(tasks), [0] * len(tasks)
        self.began, self._leader = False, -1
        for its, parts in tape.threads(pages):
            made = [([self._segment(it, self.own[its[0]]) for it in part], times) for part, times in parts]
            for part, times in made:
                if times > 1:
                    part[0].rounds, part[0].length = times, len(part)
            for i in its:
                self._next[i] = played(made)
                self._begin(i, next(self._next[i]))

    def _segment(self, it: Segment, own: dict[type[Op], Op]) -> _Segment:
        """*it* with what it costs; *own* are the shared steps of one of those whose it is."""
        private = [self._rows(rows) for rows, _ in it.private]
        segment = _Segment(private, Counter(name for _, names in it.private for name in names))
        self._all.append(segment)
        if (shared := it.shared) is not None:
            segment.kind, segment.stack = shared.kind, shared.stack
            segment.op = self._op(shared)
            segment.ns = self.costs[row_of(segment.op or own[shared.kind])]  # type: ignore[arg-type]
            segment.after = sum(self.costs.point(name) for name in shared.points)
            segment.counts.update(shared.counts)
            segments, left_out = shared.other
            segment.other = [self._segment(part, own) for part in segments], left_out
        elif private:  # a thread is done when its last step is, whoever comes meanwhile
            segment.ahead, segment.ns = segment.ahead - private[-1], private[-1]
        return segment

    def _op(self, it: Shared) -> Op | None:
        """The operation of a shared step, unless it is each thread's own."""
        if not it.what:
            return None
        name, mode, nested = it.what
        lock = self._tape.locks[name]
        return Acquire(lock, mode, nested) if it.kind is Acquire else it.kind(lock, mode)  # type: ignore[call-arg]

    def _rows(self, rows: tuple[str, ...]) -> int:
        """What a step costs that is charged for *rows*: the first is the operation's, the others were passed."""
        ns = self._ns.get(rows)
        if ns is None:
            ns = self._ns[rows] = self.costs[rows[0]] + sum(self.costs.point(name) for name in rows[1:])
        return ns

    def _more_for_remote(self, i: int, copy: CopyPage) -> int:
        """What each copy of thread *i* costs beyond one within its node."""
        nodes = {self._memory[copy.src.node], self._memory[copy.dst.node]}
        local = nodes == {self.machine.contexts[i].node}
        return 0 if local else self.costs["copy_page_remote"] - self.costs["copy_page"]

    @property
    def steps(self) -> int:
        """How many shared steps were made, with the answers to their interrupts; at the end, how many in all."""
        return self.machine.steps + self._answers

    # --- what the clock asks -----------------------------------------------------------------------------

    def start(self, i: int) -> int:
        """When thread *i* makes its first step."""
        return sum(self.costs.point(name) for name in self.machine.starts[i])

    def step(self, i: int, op: Op, at: int) -> int:
        """Let task *i* do *op*, its next, at time *at*; return what it costs."""
        self.machine.steps += 1
        segment: _Segment = self.segments[i]
        kind, ns = segment.kind, segment.ns
        changes = self.changes = []
        taken = True
        if kind in _LOCKING:
            taken = execute(op, self._memory, self.machine.contexts[i], changes)
            ns += self._shared.count(i, op, at)  # type: ignore[arg-type]
            if taken is BLOCKED:
                return ns
            if kind is TryAcquire:
                self.counts["anon_vma_locks"] += taken and isinstance(op.lock.ref, AnonVma)  # type: ignore[attr-defined]
        elif kind is SendIpi:
            ns += self._send(i)
        elif kind is CopyPage:
            ns += self._shared.copy(op, at) + self._remote[i]  # type: ignore[arg-type]
        self._go_on(i, segment, taken is False)
        return ns + segment.after

    def _send(self, i: int) -> int:
        """Requests to other CPUs, as of :func:`sim.hardware.send_ipi`: how many are unanswered, and what they cost."""
        number = len(self.asked[i])
        self._memory[self.machine.tasks[i].cpu.csd_pending] = number
        self._answers += number  # none of them is left without one
        return number * self._target

    def blocked(self, i: int, op: Op, at: int, sleeps: bool) -> None:
        """As of a ledger."""

    def unblocked(self, i: int, op: Op, since: int, at: int, sleeps: bool) -> None:
        """As of a ledger."""

    # --- which segment is next ---------------------------------------------------------------------------

    def _begin(self, i: int, segment: _Segment) -> None:
        segment.times += 1
        self.segments[i], self.there[i] = segment, False
        if segment.rounds:
            self._round(i, segment)

    def _round(self, i: int, first: _Segment) -> None:
        """Thread *i* begins a round of a part of the tape, at its *first* segment."""
        self.left[i] = (self.left[i] or first.rounds) - 1
        self._length[i] = first.length
        if self._leader < 0:
            self._leader = i
        self.began |= i == self._leader

    def pass_over(self, i: int, rounds: int) -> None:
        """Thread *i* does not do *rounds* of the rounds that it has left."""
        self.left[i] -= rounds
        segments = rounds * self._length[i]
        next(islice(self._next[i], segments, segments), None)

    def _go_on(self, i: int, segment: _Segment, failed: bool) -> None:
        """Thread *i* has come to the end of *segment*; whether with a trylock that failed."""
        if failed:
            its, left_out = segment.other
            self._instead[i] = iter(its)
            for passed in islice(self._next[i], left_out):
                if passed.rounds:
                    self._round(i, passed)
        instead = self._instead[i]
        if instead is not None:
            following = next(instead, None)
            if following is not None:
                self._begin(i, following)
                return
            self._instead[i] = None
        self._begin(i, next(self._next[i]))

    # --- what is there, and what was counted --------------------------------------------------------------

    def state(self, now: int) -> Any:
        """All that decides what follows, with times from *now* on."""
        return list(map(id, self.segments)), self.there[:], dict(self._memory), self._shared.state(now)

    def tally(self) -> dict[Any, int]:
        """All that was counted."""
        counted = {"steps": self.machine.steps, "answers": self._answers}
        return counted | self.counts | {segment: segment.times for segment in self._all}

    def add(self, more: dict[Any, int]) -> None:
        """Count *more* than was done."""
        self.machine.steps += more["steps"]
        self._answers += more["answers"]
        for name in self.counts:
            self.counts[name] += more[name]
        for segment in self._all:
            segment.times += more[segment]

    def close(self) -> None:
        """The run is over: count what its segments counted, and the interrupts."""
        self.counts["ipis_received"] += self._answers
        self.machine.steps += sum(it.steps * it.times for it in self._all)
        for segment in self._all:
            for name, number in segment.counts.items():
                self.counts[name] += number * segment.times
