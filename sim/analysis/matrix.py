"""Every world under every variant: what the checker says, and whether it is what the variant claims.

The cells are independent of each other, so that they are checked in processes of their own.  A world's first cell tells
how large it is; of those that are left the largest goes first.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sim import variants as all_variants
from sim.engines.checker import INTERRUPTED, check
from sim.worlds import WORLDS
from sim.worlds import find as find_world

#: States at which a cell gives up, unless told otherwise: no world is meant to be larger.
LIMIT = 200_000
#: What a verdict is shown with; never the sign or a colour alone.
GLYPHS = {"safe": "✓", "unsafe": "✗", "undecided": "?"}

#: Told after each cell: how many there are, how many are done, the states met so far.
Progress = Callable[[int, int, int], object]
Name = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Cell:
    """One world under one variant.

    Attributes:
        world, variant: which; a world may be a tilde form.
        verdict: ``safe``, ``unsafe`` or ``undecided``.
        states, complete: how many states were met, and whether there are no others.
        steps: the length of the shortest run to a violation; None if there is none.
        kind, run_name: which violation that is, and the run; empty if there is none.
        bound: what stopped the search, if it is not complete.
        claimed: the verdict that the variant states; empty if it states none.
        seconds: how long it took.
    """

    world: str
    variant: str
    verdict: str
    states: int = 0
    complete: bool = False
    steps: int | None = None
    kind: str = ""
    run_name: str = ""
    bound: str = ""
    claimed: str = ""
    seconds: float = 0.0

    @property
    def agrees(self) -> bool:
        """Whether the variant claims this, or claims nothing."""
        return self.claimed in ("", self.verdict)

    def to_json(self) -> dict[str, Any]:
        """The cell as JSON values, without its names and its time."""
        left_out = ("world", "variant", "seconds")
        return {it: getattr(self, it) for it in Cell.__slots__ if it not in left_out} | {"agrees": self.agrees}

    def __str__(self) -> str:
        said = f"{GLYPHS[self.verdict]} {self.verdict}" + (f" in {self.steps}" if self.steps is not None else "")
        return said if self.agrees else f"{said} ≠ {self.claimed}"


@dataclass(frozen=True, slots=True)
class Matrix:
    """The cells, in the order of worlds and variants; *seconds* from beginning to end."""

    cells: tuple[Cell, ...]
    seconds: float

    @property
    def agrees(self) -> bool:
        """Whether every cell is as claimed."""
        return all(it.agrees for it in self.cells)

    def to_json(self) -> dict[str, dict[str, Any]]:
        """By world and variant: verdict, states, complete, steps and the rest of a :class:`Cell`."""
        data: dict[str, dict[str, Any]] = {}
        for it in self.cells:
            data.setdefault(it.world, {})[it.variant] = it.to_json()
        return data

    def text(self, width: int = 120) -> str:
        """A table no wider than *width* (in characters), in parts if need be; below it what does not agree."""
        return "\n".join([*_table(self.cells, width), "", *self._notes()])

    def _notes(self) -> Iterator[str]:
        states = sum(it.states for it in self.cells)
        yield f"{len(self.cells)} cells, {states:,} states, {self.seconds:.1f} s; unsafe in N: N steps to the violation"
        for it in self.cells:
            if it.bound and it.verdict == "undecided":
                yield f"? {it.world} under {it.variant}: {it.bound}"
        for it in self.cells:
            if not it.agrees:
                yield f"≠ {it.world} under {it.variant} is {it.verdict}; the variant states {it.claimed}"
        if self.agrees:
            yield "every cell is as its variant states"


def cells_of(worlds: Sequence[str] = (), variants: Sequence[str] = ()) -> list[Name]:
    """The names of the cells: all, or those of some worlds (a world's tilde forms come with it) and variants.

    Raises:
        UnknownName: for a world or variant that does not exist, naming the nearest.
    """
    for name in worlds:
        find_world(name)
    chosen = [name for name, it in WORLDS.items() if not worlds or name in worlds or it.base in worlds]
    columns = [all_variants.find(name).name for name in dict.fromkeys(variants or all_variants.names())]
    return [(world, variant) for world in chosen for variant in columns]


def matrix(
    worlds: Sequence[str] = (),
    variants: Sequence[str] = (),
    *,
    limit: int = LIMIT,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Matrix:
    """Check every cell, or those of some *worlds* and *variants*, each up to *limit* states.

    *jobs* processes work at once (None: one a CPU; 1: this one alone).  Ctrl-C ends it: what has been found stays, the
    rest is undecided.

    Raises:
        UnknownName: for a world or variant that does not exist.
    """
    start = time.perf_counter()
    names = cells_of(worlds, variants)
    jobs = min(jobs or os.cpu_count() or 1, len(names))
    found: dict[Name, Cell] = {}
    with _Interrupts() as interrupts:
        for cell in _alone(names, limit, interrupts) if jobs <= 1 else _together(names, limit, jobs, interrupts):
            found[cell.world, cell.variant] = cell
            if progress is not None:
                progress(len(names), len(found), sum(it.states for it in found.values()))
    cells = [found.get(it) or Cell(*it, "undecided", bound=f"{INTERRUPTED} before it began") for it in names]
    return Matrix(tuple(_claim(it) for it in cells), time.perf_counter() - start)


def _claim(it: Cell) -> Cell:
    claimed = all_variants.find(it.variant).verdicts.get(it.world, "")
    return Cell(**{name: getattr(it, name) for name in Cell.__slots__} | {"claimed": claimed})


def check_cell(world: str, variant: str, limit: int, progress: Callable[[int, int], object] | None = None) -> Cell:
    """One cell, without what is claimed of it."""
    start = time.perf_counter()
    it = check(world, variant, limit=limit, progress=progress)
    kind, run_name, steps = "", "", None
    if it.violations:
        first = it.violations[0]
        kind, run_name, steps = first.kind, first.run_name, first.steps
    seconds = time.perf_counter() - start
    return Cell(world, variant, it.verdict, it.states, it.complete, steps, kind, run_name, it.bound, "", seconds)


class _Interrupts:
    """While it is entered, Ctrl-C is noted, so that whoever is at work can come to an end; a second one is as ever."""

    def __init__(self) -> None:
        self.noted = False
        self.tell: Callable[[], object] = lambda: None  #: called when it happens
        self._before: Any = None

    def __enter__(self) -> _Interrupts:
        if threading.current_thread() is threading.main_thread():  # the only one that may ask for signals
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)
        self.noted = True
        self.tell()

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """For starting processes, which get Ctrl-C too: they inherit that it waits; here it comes a moment later."""
        if not hasattr(signal, "pthread_sigmask"):  # not on Windows
            yield
            return
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _alone(names: Iterable[Name], limit: int, interrupts: _Interrupts) -> Iterator[Cell]:
    def look_up(states: int, depth: int) -> None:
        if interrupts.noted:
            raise KeyboardInterrupt

    for name in names:
        if not interrupts.noted:
            yield check_cell(*name, limit, look_up)


# --- several processes -----------------------------------------------------------------------------------


class _Worker:
    """What a process knows: the event that tells it to stop."""

    stop: Any = None


def _begin(stop: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _Worker.stop = stop


def _work(world: str, variant: str, limit: int) -> Cell:
    def look_up(states: int, depth: int) -> None:
        if _Worker.stop.is_set():
            raise KeyboardInterrupt

    return check_cell(world, variant, limit, look_up)


def _together(names: Sequence[Name], limit: int, jobs: int, interrupts: _Interrupts) -> Iterator[Cell]:
    """The cells in the order in which they are done, *jobs* at a time."""
    processes = multiprocessing.get_context("spawn")  # as everywhere but on Linux; it inherits nothing by chance
    stop = processes.Event()
    interrupts.tell = stop.set
    left, sizes = list(names), dict[str, int]()
    running: set[Future[Cell]] = set()
    with ProcessPoolExecutor(jobs, processes, _begin, (stop,)) as pool:
        try:
            while running or (left and not interrupts.noted):
                while left and len(running) < jobs and not interrupts.noted:
                    name = _next(left, sizes)
                    left.remove(name)
                    with interrupts.held_back():
                        running.add(pool.submit(_work, *name, limit))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for cell in (it.result() for it in done):
                    sizes[cell.world] = max(cell.states, sizes.get(cell.world, 0))
                    yield cell
        finally:
            stop.set()  # whoever is still at work when something else goes wrong


def _next(left: Sequence[Name], sizes: Mapping[str, int]) -> Name:
    """A world that is not yet known, or else the largest."""
    return max(left, key=lambda it: sizes.get(it[0], float("inf")))


# --- as text ---------------------------------------------------------------------------------------------


def _table(cells: Sequence[Cell], width: int) -> Iterator[str]:
    worlds, variants = dict.fromkeys(it.world for it in cells), dict.fromkeys(it.variant for it in cells)
    said = {(it.world, it.variant): str(it) for it in cells}
    first = max(map(len, (*worlds, "world")))
    wide = {name: max(len(name), *(len(said[world, name]) for world in worlds)) for name in variants}
    for part in _parts(list(variants), wide, width - first):
        yield "  ".join((f"{'world':{first}}", *(f"{name:{wide[name]}}" for name in part))).rstrip()
        for world in worlds:
            its = (f"{said[world, name]:{wide[name]}}" for name in part)
            yield "  ".join((f"{world:{first}}", *its)).rstrip()
        if part[-1] != list(variants)[-1]:
            yield ""


def _parts(names: Sequence[str], wide: Mapping[str, int], room: int) -> Iterator[list[str]]:
    """The columns, as many at a time as there is room for, and at least one."""
    part: list[str] = []
    used = 0
    for name in names:
        if part and used + 2 + wide[name] > room:
            yield part
            part, used = [], 0
        part.append(name)
        used += 2 + wide[name]
    if part:
        yield part
