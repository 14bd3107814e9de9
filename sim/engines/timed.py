"""A clock decides who goes next: throughput, lock waits, profiles.

SimPy is the clock and nothing more (:mod:`sim.engines.clock`): each thread, and each round of interrupts, is a SimPy
process that lets the machine make its steps.  A step takes effect when it begins; then its cost passes
(:mod:`sim.engines.costs`).  Locks are values in memory; who gets one that is released is decided here, by a policy
(:data:`POLICIES`).

Most steps need no event queue: a process goes on by itself as long as its own clock is behind the next event, since
nobody else can act before that.

Left out: caches and memory bandwidth, more threads than CPUs, the scheduler's own choice.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from typing import Any, Final

from simpy.core import EmptySchedule

from sim import guard
from sim.engines import costs as cost_table
from sim.engines.clock import FAR, Clock, Turn
from sim.engines.costs import Costs
from sim.engines.counts import is_anon_vma_lock, pages_migrated
from sim.engines.interrupts import Interrupts
from sim.engines.ledger import Ledger, collector_paused
from sim.engines.rwsems import Rwsems, is_rwsem
from sim.engines.timed_run import EXIT_STACK, Sleep, Switches, TimedRun
from sim.engines.waiters import GRANT, RETRY, SPIN, WAKE, Waiter
from sim.engines.watching import WatchedLedger, Watcher
from sim.errors import UnknownName, UserError
from sim.locks import Rwsem
from sim.machine import Change, Machine, awaited, enabled
from sim.ops import Acquire, Field, Op, SendIpi, TryAcquire, Until
from sim.structs import Task
from sim.variants import Variant
from sim.variants import find as find_variant
from sim.worlds import World
from sim.worlds import find as find_world

#: Who gets a mutex or a page lock that is released.  Spinlocks are tickets, first come first served; a rwsem hands
#: itself on in memory.  Neither changes with the policy, but for ``spin`` (:mod:`sim.engines.rwsems`).
POLICIES: Final[dict[str, str]] = {
    "handoff": "who has slept longest gets the lock in the very step of its release; nobody spins, nobody slips in",
    "steal": "as Linux 3.7 does it: newcomers spin while the owner runs, and may be faster than who is being woken",
    "spin": "as steal, and rwsems as in Linux 3.16: writers spin while the owner runs, or are faster than who is woken",
    "sleep": "as Linux 3.7 does it with lock debugging: nobody spins, but newcomers may be faster than who is woken",
}

#: What runs are charged unless told otherwise.
COSTS: Final = cost_table.DEFAULT

_MAY_WAIT: Final = frozenset((Acquire, Until))
#: Operations after which others must be told more than what changed.
TELLING: Final = frozenset((SendIpi, Acquire, TryAcquire))
#: Steps between two reports of progress.
REPORT: Final = 50_000
_Process = Generator[Turn, Any, Any]


class Clockwork:
    """One run under the clock."""

    #: The clock, and what has the interrupts: others will do in which all comes in the same order.
    clock: Callable[[], Any] = Clock
    interrupts: Callable[..., Interrupts] = Interrupts

    def __init__(self, ledger: Any, policy: str, keep_sleeps: bool, only: int | None = None) -> None:
        self.env = self.clock()
        self.ledger, self.machine = ledger, ledger.machine
        self.costs: dict[str, int] = {row.name: ledger.costs[row.name] for row in ledger.costs}
        self.steals, self.spins = policy != "handoff", policy in ("steal", "spin")
        self.switches = Switches(keep_sleeps)
        self._asleep: dict[int, Sleep] = {}
        self.elapsed = 0
        self.error: UserError | None = None
        tasks = self.machine.tasks
        self._only = only
        self.unfinished = sum(not info.daemon and only in (None, i) for i, info in enumerate(tasks))
        self.waiting: dict[Field, list[Waiter]] = {}  # who waits for a field, in order of arrival
        self.awake: dict[Field, Waiter] = {}  # heads of queues that have been woken and have not yet looked
        self.owner_set: dict[Field, int] = {}  # from when on the owner field of a lock names its owner
        self._index = {info.task: i for i, info in enumerate(tasks)}
        self._on_cpu = [True] * len(tasks)
        self._interrupts = self.interrupts(self.env, ledger, self.waiting, self._serve)
        self._rwsems = Rwsems(self) if policy == "spin" else None
        self.may_wait = _MAY_WAIT if self._rwsems is None else _MAY_WAIT | {TryAcquire}  # before these, ask ready

    def run(self, progress: Callable[..., None] | None = None) -> None:
        """Let the clock run until every thread that is no daemon has ended, nothing can go on, or something broke."""
        for i in self._interrupts.threads:
            if self._only in (None, i):
                self._begin(i)
        with suppress(EmptySchedule):  # a deadlock: the machine's verdict says so
            self._turn_the_clock(progress)
        if self.error is not None:
            raise self.error
        if self._rwsems is not None and self.unfinished and self.machine.violation is None:
            self._rwsems.show_all(int(self.env.now))
        for sleep in self._asleep.values():  # whom nobody will wake
            self.switches.add(sleep)
        if self.unfinished:
            self.elapsed = max(self.elapsed, int(self.env.now))

    def _begin(self, i: int) -> None:
        self.env.process(self._live(i))

    def _turn_the_clock(self, progress: Callable[..., None] | None) -> None:
        report = REPORT
        while self.unfinished and self.machine.violation is None and self.error is None:
            self.env.step()
            if progress is not None and self.machine.steps >= report:
                progress(f"{self.machine.steps:,} steps", f"{self.env.now / 1e6:.2f} ms simulated")
                report = self.machine.steps + REPORT

    # --- a thread's life ---------------------------------------------------------------------------------

    def _live(self, i: int) -> _Process:
        """Thread *i*, from its start to its end."""
        env, machine, ops, owed, peek = self.env, self.machine, self.machine.ops, self._interrupts.owed, self.env.peek
        ledger, waiting, may_wait = self.ledger, self.waiting, self.may_wait
        step, read_on = ledger.step, ledger.read_on
        now, clock, idle = 0, ledger.start(i), 0  # now: when it was last its turn
        alone: float = 0  # until when nobody else can act; 0 if that is to be looked up
        op = ops[i]
        try:
            while op is not None and machine.violation is None:
                if owed[i]:
                    clock, owed[i] = clock + owed[i], 0
                if clock >= alone and clock >= (alone := min(FAR, max(now + 1, peek()))):
                    yield env.turn(clock, i)
                    now, alone = clock, 0
                elif type(op) in may_wait and not self.ready(i, op, clock):
                    now = clock = yield from self._wait(i, op, clock)
                    alone = 0
                elif type(op) is Field and (read := read_on(i, clock, alone)):
                    clock, idle = ledger.due, idle + read
                else:
                    at = clock
                    clock += step(i, op, at)
                    changes = ledger.changes
                    idle = 0 if changes else idle + 1
                    for change in changes:
                        if change[0] in waiting:
                            clock, now, alone = clock + self._serve(change[0], at), at, 0
                    if type(op) in TELLING:
                        self._tell(i, op, changes, at)
                        now, alone = at, 0
                if idle >= guard.MAX_IDLE:
                    raise guard.idles(machine.stack(machine.tasks[i].task)[-1])
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
            self.switches.add(Sleep(clock, info.task.name, None, 0, EXIT_STACK))

    def _tell(self, i: int, op: Op, changes: list[Change], at: int) -> None:
        """Task *i* has done *op* at *at*: requests that it has sent are on their way, a mutex has an owner."""
        if type(op) is SendIpi:
            self._interrupts.send(i, self._asked(i, changes), at)
        elif self.steals and changes and isinstance(op, Acquire | TryAcquire):
            self.owner_set[op.lock] = at + self.costs["mutex_set_owner"]

    def _asked(self, i: int, changes: list[Change]) -> tuple[int, ...]:
        """The interrupt handlers that task *i* has sent requests to by a step that made *changes*, in that order."""
        return self._interrupts.asked(changes)

    # --- waiting -----------------------------------------------------------------------------------------

    def ready(self, i: int, op: Op, clock: int) -> bool:
        """Whether thread *i* can do *op* at *clock*, or is to wait."""
        if self._rwsems is not None:
            return self._rwsems.ready(i, op, clock)
        return enabled(op, self.machine.memory, self.machine.contexts[i])

    def _wait(self, i: int, op: Op, clock: int) -> _Process:
        """Thread *i* waits to do *op*; returns when, with the operation done or worth another look."""
        field = awaited(op, self.machine.contexts[i].cpu)
        assert field is not None
        if isinstance(op, Acquire):
            self.ledger.counts["anon_vma_lock_waits"] += is_anon_vma_lock(op)
            at: int
            if self.steals and op.lock.lock is not None and op.lock.lock.name == "mutex":
                at = yield from self._mutex_lock(i, op, clock)
                return at
            if self._rwsems is not None and is_rwsem(op.lock):
                at = yield from self._rwsems.wait(i, op, clock)
                return at
        sleeps = op.sleeps if isinstance(op, Until) else field.lock is not None and field.lock.sleeps
        wakes = isinstance(self.machine.memory.get(field), Rwsem) or (sleeps and self.steals)
        waiter = Waiter(self.env, i, op, clock, WAKE if wakes else GRANT, sleeps)
        at = yield from self.until_served(i, field, waiter, 0 if isinstance(op, Until) else None)
        return at

    def until_served(self, i: int, field: Field, waiter: Waiter, place: int | None = None) -> _Process:
        """Thread *i* stands in the queue of *field* until somebody lets it go on; returns when that is."""
        queue, busy = self.waiting.setdefault(field, []), self._interrupts.busy
        queue.insert(len(queue) if place is None else place, waiter)
        busy[i] = False
        self._on_cpu[i] = not waiter.sleeps
        self.ledger.blocked(i, waiter.op, waiter.since, waiter.sleeps)
        if waiter.sleeps:
            self._fall_asleep(i, waiter, field)
        yield waiter
        while (busy_until := self._interrupts.serving[i]) > self.env.now:
            yield self.env.turn(busy_until, i)
        busy[i] = self._on_cpu[i] = True
        now = int(self.env.now)
        self.ledger.unblocked(i, waiter.op, waiter.since, now, waiter.sleeps)
        if waiter.sleeps:
            self.switches.add(self._asleep.pop(i)._replace(duration=now - waiter.since))
        return now

    def _fall_asleep(self, i: int, waiter: Waiter, field: Field) -> None:
        """Thread *i* gives up its CPU: a context switch, with the call stack that led to it."""
        self.ledger.counts["context_switches"] += 1
        task = self.machine.tasks[i].task
        self._asleep[i] = Sleep(waiter.since, task.name, field, 0, self.machine.stack(task))
        for lock, _ in self.machine.memory.get(task.held, ()):
            for spinner in [it for it in self.waiting.get(lock, ()) if it.how is SPIN]:
                self.look(lock, spinner, waiter.since)  # its owner is off its CPU, so it will stop

    def runs(self, owner: Task | None) -> bool:
        """Whether *owner* is somebody, and on its CPU."""
        return owner is not None and self._on_cpu[self._index[owner]]

    def _mutex_lock(self, i: int, op: Acquire, clock: int) -> _Process:
        """Linux 3.7's mutex: spin while the owner runs, then sleep; return when the lock looks free.

        Without MUTEX_SPIN_ON_OWNER, as under CONFIG_DEBUG_MUTEXES, it sleeps at once.  kernel/Kconfig.locks:223 (v3.7)

        A spinner gives up when the owner sleeps, or when it finds that the owner has changed without having been
        nobody in between.  Once queued a task never spins again; when it is woken and somebody was faster, it
        sleeps again at the head of the queue.  kernel/mutex.c:147 (v3.7), kernel/sched/core.c:2963 (v3.7)
        """
        lock, memory = op.lock, self.machine.memory
        owner = memory.get(lock)
        while self.spins and self.runs(owner):
            clock = yield from self.until_served(i, lock, Waiter(self.env, i, op, clock, SPIN, False))
            seen = memory.get(lock)
            if seen is not owner and seen is not None and clock >= self.owner_set.get(lock, 0):
                break
            owner = seen
        place: int | None = None
        while memory.get(lock) is not None:
            waiter = Waiter(self.env, i, op, clock, RETRY, True)
            clock = yield from self.until_served(i, lock, waiter, place)
            self.awake.pop(lock, None)
            place = 0
        return clock

    # --- serving -----------------------------------------------------------------------------------------

    def _serve(self, field: Field, clock: int) -> int:
        """*field* has changed: let those go on who can now; return what that costs the one who changed it.

        Who only waits to see the field so stands at the head of the queue (kernel/wait.c:68, v3.7).
        """
        paid = 0
        memory, contexts = self.machine.memory, self.machine.contexts
        lock, value = field.lock is not None, memory.get(field, field.default)
        handed_on = isinstance(value, Rwsem)
        if handed_on and self._rwsems is not None:
            return self._rwsems.serve(field, clock)
        if lock and value is not None and not handed_on:
            return 0  # it was taken, which nobody waits for
        for waiter in self.waiting[field][:]:
            if not enabled(waiter.op, memory, contexts[waiter.i]):
                continue
            if waiter.how is SPIN:
                self.look(field, waiter, clock)
                continue
            if waiter.how is GRANT:
                paid += self.grant(field, waiter, clock)
            else:
                paid += self.wake(field, waiter, clock)
            if type(waiter.op) is Acquire and waiter.how is not RETRY and not handed_on:
                break  # one at a time; a rwsem has named in memory all those it was handed to
        return paid

    def _leave(self, field: Field, waiter: Waiter) -> None:
        queue = self.waiting[field]
        queue.remove(waiter)
        if not queue:
            del self.waiting[field]

    def grant(self, field: Field, waiter: Waiter, clock: int) -> int:
        """Do *waiter*'s operation now, as the next step of the run, so that nobody can slip in."""
        self._leave(field, waiter)
        ns: int = self.ledger.step(waiter.i, waiter.op, clock)
        waiter.fire(self._runs_again(waiter, clock) + ns)
        return self.costs["wake_up"] if waiter.sleeps else 0

    def wake(self, field: Field, waiter: Waiter, clock: int) -> int:
        """Let *waiter* do its operation itself when it runs again."""
        if waiter.how is RETRY:
            if field in self.awake:
                return 0  # the head of the queue is on its way; nobody else is woken
            self.awake[field] = waiter
        self._leave(field, waiter)
        waiter.fire(self._runs_again(waiter, clock))
        return self.costs["wake_up"]

    def look(self, lock: Field, spinner: Waiter, clock: int) -> None:
        """Let a spinner see the change when it looks next."""
        self._leave(lock, spinner)
        spinner.fire(clock + (spinner.since - clock) % max(1, self.costs["mutex_spin_poll"]))

    def _runs_again(self, waiter: Waiter, clock: int) -> int:
        """When a waiter that is served at *clock* goes on."""
        if not waiter.sleeps:
            return clock + self.costs["spin_handover"]
        return max(clock, waiter.since + self.costs["sleep"]) + self.costs["wake_latency"]


