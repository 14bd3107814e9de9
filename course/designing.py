"""A migration discipline of one's own (lesson 11): every order of steps of many worlds, and a race against history.

Both are measured against Linux 3.7.  A world in which that goes wrong as well is an old fault, not the design's own; a
world with a tilde has a rule taken away on purpose, and is told apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from course.looking import play, table
from course.verdicts import say_over
from sim import Variant, check, replay, run, variant
from sim.analysis.batches import beside_writers
from sim.engines.checker import INTERRUPTED
from sim.trace import Trace
from sim.worlds import WORLDS
from sim.worlds import find as find_world

#: What has been there, or was proposed: the variant, and what the lesson calls it.
HISTORY: Final[Mapping[str, str]] = {
    "mutex_v37": "Linux 3.7",
    "rfc_split_unlocked": "both walks without the lock",
    "rwsem_v38": "Linux 3.8",
    "batch_2mb": "batches on 3.7's mutex",
    "batch_v63": "Linux 6.3",
}

#: The worlds that a design is tried in first, each with what it asks.
HAZARDS: Final[Mapping[str, str]] = {
    "stack_grows": "a VMA is out of the tree for a moment",
    "relative_exits": "a relative takes its links away and frees them",
    "khugepaged_collapse": "a page table is hidden for a moment",
    "root_freed_first~fixed": "a page whose anon_vma is not its family's root",
    "reclaim_vs_exit": "reclaim walks too, and holds no reference",
    "write_during_copy": "a CPU writes through its TLB while the page moves",
    "frame_reused": "the old frame goes to a stranger",
    "batch_deadlock": "a second page cannot be had at once",
}

#: Every world that there is.
EVERYWHERE: Final = tuple(WORLDS)

#: States at which a world is given up, unless told otherwise.
LIMIT: Final = 200_000

GLYPHS: Final = {"safe": "✓", "unsafe": "✗", "undecided": "?", "not tried": "·"}

#: Told before each world: how many there are, how many are done, and which comes next ("" at the end).
Progress = Callable[[int, int, str], object]


def counts(world: str) -> bool:
    """Whether a world counts: in one with a tilde a rule has been taken away, unless it is called ``fixed``."""
    return "~" not in world or world.endswith("~fixed")


def asks(world: str) -> str:
    """What a world asks of a design."""
    return HAZARDS.get(world) or find_world(world).title


def stated(name: str, world: str) -> str:
    """What a kernel of history is said to be in a world: ``safe``, ``unsafe``; the project's tests check each."""
    return variant(name).verdicts[world]


def goes_wrong(name: str) -> int:
    """In how many of the first worlds a kernel of history goes wrong."""
    return sum(stated(name, it) == "unsafe" for it in HAZARDS)


class Trial(NamedTuple):
    """A design in one world.

    Attributes:
        verdict: ``safe``, ``unsafe``, ``undecided`` (at the limit, or interrupted) or ``not tried``.
        states: how many were met.
        kind, told, steps, run_name: what goes wrong in a shortest run, in words; its length, and its name.
    """

    world: str
    verdict: str
    states: int = 0
    kind: str = ""
    told: str = ""
    steps: int = 0
    run_name: str = ""

    @property
    def old(self) -> bool:
        """Whether Linux 3.7 goes wrong here too."""
        return stated("mutex_v37", self.world) == "unsafe"


class Trials(NamedTuple):
    """What every order of steps of many worlds says of a design."""

    design: Variant
    trials: tuple[Trial, ...]

    @property
    def wrong(self) -> tuple[Trial, ...]:
        """Where it goes wrong, and Linux 3.7 does not."""
        return tuple(it for it in self.trials if counts(it.world) and it.verdict == "unsafe" and not it.old)

    @property
    def inherited(self) -> tuple[Trial, ...]:
        """Where it goes wrong, and Linux 3.7 does too."""
        return tuple(it for it in self.trials if counts(it.world) and it.verdict == "unsafe" and it.old)

    @property
    def open(self) -> tuple[Trial, ...]:
        """Where nothing has been found out."""
        return tuple(it for it in self.trials if it.verdict not in ("safe", "unsafe"))

    @property
    def trace(self) -> Trace | None:
        """The first run that goes wrong in this design and not in Linux 3.7."""
        first = next(iter(self.wrong), None)
        return None if first is None else replay(first.run_name, {self.design.name: self.design})

    def play(self) -> Any:
        """The player of that run."""
        return "There is no run to show." if self.trace is None else play(self.trace)

    def __str__(self) -> str:
        rows = {}
        for it in self.trials:
            found = f"{it.told}, after {it.steps} steps" if it.told else asks(it.world)
            old = "  (3.7 too)" if it.verdict == "unsafe" and it.old else ""
            rows[it.world] = f"{GLYPHS[it.verdict]} {it.verdict:9} {it.states:>7,} states   {found}{old}"
        return "\n".join([table(rows, f"every order of steps, {self.design.name}:"), "", *self.summary()])

    def summary(self) -> list[str]:
        """In how many worlds it is right; where it is not, and whether Linux 3.7 is."""
        tried = [it for it in self.trials if it.verdict in ("safe", "unsafe")]
        ruled = [it for it in tried if not counts(it.world)]
        said = [f"{len(tried)} worlds of {len(self.trials)} decided, {sum(it.states for it in tried):,} states"]
        said.append(f"goes wrong where Linux 3.7 does not: {_worlds(self.wrong)}")
        said += [f"goes wrong where Linux 3.7 does too: {_worlds(self.inherited)}"] if self.inherited else []
        broken = sum(it.verdict == "unsafe" for it in ruled)
        said += [f"with a rule taken away on purpose: {broken} of {len(ruled)} go wrong, and do not count"] * bool(
            ruled
        )
        said += [f"not decided: {_worlds(self.open)}"] if self.open else []
        return said


