"""Replaying a tape: a whole run under the clock, without its coroutines and without most of its memory.

Who gets a lock, who spins and who is woken, when an interrupt arrives and what is paid for it: all that is the timed
engine's own (:mod:`sim.engines.timed`), and so is what a lock does in memory.  Only the life of a thread is another:
it takes its steps from a tape (:mod:`sim.engines.tape`), and those that concern it alone at one go.  Steps that others
can see come in the order of the timed engine (:mod:`sim.engines.clock`), so that the result is the run's to the
nanosecond.  That is checked: a shorter run is made in both ways before a tape is believed, for each policy.  And where
all comes again as it was, it is not played again (:mod:`sim.engines.cycles`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Mapping
from fractions import Fraction
from heapq import heappop, heappush, heapreplace
from typing import Any, Final

from sim.engines import timed
from sim.engines.arrivals import NEVER, Arrivals
from sim.engines.costs import Costs
from sim.engines.cycles import TIME, Cycles
from sim.engines.identity import identity, remembered
from sim.engines.ledger import collector_paused
from sim.engines.tape import FEW, SOME, Tape
from sim.engines.tape_books import Books
from sim.engines.timed import REPORT, TELLING, Clockwork
from sim.engines.timed_run import TimedRun
from sim.errors import BadParameter, UnknownName, Untaped
from sim.machine import Change
from sim.ops import Op
from sim.variants import Variant
from sim.variants import find as find_variant
from sim.worlds import World
from sim.worlds import find as find_world

#: Pages of each thread in the run that a tape is compared with.
CHECKED: Final = 5

#: Tapes that are kept.
KEPT: Final = 64


class _Kept:
    """A tape that is kept.

    Attributes:
        tape: the tape.
        checked: by policy, how many pages more move with each page of a thread; or why it cannot be used.
    """

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.checked: dict[str, Fraction | Untaped] = {}


_tapes: OrderedDict[tuple[Any, ...], _Kept | Untaped] = OrderedDict()


def forget() -> None:
    """Forget every tape."""
    _tapes.clear()


def replay(
    world: str | World,
    variant: str | Variant = "mutex_v37",
    *,
    policy: str = "handoff",
    seed: int = 0,
    costs: Costs = timed.COSTS,
    progress: Callable[..., None] | None = None,
    params: Mapping[str, int] | None = None,
    **more: int,
) -> TimedRun:
    """What :func:`sim.engines.timed.run` says, from a tape; the result says so (``taped``).

    Of each world, variant and set of parameters but the number of pages one tape is made, and kept.  Before it is used
    under a policy it is compared with a run of :data:`CHECKED` pages: time, steps, every count, and who slept where
    for how long.  With other costs later it is only replayed.

    Raises:
        Untaped: if that cannot be done, or a tape does not do what the run does.
        UserError: as the engine.
    """
    it = find_world(world) if isinstance(world, str) else world
    how = find_variant(variant) if isinstance(variant, str) else variant
    if policy not in timed.POLICIES:
        raise UnknownName("policy", policy, timed.POLICIES)
    values = it.values({**(params or {}), **more})
    try:
        if seed:
            raise Untaped("with a seed no two pages cost the same")
        with collector_paused():
            tape, moved = _checked(it, how, values, policy, costs)
            player = _played(tape, values["pages"], policy, costs, progress)
    except Untaped as fault:
        raise Untaped(f"{it.name} under {how.name} cannot be replayed from a tape: {fault}") from None
    return TimedRun(
        it.name,
        how.name,
        dict(values),
        policy,
        0,
        int(tape.migrated + (values["pages"] - FEW) * moved),
        player.elapsed,
        player.books.counts,
        player.switches.sites,
        steps=player.books.steps,
        taped=CHECKED,
    )


def can(world: World, variant: Variant, *, policy: str, costs: Costs, params: Mapping[str, int]) -> bool:
    """Whether :func:`replay` can be used: there is a tape, and it was found to do what the run does."""
    try:
        with collector_paused():
            _checked(world, variant, params, policy, costs)
    except Untaped:
        return False
    return True


def _checked(
    world: World, variant: Variant, values: Mapping[str, int], policy: str, costs: Costs
) -> tuple[Tape, Fraction]:
    """The tape, and how many pages more move with each page of a thread; made and compared now or before."""
    if not {"threads", "pages"} <= values.keys():
        raise Untaped("it has no number of threads, or none of pages")
    most = world.params["pages"].even or world.params["pages"].high
    if not SOME <= values["pages"] <= most:
        raise Untaped(f"pages={values['pages']} is not from {SOME} to {most}")
    kept = _tape(world, variant, values)
    if policy not in kept.checked:
        try:
            kept.checked[policy] = _compared(kept.tape, world, variant, values, policy, costs)
        except Untaped as fault:
            kept.checked[policy] = fault
    found = kept.checked[policy]
    if isinstance(found, Untaped):
        raise found
    return kept.tape, found


def _tape(world: World, variant: Variant, values: Mapping[str, int]) -> _Kept:
    """The tape, made now or before."""
    key = (identity(world), identity(variant), tuple(it for it in values.items() if it[0] != "pages"))
    found = remembered(_tapes, key, KEPT, lambda: _made(world, variant, values))
    if isinstance(found, Untaped):
        raise found
    return found


def _made(world: World, variant: Variant, values: Mapping[str, int]) -> _Kept | Untaped:
    """The tape, or why there is none."""
    try:
        return _Kept(Tape(world, variant, values))
    except (Untaped, BadParameter) as fault:  # the latter if the world allows no run so short
        return Untaped(str(fault))


def _compared(
    tape: Tape, world: World, variant: Variant, values: Mapping[str, int], policy: str, costs: Costs
) -> Fraction:
    """Compare *tape* with a run; how many pages more move with each page of a thread."""
    run = timed.run(world, variant, policy=policy, costs=costs, params={**values, "pages": CHECKED})
    player = _played(tape, CHECKED, policy, costs, None)
    mine = player.elapsed, player.books.steps, player.books.counts, _slept(player.switches.sites)
    if mine != (run.elapsed_ns, run.steps, run.counts, _slept(run.sites)) or run.violation is not None:
        its = f"{run.elapsed_ns:,} ns and {run.steps:,} steps"
        raise Untaped(f"with {CHECKED} pages it takes {mine[0]:,} ns and {mine[1]:,} steps, and the run itself {its}")
    return Fraction(run.pages_migrated - tape.migrated, CHECKED - FEW)


def _slept(sites: Mapping[Any, Any]) -> dict[Any, tuple[int, int, int]]:
    return {site: (it.count, it.total, it.most) for site, it in sites.items()}


def _played(tape: Tape, pages: int, policy: str, costs: Costs, progress: Callable[..., None] | None) -> Player:
    player = Player(Books(tape, pages, costs), policy)
    player.run(progress)
    if player.unfinished:
        raise Untaped("its threads come to wait for each other")
    player.books.close()
    return player


# --- the clock -------------------------------------------------------------------------------------------


class Turns:
    """The turns of a replay's threads, in the order of the timed engine's clock.

    Attributes:
        now: the time (ns).
        queue: what is to come: when, the number of the thread, and its process.
        lives: of each thread that has begun its process.
    """

    def __init__(self) -> None:
        self.now = 0
        self.queue: list[Any] = [NEVER]
        self.lives: dict[int, Any] = {}

    def turn(self, at: int, rank: int) -> int:
        """When a process goes on that yields this."""
        return at

    def schedule(self, waiter: Any, rank: int, delay: int) -> None:
        """*waiter*, which is thread *rank*, goes on so much later."""
        heappush(self.queue, (self.now + delay, rank, self.lives[rank]))


class Player(Clockwork):
    """The timed engine, whose threads take their steps from a tape."""

    clock, interrupts = Turns, Arrivals
    _interrupts: Arrivals

    def __init__(self, books: Books, policy: str) -> None:
        super().__init__(books, policy, keep_sleeps=False)
        self.books = books
        self._cycles = Cycles(self) if policy == "handoff" else None  # else processes know more than state() tells

    def run(self, progress: Callable[..., None] | None = None) -> None:
        """As of the timed engine."""
        super().run(progress)
        if self._cycles is not None:
            self.elapsed += self._cycles.skipped

    def _begin(self, i: int) -> None:
        self.env.lives[i] = life = self._live(i)
        heappush(self.env.queue, (0, i, life))

    def _turn_the_clock(self, progress: Callable[..., None] | None) -> None:
        env, queue, report = self.env, self.env.queue, REPORT
        due, settle, owed = self._interrupts.due, self._interrupts.settle, self._interrupts.owed
        while self.unfinished:
            if due[0][0] <= queue[0][0]:
                settle(queue)
            if queue[0] is NEVER:
                break
            env.now, i, life = queue[0]
            if owed[i]:  # interrupts have taken its CPU meanwhile
                heapreplace(queue, (env.now + owed[i], i, life))
                owed[i] = 0
                continue
            heappop(queue)
            at = next(life, None)
            if type(at) is int:
                heappush(queue, (at, i, life))
            if self.books.began:
                self.books.began = False
                if self._cycles is not None:
                    self._cycles.look()
            if progress is not None and self.books.steps >= report:
                progress(f"{self.books.steps:,} shared steps", f"{env.now / 1e6:.2f} ms simulated")
                report = self.books.steps + REPORT

    def _live(self, i: int) -> Generator[Any, Any, None]:
        """Thread *i*, from its start to its end, as :meth:`Clockwork._live`: yields when it goes on."""
        env, queue, due, books = self.env, self.env.queue, self._interrupts.due, self.books
        segments, there, own, may_wait = books.segments, books.there, books.own[i], self.may_wait
        now, clock = 0, books.start(i)  # now: when it was last its turn
        while (segment := segments[i]).steps or segment.kind is not None:
            if not there[i]:
                clock += segment.ahead
                there[i] = True
            if clock > now and (clock >= queue[0][0] or clock >= due[0][0]):
                yield clock
                now = clock = env.now
            kind = segment.kind
            if kind is None:
                clock += segment.ns
                break
            op = segment.op or own[kind]
            if kind in may_wait and not self.ready(i, op, clock):
                now = clock = yield from self._wait(i, op, clock)
            else:
                now, clock = clock, self._do(i, op, clock)
        self._exit(i, clock)

    def _do(self, i: int, op: Op, at: int) -> int:
        """Thread *i* does its next shared step at time *at*; when it goes on."""
        clock = at + self.books.step(i, op, at)
        for change in self.books.changes:
            if change[0] in self.waiting:
                clock += self._serve(change[0], at)
        if type(op) in TELLING:
            self._tell(i, op, self.books.changes, at)
        return clock

    def _asked(self, i: int, changes: list[Change]) -> tuple[int, ...]:
        return self.books.asked[i]

    # --- what is there, and what was counted --------------------------------------------------------------

    def state(self) -> Iterator[Any]:
        """All that decides what follows, but for the time and for how much is left to do, a part at a time."""
        now = self.env.now
        yield sorted((at - now, i) for at, i, _ in self.env.queue)[:-1]
        yield self.books.state(now)
        yield {
            field: [(it.i, it.since - now, it.how, it.sleeps) for it in queue] for field, queue in self.waiting.items()
        }
        yield {i: (it.time - now, it.field, it.stack) for i, it in self._asleep.items()}
        yield self._on_cpu[:]
        yield self._interrupts.state(now)

    def tally(self) -> dict[Any, int]:
        """All that was counted, and the time."""
        slept = {
            (site, name): number
            for site, it in self.switches.sites.items()
            for name, number in (("count", it.count), ("total", it.total))
        }
        return {TIME: self.env.now} | self.books.tally() | slept

    def add(self, more: dict[Any, int]) -> None:
        """Count *more* than was done."""
        self.books.add(more)
        for site, it in self.switches.sites.items():
            it.count += more[site, "count"]
            it.total += more[site, "total"]
