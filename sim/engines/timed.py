"""A clock decides who goes next: throughput, lock waits, profiles.

SimPy is the clock and nothing more: each thread, and each CPU's interrupt handler, is a SimPy process that lets the
machine make its steps.  A step takes effect when it begins; then its cost passes (:mod:`sim.engines.costs`).  Locks
are values in memory; who gets one that is released is decided here, by one of two policies (:data:`POLICIES`).

Most steps need no event queue: a process goes on by itself as long as its own clock is behind the next event, since
nobody else can act before that.

Left out: caches and memory bandwidth, more threads than CPUs, the scheduler's own choice.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, Final

from simpy import Environment, Event
from simpy.core import EmptySchedule

from sim.engines import costs as cost_table
from sim.engines.costs import Costs
from sim.engines.counts import is_anon_vma_lock
from sim.engines.ledger import Ledger
from sim.engines.timed_run import EXIT_STACK, Sleep, TimedRun, pages_migrated
from sim.errors import UnknownName, UserError
from sim.locks import Rwsem
from sim.machine import Change, Machine, awaited, enabled
from sim.ops import Acquire, Field, HandleIpi, Op, SendIpi, TryAcquire, Until
from sim.variants import Variant
from sim.variants import find as find_variant
from sim.worlds import World
from sim.worlds import find as find_world

#: Who gets a mutex or a page lock that is released.  Spinlocks are tickets, first come first served; a rwsem hands
#: itself on in memory.  Neither changes with the policy.
POLICIES: Final[dict[str, str]] = {
    "handoff": "who has slept longest gets the lock in the very step of its release; nobody spins, nobody slips in",
    "steal": "as Linux 3.7 does it: newcomers spin while the owner runs, and may be faster than who is being woken",
}

#: What runs are charged unless told otherwise.
COSTS: Final = cost_table.DEFAULT

# How a waiter is served when what it waits for has come true.
_GRANT = "its operation is done for it at once, and it goes on later"
_WAKE = "it is woken, and does its operation when it runs"
_RETRY = "it is woken but keeps its place in the queue: somebody may be faster"
_SPIN = "it looks when it looks next"

_MAY_WAIT: Final = frozenset((Acquire, Until, HandleIpi))
_REPORT: Final = 50_000

_Process = Generator[Event, Any, Any]


class _Waiter(Event):
    """A task that waits for a field; as an event it fires at the time that its waker names."""

    def __init__(self, env: Environment, i: int, op: Op, since: int, how: str, sleeps: bool) -> None:
        super().__init__(env)
        self.i, self.op, self.since, self.how, self.sleeps = i, op, since, how, sleeps

    def fire(self, at: int) -> None:
        """Let the task go on at time *at*."""
        self._ok, self._value = True, None
        self.env.schedule(self, delay=at - self.env.now)


class Clockwork:
    """One run under the clock."""

    def __init__(self, ledger: Ledger, policy: str) -> None:
        self.env = Environment()
        self.ledger, self.machine, self.costs = ledger, ledger.machine, ledger.costs
        self.steals = policy == "steal"
        self.sleeps: list[Sleep] = []
        self.elapsed = 0
        self.error: UserError | None = None
        tasks = self.machine.tasks
        self.unfinished = sum(not info.daemon for info in tasks)
        self._waiting: dict[Field, list[_Waiter]] = {}  # who waits for a field, in order of arrival
        self._awake: set[Field] = set()  # mutexes whose head of the queue has been woken and not yet looked
        self._owner_set: dict[Field, int] = {}  # from when on the owner field of a mutex names its owner
        self._index = {info.task: i for i, info in enumerate(tasks)}
        threads = {info.cpu: i for i, info in enumerate(tasks) if not isinstance(self.machine.ops[i], HandleIpi)}
        self._thread_on = [threads.get(info.cpu, i) for i, info in enumerate(tasks)]
        self._on_cpu = [True] * len(tasks)
        self._busy = [True] * len(tasks)  # on its CPU and not waiting
        self._owed = [0] * len(tasks)  # what interrupts cost a busy thread, which it has not paid yet
        self._interrupted = [0] * len(tasks)  # until when the CPU of a waiting thread serves an interrupt

    def run(self, progress: Callable[..., None] | None = None) -> None:
        """Let the clock run until every thread that is no daemon has ended, nothing can go on, or something broke."""
        for i in range(len(self.machine.tasks)):
            self.env.process(self._live(i))
        report = _REPORT
        try:
            while self.unfinished and self.machine.violation is None and self.error is None:
                self.env.step()
                if progress is not None and self.machine.steps >= report:
                    progress(f"{self.machine.steps:,} steps", f"{self.env.now / 1e6:.2f} ms simulated")
                    report = self.machine.steps + _REPORT
        except EmptySchedule:
            pass  # a deadlock: the machine's verdict says so
        if self.error is not None:
            raise self.error
        if self.unfinished:
            self.elapsed = max(self.elapsed, int(self.env.now))

    # --- a task's life -----------------------------------------------------------------------------------

    def _live(self, i: int) -> _Process:
        """Task *i*, from its start to its end."""
        env, machine, ops, owed = self.env, self.machine, self.machine.ops, self._owed
        me, memory = machine.contexts[i], machine.memory
        now, clock = 0, self.ledger.start(i)
        op = ops[i]
        try:
            while op is not None and machine.violation is None:
                if owed[i]:
                    clock, owed[i] = clock + owed[i], 0
                if clock > now and clock >= env.peek():
                    yield env.timeout(clock - now)
                    now = clock
                elif type(op) in _MAY_WAIT and not enabled(op, memory, me):
                    now = clock = yield from self._wait(i, op, clock)
                else:
                    clock += self._step(i, op, clock)
                op = ops[i]
        except UserError as error:  # SimPy would raise a copy of it, which has lost the reason
            self.error = error
        if op is None:
            self._exit(i, clock)

    def _exit(self, i: int, clock: int) -> None:
        info = self.machine.tasks[i]
        if not info.daemon:
            self.unfinished -= 1
            self.elapsed = max(self.elapsed, clock)
            self.ledger.counts["context_switches"] += 1
            self.sleeps.append(Sleep(clock, info.task.name, None, 0, EXIT_STACK))

    def _step(self, i: int, op: Op, clock: int) -> int:
        """Let task *i* do *op* at *clock*, and serve those who waited for what it changed; return what it costs."""
        ns = self.ledger.step(i, op, clock)
        changes, waiting, kind = self.ledger.changes, self._waiting, type(op)
        if kind is SendIpi:
            self._deliver(i, changes, clock)
        elif kind is HandleIpi:
            self._interrupt(self._thread_on[i], clock, ns)
        elif self.steals and isinstance(op, Acquire | TryAcquire):
            if self.machine.memory.get(op.lock) is self.machine.tasks[i].task:
                self._owner_set[op.lock] = clock + self.costs["mutex_set_owner"]
        for change in changes:
            if change[0] in waiting:
                ns += self._serve(change[0], clock)
        return ns

    # --- interrupts --------------------------------------------------------------------------------------

    def _deliver(self, i: int, changes: list[Change], clock: int) -> None:
        """The requests that task *i* has queued reach the CPUs one after the other."""
        at = clock + self.costs["ipi_send"]
        for field, _, _ in changes:
            if field.base == "call_single_queue":
                at += self.costs["ipi_target"]
                for handler in self._waiting.pop(field, ()):  # else it is at work, and will find the request
                    far = self.machine.tasks[handler.i].node != self.machine.tasks[i].node
                    handler.fire(at + self.costs["ipi_delivery_remote" if far else "ipi_delivery"])

    def _interrupt(self, thread: int, clock: int, ns: int) -> None:
        """An interrupt handler takes the CPU of *thread* for *ns*."""
        if self._busy[thread]:
            self._owed[thread] += ns
        else:
            self._interrupted[thread] = clock + ns

    # --- waiting -----------------------------------------------------------------------------------------

    def _wait(self, i: int, op: Op, clock: int) -> _Process:
        """Task *i* waits to do *op*; returns when, with the operation done or worth another look."""
        field = awaited(op, self.machine.contexts[i])
        assert field is not None
        if isinstance(op, Acquire) and is_anon_vma_lock(op):
            self.ledger.counts["anon_vma_lock_waits"] += 1
        if self.steals and isinstance(op, Acquire) and op.lock.lock is not None and op.lock.lock.name == "mutex":
            at: int = yield from self._mutex_lock(i, op, clock)
            return at
        sleeps = op.sleeps if isinstance(op, Until) else field.lock is not None and field.lock.sleeps
        wakes = isinstance(op, HandleIpi) or isinstance(self.machine.memory.get(field), Rwsem)
        how = _WAKE if wakes or (sleeps and self.steals) else _GRANT
        at = yield from self._until_served(i, field, _Waiter(self.env, i, op, clock, how, sleeps))
        return at

    def _until_served(self, i: int, field: Field, waiter: _Waiter, place: int | None = None) -> _Process:
        """Task *i* stands in the queue of *field* until somebody lets it go on; returns when that is."""
        queue = self._waiting.setdefault(field, [])
        queue.insert(len(queue) if place is None else place, waiter)
        self._busy[i] = False
        self._on_cpu[i] = not waiter.sleeps
        sleep = self._fall_asleep(i, waiter, field) if waiter.sleeps else None
        yield waiter
        while (busy_until := self._interrupted[i]) > self.env.now:
            yield self.env.timeout(busy_until - int(self.env.now))
        self._busy[i] = self._on_cpu[i] = True
        now = int(self.env.now)
        if sleep is not None:
            sleep.duration = now - waiter.since
        return now

    def _fall_asleep(self, i: int, waiter: _Waiter, field: Field) -> Sleep:
        """Task *i* gives up its CPU: a context switch, with the call stack that led to it."""
        self.ledger.counts["context_switches"] += 1
        task = self.machine.tasks[i].task
        sleep = Sleep(waiter.since, task.name, field, 0, self.machine.stack(task))
        self.sleeps.append(sleep)
        for lock, _ in self.machine.memory.get(task.held, ()):
            self._wake_spinners(lock, waiter.since)  # its owner is off its CPU, so they stop
        return sleep

    # --- serving -----------------------------------------------------------------------------------------

    def _serve(self, field: Field, clock: int) -> int:
        """*field* has changed: let those go on who can now; return what that costs the one who changed it."""
        self._wake_spinners(field, clock)
        paid = 0
        for waiter in list(self._waiting.get(field, ())):
            if waiter.how is _SPIN or not enabled(waiter.op, self.machine.memory, self.machine.contexts[waiter.i]):
                continue
            if waiter.how is _RETRY and field in self._awake:
                continue  # the head of the queue is on its way; nobody else is woken
            self._waiting[field].remove(waiter)
            at = clock + self.costs["wake_latency" if waiter.sleeps else "spin_handover"]
            if waiter.sleeps:
                paid += self.costs["wake_up"]
            if waiter.how is _GRANT:
                at += self.ledger.step(waiter.i, waiter.op, clock)
            elif waiter.how is _RETRY:
                self._awake.add(field)
            waiter.fire(at)
        return paid

    def _wake_spinners(self, field: Field, clock: int) -> None:
        """Whoever spins on *field* sees the change when it looks next."""
        poll = max(1, self.costs["mutex_spin_poll"])
        for waiter in [it for it in self._waiting.get(field, ()) if it.how is _SPIN]:
            self._waiting[field].remove(waiter)
            waiter.fire(max(clock, waiter.since - (waiter.since - clock) // poll * poll))

    def _mutex_lock(self, i: int, op: Acquire, clock: int) -> _Process:
        """Linux 3.7's mutex: spin while the owner runs, then sleep; return when the lock looks free.

        A spinner gives up when the owner sleeps, or when it finds that the owner has changed without having been
        nobody in between.  Once queued a task never spins again; when it is woken and somebody was faster, it
        sleeps again at the head of the queue.  kernel/mutex.c:147 (v3.7), kernel/sched/core.c:2963 (v3.7)
        """
        lock, memory = op.lock, self.machine.memory
        owner = memory.get(lock)
        while owner is not None and self._on_cpu[self._index[owner]]:
            clock = yield from self._until_served(i, lock, _Waiter(self.env, i, op, clock, _SPIN, False))
            seen = memory.get(lock)
            if seen is not owner and seen is not None and clock >= self._owner_set.get(lock, 0):
                break
            owner = seen
        place: int | None = None
        while memory.get(lock) is not None:
            waiter = _Waiter(self.env, i, op, clock, _RETRY, True)
            clock = yield from self._until_served(i, lock, waiter, place)
            self._awake.discard(lock)
            place = 0
        return clock


def run(
    world: str | World,
    variant: str | Variant = "mutex_v37",
    *,
    policy: str = "handoff",
    seed: int = 0,
    costs: Costs = COSTS,
    record: bool = False,
    progress: Callable[..., None] | None = None,
    params: Mapping[str, int] | None = None,
    **more: int,
) -> TimedRun:
    """Run *world* under the clock.  All times are simulated.

    Args:
        world: the world or its name.
        variant: the variant or its name.
        policy: who gets a lock that is released; see :data:`POLICIES`.
        seed: 0 for none; another number varies when threads start and how long user code takes.
        costs: the table of costs.
        record: whether to keep every event, and when it began.
        progress: called now and then with two strings.
        params: the world's parameters, as a mapping.
        **more: the world's parameters by name, over those.

    Raises:
        UserError: if something is not known or not allowed.
    """
    it = find_world(world) if isinstance(world, str) else world
    how = find_variant(variant) if isinstance(variant, str) else variant
    if policy not in POLICIES:
        raise UnknownName("policy", policy, POLICIES)
    setup = it.setup({**(params or {}), **more})
    machine = Machine(setup, how)
    ledger = Ledger(machine, costs, seed=seed, record=record)
    clockwork = Clockwork(ledger, policy)
    clockwork.run(progress)
    return TimedRun(
        it.name,
        how.name,
        setup.params,
        policy,
        seed,
        pages_migrated(setup.memory, machine.memory),
        clockwork.elapsed,
        ledger.counts,
        clockwork.sleeps,
        ledger.turns,
        machine.verdict(),
        events=ledger.events,
        times=ledger.times,
    )
