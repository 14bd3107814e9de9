"""One page about a design (lesson 11): verdicts and speed beside history's, what each lock keeps, what is given up.

The same page as text, as HTML that needs nothing from elsewhere, and as a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from course.designing import (
    EVERYWHERE,
    GLYPHS,
    HAZARDS,
    LIMIT,
    THREADS,
    Lap,
    Progress,
    Trials,
    counts,
    race,
    standings,
    stated,
    tried,
)  # fmt: skip
from course.looking import kind_of, locksets, table
from sim import Stepper, Variant
from sim.errors import UserError
from sim.machine import Event, Frame
from sim.ops import EXCLUSIVE, CopyPage, Field
from sim.structs import AnonVmaChain
from sim.trace import Trace

#: The runs from which the table of locks is read: those in which a tree changes, and a page moves.
RUNS: Final = ("one_page", "stack_grows", "neighbour_faults", "relative_exits")

LOCKS: Final[Mapping[str, str]] = {
    "PageTable.ptl": "ptl",
    "AnonVma.mutex": "anon_vma lock",
    "AnonVma.rwsem": "anon_vma lock",
    "Page.PG_locked": "page lock",
    "Mm.mmap_sem": "mmap_sem",
}
#: The two that may be an anon_vma's lock, by names of their own: for a design that takes both.
APART: Final[Mapping[str, str]] = {"AnonVma.mutex": "anon_vma mutex", "AnonVma.rwsem": "anon_vma rwsem"}
CHANGED: Final[Mapping[str, str]] = {
    "a PTE changes": "PageTable.pte",
    "the tree changes": "AnonVma.rb_root",
    "a stack's start changes": "Vma.vm_start",
}
WALKS: Final[Mapping[str, tuple[str, ...]]] = {
    "a walk unmaps": ("try_to_unmap_anon", "try_to_migrate"),
    "a walk maps again": ("rmap_walk_anon", "remove_migration_ptes"),
}
COPIED: Final = "a page is copied"


def guards(design: Variant) -> dict[str, str]:
    """What :func:`held_when` finds, in words."""
    none = {what: "no anon_vma lock" if what in WALKS else "no lock" for what in (*CHANGED, *WALKS, COPIED)}
    return {what: ", ".join(its) or none[what] for what, its in held_when(design).items()}


def held_when(design: Variant) -> dict[str, tuple[str, ...]]:
    """Which locks are held: alone at every change and every copy, at every step of a walk; from runs of :data:`RUNS`.

    Of a walk it says of the anon_vma lock alone whether it is held, and how: ``anon_vma lock, shared``.  In a design
    that takes an anon_vma's mutex here and its rwsem there, these go by the names of :data:`APART`.
    """
    traces = [Stepper(it, design).finish().trace for it in RUNS]
    alone = locksets(*traces)
    changes = {what: alone.get(kind, ()) for what, kind in CHANGED.items()}
    walks = {what: _held(traces, partial(_walks_in, functions)) for what, functions in WALKS.items()}
    used = {it for its in (*changes.values(), *walks.values()) for it in its if it in APART}
    names = {**LOCKS, **APART} if len(used) > 1 else LOCKS
    found = {what: tuple(dict.fromkeys(names[it] for it in kinds if it in names)) for what, kinds in changes.items()}
    for what, its in walks.items():
        found[what] = tuple(f"{names[it]}, {how}" for it, how in its.items() if it in APART)
    copying = _held(traces, lambda event, _: isinstance(event.op, CopyPage))
    found[COPIED] = tuple(names[it] for it, how in copying.items() if it in names and how == "alone")
    return found


def _walks_in(functions: Collection[str], event: Event, stack: Sequence[Frame]) -> bool:
    """Whether a step reads a link of the tree, in one of *functions* or in what that has called."""
    field = getattr(event.op, "field", event.op)
    reads = isinstance(field, Field) and isinstance(field.ref, AnonVmaChain)
    return reads and any(it.function in functions for it in stack)


def _held(traces: Sequence[Trace], wanted: Callable[[Event, Sequence[Frame]], bool]) -> dict[str, str]:
    """Which kinds of lock are held at each step that is *wanted*, and how: ``alone`` or ``shared``."""
    common: set[tuple[str, str]] | None = None
    for trace in traces:
        memory = dict(trace.initial)
        for event, stack in zip(trace.events, trace.stacks, strict=True):
            if wanted(event, stack):
                held = {(kind_of(lock), mode) for lock, mode in memory.get(event.task.held, ())}
                common = held if common is None else common & held
            memory.update((it.field, it.new) for it in event.changes)
    return {it: "alone" if mode == EXCLUSIVE else "shared" for it, mode in sorted(common or ())}


class OnePage(NamedTuple):
    """What is known of a design.

    Attributes:
        trials: every order of steps of the worlds that were tried.
        laps: it and history under the clock.
        held: which lock keeps what.
        words: what its writer says that it gives up.
    """

    trials: Trials
    laps: Mapping[str, Lap]
    held: Mapping[str, str]
    words: str = ""

    @property
    def name(self) -> str:
        """What the design is called."""
        return self.trials.design.name

    def verdict(self, kernel: str, world: str) -> str:
        """Of the design: what was found; of a kernel of history: what it states."""
        if kernel == self.name:
            return next(it.verdict for it in self.trials.trials if it.world == world)
        return stated(kernel, world)

    @property
    def worlds(self) -> tuple[str, ...]:
        """The worlds that count, and in which the design has been decided: history is measured in these too."""
        return tuple(it.world for it in self.trials.trials if counts(it.world) and it.verdict in ("safe", "unsafe"))

    def points(self) -> dict[str, tuple[float, int]]:
        """Each kernel on two axes: pages a second, and the worlds that go wrong."""
        wrong = {it: sum(self.verdict(it, world) == "unsafe" for world in self.worlds) for it in self.laps}
        return {it: (lap.pages_per_second, wrong[it]) for it, lap in self.laps.items()}

    def rows(self) -> dict[str, dict[str, str]]:
        """The worlds in which not all are right, with the verdict of each kernel."""
        found = {world: {it: self.verdict(it, world) for it in self.laps} for world in self.worlds}
        return {world: its for world, its in found.items() if set(its.values()) != {"safe"}}

    def lost(self) -> list[str]:
        """What the design gives up, as far as it was measured; then what its writer says."""
        said = [f"{it.world}: {it.told} ({it.steps} steps: {it.run_name})" for it in self.trials.wrong]
        if self.trials.inherited:
            said.append(
                f"old faults of Linux 3.7 are still there: {', '.join(it.world for it in self.trials.inherited)}"
            )
        if self.trials.open:
            its = [it.world for it in self.trials.open]
            said.append(f"nothing is known of {', '.join(its[:4])}{f' and {len(its) - 4} more' if its[4:] else ''}")
        if left := len(EVERYWHERE) - len(self.trials.trials):
            said.append(f"{left} of {len(EVERYWHERE)} worlds were not tried")
        said += self._slower()
        return [*said, f"its writer: {self.words}"] if self.words else said

    def _slower(self) -> list[str]:
        mine = self.laps[self.name]
        if mine.stopped:
            return [f"under the clock it stops at once: {mine.stopped}"]
        right = {it: lap for it, lap in self.laps.items() if it != self.name and not self.points()[it][1]}
        if not right:
            return []
        said = []
        best = max(right, key=lambda it: right[it].pages_per_second)
        part = mine.pages_per_second / right[best].pages_per_second
        if part < 1:
            said.append(f"it moves {100 * part:.0f} % of what {best} moves, the fastest of those right in these worlds")
        few = min(right, key=lambda it: right[it].interrupts)
        if mine.interrupts > 1.05 * right[few].interrupts:
            said.append(f"{mine.interrupts:.2f} interrupts for a page; {few} has {right[few].interrupts:.2f}")
        soon = min(right, key=lambda it: right[it].longest_wait)
        if mine.longest_wait > 1.05 * right[soon].longest_wait:
            mine_us, best_us = mine.longest_wait / 1000, right[soon].longest_wait / 1000
            said.append(f"a thread may wait {mine_us:.1f} µs for a page on its way; under {soon} {best_us:.1f} µs")
        return said

    # --- as text ---------------------------------------------------------------------------------------------------

    def head(self) -> str:
        """What was tried, and how."""
        states = sum(it.states for it in self.trials.trials)
        return f"{len(self.trials.trials)} worlds, every order of steps, {states:,} states; {THREADS} threads race"

    def __repr__(self) -> str:
        from vizlib.charts.plane import plane_table

        width = max(map(len, self.rows()), default=0)
        verdicts = [f"{'':{width}}  {'  '.join(self.laps)}"]
        for world, its in self.rows().items():
            verdicts.append(f"{world:{width}}  {'  '.join(f'{GLYPHS[it]:^{len(name)}}' for name, it in its.items())}")
        same = f"in the other {len(self.worlds) - len(self.rows())} of {len(self.worlds)} worlds all of them are right"
        parts = [
            f"{self.name} (simulated)\n{self.head()}",
            f"Two axes\n{plane_table(self.points())}",
            "Verdicts\n" + "\n".join(it.rstrip() for it in [*(verdicts if self.rows() else []), same]),
            f"The race\n{standings(self.laps)}",
            table(self.held, "Locks: what is held when"),
            "What it gives up\n" + "\n".join(f"- {it}" for it in self.lost()),
        ]
        return "\n\n".join(parts)

    # --- as a picture, as a page -----------------------------------------------------------------------------------

    def picture(self, mode: Any = "light") -> Any:
        """The two axes, as a figure of matplotlib."""
        from vizlib.charts.plane import plane

        figure = plane(self.points(), mine=self.name, title=f"{self.name} among history's kernels", mode=mode)
        told = ", ".join(
            f"{it} {wrong} and {fast:,.0f}" if fast else f"{it} {wrong} and stops"
            for it, (fast, wrong) in self.points().items()
        )
        figure.set_label(f"Worlds that go wrong, and pages a second: {told}")
        return figure

    def _repr_html_(self) -> str:
        from course.onepage_drawn import body

        return body(self)

    def save(self, path: str | Path) -> str:
        """Write the page: as ``.html``, ``.svg``, ``.png`` or ``.txt``, by the name of the file.

        Raises:
            UserError: for another ending, or a place where nothing can be written.
        """
        from course.onepage_drawn import write
        from vizlib import saving

        at = Path(path)
        saving.write(at, lambda part: write(self, part))
        return f"{at} is written."


class NoPage:
    """What stands where a page will be."""

    def __repr__(self) -> str:
        return "There is no design yet, so there is no page."

    def save(self, path: str | Path) -> str:
        """There is nothing to write."""
        return repr(self)


def one_page(
    design: Any,
    gives_up: Any = "",
    worlds: Sequence[str] | Mapping[str, str] = tuple(HAZARDS),
    *,
    limit: int = LIMIT,
    progress: Progress | None = None,
) -> OnePage | NoPage:
    """Try *design* in *worlds*, race it against history, and put what was found on one page.

    *gives_up* is a sentence of its writer's; ``...`` is no design yet.

    Raises:
        UserError: if *design* is no variant, or its code does what it must not.
    """
    if design is ...:
        return NoPage()
    if not isinstance(design, Variant):
        raise UserError(f"{design!r} is no variant: make one with variant('mutex_v37').changed('mine', ...)")
    trials = tried(design, worlds, limit=limit, progress=progress)
    return OnePage(trials, race(design), guards(design), "" if gives_up is ... else str(gives_up))
