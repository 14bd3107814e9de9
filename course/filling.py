"""A table of data and locks that fills in run by run (lesson 5): which lock was held alone at how many changes?"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import ipywidgets as widgets

from course.kit import Shown
from course.looking import kind_of
from sim import Stepper
from sim.ops import EXCLUSIVE, Walk
from sim.trace import Trace

#: How the table calls the locks, and what the runs call them.
LOCKS: Final[Mapping[str, str]] = {
    "mmap_sem": "Mm.mmap_sem",
    "page lock": "Page.PG_locked",
    "anon_vma lock": "AnonVma.mutex",
    "ptl": "PageTable.ptl",
}

#: How the table calls the data, and the fields that are meant.
ROWS: Final[Mapping[str, tuple[str, ...]]] = {
    "interval tree": ("AnonVma.rb_root", "AnonVmaChain.rb_left", "AnonVmaChain.rb_right", "AnonVmaChain.rb_parent"),
    "PTE": ("PageTable.pte",),
    "mapcount": ("Page._mapcount",),
    "page flag": ("Page.PG_lru",),
    "anon_vma's count": ("AnonVma.refcount",),
    "frame data": ("Page.data",),
}

#: The runs, in the order in which they are added, each with what happens in it.
RUNS: Final[Mapping[str, str]] = {
    "one_page": "a page moves while a thread uses it",
    "relative_adjusts": "a child calls mprotect while a page moves",
    "stack_grows": "a page of a stack moves while the stack grows",
    "relative_exits": "a child exits while a page moves that it never had",
    "compaction_moves": "a kernel thread moves a page of two processes",
}


class Cell(NamedTuple):
    """How often a lock was held alone at a change, of how many changes."""

    held: int = 0
    changes: int = 0

    def __str__(self) -> str:
        if not self.changes:
            return "-"
        if not self.held:
            return "never"
        return f"all {self.held}" if self.held == self.changes else f"{self.held} of {self.changes}"


Matrix = dict[str, dict[str, Cell]]


def matrix(*traces: Trace) -> Matrix:
    """For each datum and lock at how many of the datum's changes in the runs the lock was held alone.

    What the hardware does (setting a PTE's dirty bit) counts as no change, and a lock that others may hold too (an
    rwsem that is held for reading) as not held alone.
    """
    names = {kind: name for name, kinds in ROWS.items() for kind in kinds}
    found: Matrix = {name: dict.fromkeys(LOCKS, Cell()) for name in ROWS}
    for trace in traces:
        memory = dict(trace.initial)
        for event in trace.events:
            alone = {kind_of(lock) for lock, mode in memory.get(event.task.held, ()) if mode == EXCLUSIVE}
            for change in event.changes:
                memory[change.field] = change.new
                name = names.get(kind_of(change.field))
                if name is not None and not isinstance(event.op, Walk):
                    for lock, kind in LOCKS.items():
                        held, changes = found[name][lock]
                        found[name][lock] = Cell(held + (kind in alone), changes + 1)
    return found


def as_lines(found: Matrix, head: str) -> str:
    """A matrix as text."""
    wide = max(map(len, ROWS))
    lines = [head, " ".join([" " * wide, *(f"{it:>13}" for it in LOCKS)])]
    lines += [" ".join([f"{name:{wide}}", *(f"{row[it]!s:>13}" for it in LOCKS)]) for name, row in found.items()]
    return "\n".join(lines)


class Filling(Shown):
    """The table, and a button that adds a run.  Its text is the table after the first run, and after the last."""

    def __init__(self, worlds: Sequence[str] = tuple(RUNS)) -> None:
        self._worlds = worlds
        traces = [Stepper(it, "mutex_v37").finish().trace for it in worlds]
        self.stages = [matrix(*traces[: number + 1]) for number in range(len(traces))]
        self.at = 0
        self._table = widgets.HTML()
        self._next = widgets.Button(description="Add the next run")
        self._next.on_click(lambda _: self.add())
        self.box = widgets.VBox([self._table, self._next])
        self._show()

    def add(self) -> None:
        """Add the next run, as the button does."""
        self.at = min(self.at + 1, len(self.stages) - 1)
        self._show()

    def head(self, at: int) -> str:
        """What the table says once run number *at* is in it."""
        runs = "1 run" if at == 0 else f"{at + 1} runs"
        return f"held alone at how many changes, in {runs}; the last: {self._worlds[at]}, {RUNS[self._worlds[at]]}"

    def text(self) -> str:
        """The table after the first run, and after the last."""
        return "\n\n".join(as_lines(self.stages[at], self.head(at)) for at in (0, len(self.stages) - 1))

    def _show(self) -> None:
        self._table.value = self._as_html()
        self._next.disabled = self.at == len(self.stages) - 1
        left = len(self.stages) - 1 - self.at
        self._next.description = f"Add the next run ({left} left)" if left else "All runs are in"
        self._next.layout.width = "16em"

    def _as_html(self) -> str:
        """The table; a cell in which a lock has dropped out with this run is underlined, and says so."""
        before = self.stages[self.at - 1] if self.at else None
        pad = "padding: 2px 12px; text-align: right"
        head = "".join(f"<th scope='col' style='{pad}'>{it}</th>" for it in LOCKS)
        rows = []
        for name, row in self.stages[self.at].items():
            cells = "".join(self._cell(row[it], before and before[name][it], pad) for it in LOCKS)
            rows.append(f"<tr><th scope='row' style='text-align: left'>{name}</th>{cells}</tr>")
        caption = f"<caption style='text-align: left'>{html.escape(self.head(self.at))}</caption>"
        return f"<table>{caption}<tr><td></td>{head}</tr>{''.join(rows)}</table>"

    @staticmethod
    def _cell(now: Cell, before: Any, pad: str) -> str:
        always = bool(now.changes) and now.held == now.changes
        out = bool(before and before.changes and before.held == before.changes) and not always
        text = f"<b>{now}</b>" if always else f"<u>{now}, out</u>" if out else str(now)
        return f"<td style='{pad}'>{text}</td>"


def filling() -> Filling:
    """The table of lesson 5, with its first run in it."""
    return Filling()