def _worlds(its: Iterable[Trial]) -> str:
    return ", ".join(it.world for it in its) or "nowhere"


def tried(
    design: Variant,
    worlds: Sequence[str] | Mapping[str, str] = tuple(HAZARDS),
    *,
    limit: int = LIMIT,
    progress: Progress | None = None,
) -> Trials:
    """Try every order of steps of each of *worlds* under *design*, each up to *limit* states.

    Many worlds take half a minute: how far it is, is shown meanwhile.  Ctrl-C, or ■ in a notebook, ends it; what has
    been found stays, and the rest is not tried.

    Raises:
        UserError: for a world that does not exist, or code of the design that does what it must not.
    """
    for name in worlds:
        find_world(name)
    tell = progress or (_on_stderr if len(worlds) > len(HAZARDS) else lambda *_: None)
    found: list[Trial] = []
    try:
        for name in worlds:
            tell(len(worlds), len(found), name)
            trial, interrupted = _tried(design, name, limit)
            found.append(trial)
            if interrupted:
                break
    except KeyboardInterrupt:  # between two searches; a search notes it by itself
        pass
    tell(len(worlds), len(found), "")
    rest = [Trial(it, "not tried") for it in list(worlds)[len(found) :]]
    return Trials(design, (*found, *rest))


def _tried(design: Variant, world: str, limit: int) -> tuple[Trial, bool]:
    it = check(world, design, limit=limit)
    interrupted = it.bound.startswith(INTERRUPTED)
    if not it.violations:
        return Trial(world, it.verdict, it.states), interrupted
    first = it.violations[0]
    told = f"{first.kind}: {first.sentence}"
    return Trial(world, it.verdict, it.states, first.kind, told, first.steps, first.run_name), interrupted


def _on_stderr(all_: int, done: int, world: str) -> None:
    """One line, overwritten."""
    told = f"{done} of {all_} worlds" + (f", now {world} (Ctrl-C or ■ stops)" if world else "")
    say_over(told, "" if world else "\n")


# --- the race ------------------------------------------------------------------------------------------------------

#: Each of eight threads moves so many pages of its own with one call; and one call moves a region while others write.
THREADS, PAGES = 8, 16
BESIDE: Final = {"pages": 16, "writers": 3}


class Lap(NamedTuple):
    """What a design comes to under the clock; times are simulated.

    Attributes:
        pages_per_second: of eight threads together.
        interrupts: for each page that moved.
        longest_wait: of a thread that faults on a page that is on its way (ns), where one call moves 16 pages.
        stopped: what stopped it, or "".
    """

    pages_per_second: float
    interrupts: float
    longest_wait: int
    stopped: str = ""


def lap(design: Variant, threads: int = THREADS, pages: int = PAGES, *, waits: bool = True, **more: Any) -> Lap:
    """One design under the clock; without *waits* nobody looks how long others wait.  *more* goes to the engine."""
    it = run("movers", design, threads=threads, pages=pages, **more)
    moved = it.pages_migrated
    if it.violation is not None or not moved:
        stopped = f"{it.violation.kind}: {it.violation.sentence}" if it.violation else "no page moves"
        return Lap(0, 0, 0, stopped)
    waited = beside_writers(design, BESIDE)["percentiles"][-1] if waits else 0
    return Lap(it.pages_per_second, it.counts["ipis_received"] / moved, waited)


@cache
def _of_history(name: str) -> Lap:
    return lap(variant(name))


def race(design: Variant | None = None) -> dict[str, Lap]:
    """The kernels of :data:`HISTORY` and *design* under the clock, the fastest first."""
    laps = {name: _of_history(name) for name in HISTORY}
    if design is not None:
        laps[design.name] = lap(design)
    return dict(sorted(laps.items(), key=lambda it: -it[1].pages_per_second))


def standings(laps: Mapping[str, Lap]) -> str:
    """The race as a table."""
    rows = {}
    for name, it in laps.items():
        rows[name] = it.stopped or (
            f"{it.pages_per_second:>11,.0f}{it.interrupts:>18.2f}{it.longest_wait / 1000:>18,.1f}"
        )
    head = f"{'':{max(map(len, laps))}}  {'pages/s':>11}{'interrupts a page':>18}{'longest wait, µs':>18}   (simulated)"
    return table(rows, head)
