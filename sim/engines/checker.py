"""Everybody goes next, in every order: a verdict, and a shortest run to each kind of violation.

Breadth first over packed states (:mod:`sim.engines.checker_tables`), so the first violation found is a shortest
one.  What counts as one:

* what a step raises (:class:`sim.invariants.Violation`);
* deadlock: nothing can run, and a task that is no daemon has not finished;
* a final state (every task that is no daemon has finished) that breaks an invariant;
* livelock: a state from which no final state can be reached.  That can be said only when the search is complete
  and found nothing else (:mod:`sim.engines.search_livelock`).

:func:`fewest_preemptions` is a second search, with a schedule of its own (:mod:`sim.engines.search_preemptions`), and
:func:`nearest_passing` a third, for what made the difference (:mod:`sim.engines.search_nearest`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf

from sim import invariants
from sim.engines import search_livelock, search_nearest, search_preemptions
from sim.engines.checker_tables import Tables
from sim.engines.search_bound import Bound, GaveUp
from sim.invariants import Violation
from sim.machine import Machine, deadlock
from sim.schedule import run_name
from sim.variants import Variant
from sim.variants import find as find_variant
from sim.worlds import World
from sim.worlds import find as find_world

__all__ = ["Found", "GaveUp", "Passing", "Tables", "Verdict", "check", "fewest_preemptions", "nearest_passing"]

#: States after which the search gives up, unless told otherwise.
LIMIT = 1_000_000
#: How the bound of a search begins that Ctrl-C ended.
INTERRUPTED = "interrupted"
#: States expanded between two looks at the limit.
_CHUNK = 4096

Progress = Callable[[int, int], object]
Turns = tuple[tuple[int, int | None], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A violation, and a run that ends in it.

    Attributes:
        kind: one of :data:`sim.invariants.KINDS`.
        sentence: what happened, in English, with names.
        rule: the rule that was broken, with its source.
        where: the line of kernel code at which it happened, or "" if it is the final state that is wrong.
        run_name: the run; every engine takes it.
        steps: how long it is.
        preemptions: how often it leaves a task that could have gone on.
        schedule: its turns, as (number of the task, choice or None).
    """

    kind: str
    sentence: str
    rule: str
    where: str
    run_name: str
    steps: int
    preemptions: int
    schedule: Turns = field(repr=False)