def run(
    world: str | World,
    variant: str | Variant = "mutex_v37",
    *,
    policy: str = "handoff",
    seed: int = 0,
    costs: Costs = COSTS,
    record: bool = False,
    schedule: bool = False,
    watcher: Watcher | None = None,
    only: int | None = None,
    progress: Callable[..., None] | None = None,
    params: Mapping[str, int] | None = None,
    **more: int,
) -> TimedRun:
    """Run *world* under the clock.  All times are simulated.

    Unless told to keep something, a run needs no more memory the longer it lasts, beyond that of the world itself.

    Args:
        world: the world or its name.
        variant: the variant or its name.
        policy: who gets a lock that is released; see :data:`POLICIES`.
        seed: 0 for none; another number varies when threads start and how long user code takes.
        costs: the table of costs.
        record: whether to keep every event, and when it began.
        schedule: whether to keep the schedule; without it, whoever asks for it waits for the run to be made again.
        watcher: who is told of every step; a run that is made again is not watched again.
        only: the number of the one task that goes, on machines where all others stand still but answer interrupts.
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
    values = it.values({**(params or {}), **more})

    def make(record: bool, schedule: bool, watcher: Watcher | None, progress: Callable[..., None] | None) -> TimedRun:
        setup = it.setup(values)
        machine = Machine(setup, how)
        keep: dict[str, Any] = {"seed": seed, "record": record, "schedule": schedule}
        ledger = Ledger(machine, costs, **keep) if watcher is None else WatchedLedger(machine, costs, watcher, **keep)
        clockwork = Clockwork(ledger, policy, keep_sleeps=record or schedule, only=only)
        clockwork.run(progress)
        ledger.end(clockwork.elapsed)
        keeps = record or schedule
        return TimedRun(
            it.name,
            how.name,
            setup.params,
            policy,
            seed,
            pages_migrated(setup.memory, machine.memory),
            clockwork.elapsed,
            ledger.counts,
            clockwork.switches.sites,
            machine.verdict(),
            machine.steps,
            again=lambda record: make(record, True, None, None),
            kept=ledger if keeps else None,
            kept_sleeps=clockwork.switches.each if keeps else None,
        )

    with collector_paused():
        return make(record, schedule, watcher, progress)