@dataclass(frozen=True, slots=True)
class Passing:
    """A run in which nothing goes wrong, as near as can be to one in which something does.

    Attributes:
        run_name: the run; every engine takes it.
        steps: how long it is.
        kept: how many of its steps, the first ones, are those of the violating run in another order.
        swaps: the pairs of steps of the violating run that stand the other way round, as many as swaps of neighbours.
        schedule: its turns, as (number of the task, choice or None).
    """

    run_name: str
    steps: int
    kept: int
    swaps: tuple[search_nearest.Swap, ...]
    schedule: Turns = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the checker says of a world under a variant.

    Attributes:
        world: the world's name; params: its parameters; variant: the variant's name.
        verdict: ``safe``, ``unsafe`` or ``undecided``.
        states: how many different states it met.
        transitions: steps from one of them to another.
        complete: whether there are no others.
        depth: the steps to the farthest of them.
        violations: a shortest run to each kind found.
        bound: what stopped the search, if it is not complete.
    """

    world: str
    variant: str
    params: dict[str, int]
    verdict: str
    states: int
    transitions: int
    complete: bool
    depth: int
    violations: tuple[Found, ...] = ()
    bound: str = ""

    def __str__(self) -> str:
        lines = [f"{self.world} under {self.variant}: {self.verdict}; {self.states:,} states, depth {self.depth}"]
        for it in self.violations:
            lines += [
                f"  {it.kind} in {it.steps} steps: {it.sentence}",
                f"  broken rule: {it.rule}",
                f"  {it.run_name}",
            ]
        return "\n".join(lines + ([f"  {self.bound}"] if self.bound else []))


def check(
    world: str | World,
    variant: str | Variant,
    params: Mapping[str, int] | None = None,
    *,
    limit: int = LIMIT,
    progress: Progress | None = None,
    all_kinds: bool = False,
) -> Verdict:
    """Try every order of steps of *world* under *variant*.

    The parameters are the world's small ones (``World.check``) with *params* over them.  The search stops at the
    first violation, or with *all_kinds* goes on and returns a shortest run to each kind; at *limit* states it
    gives up.  *progress* is told the number of states and the depth now and then.  Ctrl-C ends it with what was
    found so far: "undecided", unless that is a violation, with the number of states as the bound.

    Raises:
        UserError: for a world, variant or parameter that does not exist, or code that yields what it must not.
    """
    case = _Case.of(world, variant, params)
    search = Search(case.tables())
    bound = search.run(limit, progress, all_kinds=all_kinds)
    violations = tuple(case.found(search.tables, *it) for it in search.found.values())
    verdict = "unsafe" if violations else "undecided" if bound else "safe"
    return Verdict(
        case.world.name,
        case.variant.name,
        case.params,
        verdict,
        len(search.seen),
        search.transitions,
        search.complete,
        search.depth,
        violations,
        bound,
    )


def fewest_preemptions(
    world: str | World,
    variant: str | Variant,
    params: Mapping[str, int] | None = None,
    *,
    kind: str = "",
    limit: int = LIMIT,
    seconds: float = inf,
) -> Found | None:
    """A run to a violation (of *kind*, if given) that leaves a task which could have gone on as seldom as possible.

    Among those, a shortest.  None if there is no violation.

    Raises:
        GaveUp: if it takes more than *limit* pairs of state and last task, or more *seconds*.
    """
    case = _Case.of(world, variant, params)
    tables = case.tables()
    bound = Bound(limit, seconds)
    found = search_preemptions.search(tables, lambda state: final_violation(tables, state), kind, bound)
    return case.found(tables, *found) if found else None


def nearest_passing(
    world: str | World,
    variant: str | Variant,
    params: Mapping[str, int] | None = None,
    *,
    schedule: Turns,
    limit: int = LIMIT,
    seconds: float = inf,
) -> Passing | None:
    """The passing run that the fewest swaps of neighbouring steps make of the violating *schedule*.

    What exactly that is stands in :mod:`sim.engines.search_nearest`.  None if no order of its steps passes.

    Raises:
        GaveUp: if it takes more than *limit* nodes, or more *seconds*.
    """
    case = _Case.of(world, variant, params)
    tables = case.tables()
    bound = Bound(limit, seconds)
    found = search_nearest.search(tables, schedule, lambda state: invariants.at_end(tables.memory(state)), bound)
    if found is None:
        return None
    name = run_name(case.world, case.params, case.variant.name, found.turns)
    return Passing(name, len(found.turns), found.kept, found.swaps, found.turns)


@dataclass(frozen=True, slots=True)
class _Case:
    world: World
    variant: Variant
    params: dict[str, int]

    @classmethod
    def of(cls, world: str | World, variant: str | Variant, params: Mapping[str, int] | None) -> _Case:
        world = find_world(world) if isinstance(world, str) else world
        variant = find_variant(variant) if isinstance(variant, str) else variant
        return cls(world, variant, world.small(params))

    def tables(self) -> Tables:
        return Tables(self.world.setup(self.params), self.variant)

    def found(self, tables: Tables, violation: Violation, turns: Turns) -> Found:
        name = run_name(self.world, self.params, self.variant.name, turns)
        preemptions = search_preemptions.count(tables, turns)
        where = self.where(turns)
        return Found(violation.kind, violation.sentence, violation.rule, where, name, len(turns), preemptions, turns)

    def where(self, turns: Turns) -> str:
        """The line at which the last turn goes wrong: a caller's, not that of the lock call it makes (sim/sync.py)."""
        machine = Machine(self.world.setup(self.params), self.variant)
        for task, choice in turns[:-1]:
            machine.perform(task, [], choice or 0)
        if not turns:
            return ""
        task, choice = turns[-1]
        stack = [it for it in machine.stack(machine.tasks[task].task) if it.file != "sim/sync.py"]
        machine.perform(task, [], choice or 0)
        if machine.violation is None or not stack:
            return ""
        return f"{stack[-1].file}:{stack[-1].line} in {stack[-1].function}"


def final_violation(tables: Tables, state: int) -> Violation | None:
    """What is wrong with *state* itself: a broken final state, or a deadlock."""
    if not state & tables.busy:
        return invariants.at_end(tables.memory(state))
    numbers = range(len(tables.tasks))
    if any(tables.outcomes(state, task) for task in numbers):
        return None
    return deadlock(tables.memory(state), tables.tasks, [tables.op(state, task) for task in numbers])


class Search:
    """Breadth first over the states of *tables*.

    Attributes:
        seen: every state met, in order of its depth, with the state from which it was met.
        found: by kind, the first violation and the turns that lead to it.
        complete: whether every state was met.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.seen: dict[int, int] = {tables.start: -1}
        self.transitions = 0
        self.depth = 0
        self.complete = False
        self.found: dict[str, tuple[Violation, Turns]] = {}
        self._later: dict[str, tuple[Violation, Turns]] = {}  # found on the way to the next depth

    def run(self, limit: int = LIMIT, progress: Progress | None = None, *, all_kinds: bool = False) -> str:
        """Search; return what stopped it, or nothing."""
        try:
            return self._run(limit, progress, all_kinds)
        except KeyboardInterrupt:
            self.complete = False
            self._settle()
            return f"{INTERRUPTED} at {len(self.seen):,} states, at depth {self.depth}"

    def _run(self, limit: int, progress: Progress | None, all_kinds: bool) -> str:
        level = [self.tables.start]
        while level:
            following: list[int] = []
            for at in range(0, len(level), _CHUNK):
                self._expand(level[at : at + _CHUNK], following)
                if progress is not None:
                    progress(len(self.seen), self.depth)
                if len(self.seen) > limit:
                    self._settle()
                    return f"gave up after {limit:,} states, at depth {self.depth}"
            self._settle()
            if self.found and not all_kinds:
                self.found = dict([next(iter(self.found.items()))])
                return "stopped at the first violation"
            level = following
            self.depth += bool(level)
        self.complete = True
        if not self.found and (doomed := search_livelock.search(self.tables, self.seen)):
            violation, state = doomed
            self.found[violation.kind] = violation, self.way_to(state)
        return ""

    def _expand(self, level: list[int], following: list[int]) -> None:
        """The inner loop: add the states one step after those of *level* to *following*."""
        tables, seen = self.tables, self.seen
        lanes, busy = tables.lanes, tables.busy
        transitions = 0
        add = following.append
        for state in level:
            if not state & busy:
                self._look(state)
            moves = 0
            for own, task, rows in lanes:
                mask, lookup = rows[state & own]
                delta = lookup(state & mask)
                if delta:
                    moves += 1
                    after = state + delta
                    if after not in seen:
                        seen[after] = state
                        add(after)
                elif delta is None:
                    moves += self._expand_slowly(state, task, add)
                    busy = tables.busy
            transitions += moves
            if not moves and state & busy:
                self._look(state)
        self.transitions += transitions

    def _expand_slowly(self, state: int, task: int, add: Callable[[int], object]) -> int:
        """The same for a step that is new, a decision, or a bug; return the number of moves."""
        moves = 0
        for it in self.tables.outcomes(state, task):
            if it.violation is not None:
                if it.violation.kind not in self.found and it.violation.kind not in self._later:
                    self._later[it.violation.kind] = it.violation, (*self.way_to(state), (task, it.choice))
            elif it.delta:
                moves += 1
                after = state + it.delta
                if after not in self.seen:
                    self.seen[after] = state
                    add(after)
        return moves

    def _look(self, state: int) -> None:
        """Note what is wrong with a state itself, if it is final or seems stuck."""
        violation = final_violation(self.tables, state)
        if violation is not None and violation.kind not in self.found:
            self.found[violation.kind] = violation, self.way_to(state)

    def _settle(self) -> None:
        """At the end of a level its own violations come first, then those one step further."""
        for kind, it in self._later.items():
            self.found.setdefault(kind, it)
        self._later.clear()

    def way_to(self, state: int) -> Turns:
        """The turns that lead to *state* from the start, as few as can be."""
        turns = []
        while (before := self.seen[state]) != -1:
            turns.append(self.tables.turn(before, state))
            state = before
        return tuple(reversed(turns))
