"""A claim about all callers, tested (lesson 7): what each holds, and who disturbs whom once it is granted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import ipywidgets as widgets

from course.kit import Finding, Report, Shown, exercise
from course.kit.shown import prose
from course.looking import play, table
from course.misconceptions import named
from course.verdicts import Judgement, judge
from sim import variant
from sim.analysis.claims import UNLOCKED, WORLD, premise
from sim.worlds.callers import CALLERS
from sim.worlds.disturbers import DISTURBERS

#: Those of the lesson's grid.  Reclaim moves nothing, and its walk is lesson 8's; the others would make the grid large.
ROWS: Final = ("NUMA fault", "move_pages", "compaction", "hot-remove")
COLUMNS: Final = ("exit", "mremap", "MADV_DONTNEED", "stack growth")


def known() -> None:
    """Importing this module has made its exercise known."""


def premises() -> str:
    """What each of six callers holds of the processes that map the page, while it unmaps it."""
    rows = {}
    for it in premise():
        held = ", ".join(f"{mm} {how or 'not'}" for mm, how in zip(it.maps, it.holds, strict=True))
        rows[it.caller] = f"{held:18}{'true' if it.true else 'false':7}{it.source}"
    return table(rows, f"{'':12}{'mmap_sem of':18}{'claim':7}called from")


def meeting(caller: str, disturber: str, granted: bool) -> dict[str, int]:
    """The parameters of the world in which the two meet."""
    numbers = {"caller": tuple(CALLERS).index(caller), "disturber": tuple(DISTURBERS).index(disturber)}
    return {**numbers, "granted": int(granted), "passes": 2}


@cache
def cell(caller: str, disturber: str, granted: bool) -> Judgement:
    """The patch beside one disturber: what goes wrong, and the shortest run to it; or that nothing does."""
    return judge(variant(UNLOCKED), WORLD, **meeting(caller, disturber, granted))


def mark(it: Judgement) -> str:
    """A cell of the grid: ``✗ 123`` for a run of 123 steps that goes wrong, else ``✓``."""
    return "✓" if it.trace is None else f"✗ {len(it.trace.events)}"


class Grid(Shown):
    """Callers and disturbers; a cell tells what was found, and plays the run that goes wrong."""

    def __init__(self, granted: bool) -> None:
        self.granted = granted
        self.cells = {(row, column): cell(row, column, granted) for row in ROWS for column in COLUMNS}
        self._shown = widgets.VBox([], layout={"overflow": "visible"})
        heads = [prose(""), *(prose(f"<b>{it}</b>") for it in COLUMNS)]
        parts = [
            *heads,
            *(it for row in ROWS for it in (prose(f"<b>{row}</b>"), *(self._button(row, c) for c in COLUMNS))),
        ]
        grid = widgets.GridBox(parts, layout={"grid_template_columns": "8em repeat(4, 12em)", "align_items": "center"})
        self.box = widgets.VBox([prose(self.title), grid, self._shown], layout={"overflow": "visible"})

    def marks(self, column: str) -> list[str]:
        """A column of the grid: ``✓`` or ``✗`` for each caller, without the steps."""
        return [mark(self.cells[row, column])[0] for row in ROWS]

    @property
    def title(self) -> str:
        """What the grid is about."""
        how = "each holds every mmap_sem to read" if self.granted else "each holds what it holds"
        return f"The patch, callers beside disturbers; {how}. ✗: goes wrong in so many steps; ✓: in no order of steps."

    def _button(self, row: str, column: str) -> widgets.Button:
        told = mark(self.cells[row, column])
        button = widgets.Button(description=told, tooltip=f"{row} beside {column}: {told}", layout={"width": "11em"})
        button.on_click(lambda _: self.show(row, column))
        return button

    def show(self, row: str, column: str) -> None:
        """Show what was found in a cell, as its button does."""
        it = self.cells[row, column]
        told = prose(f"<b>{row} beside {column}</b>: {it.sentence}")
        self._shown.children = (told,) if it.trace is None else (told, play(it.trace))

    def text(self) -> str:
        """The grid as a table."""
        lines = [self.title, " ".join([" " * 12, *(f"{it:>13}" for it in COLUMNS)])]
        lines += [" ".join([f"{row:12}", *(f"{mark(self.cells[row, it]):>13}" for it in COLUMNS)]) for row in ROWS]
        return "\n".join(lines)


def grid(*, granted: bool = False) -> Grid:
    """The grid of lesson 7, with the callers as they are or with the claim made true."""
    return Grid(granted)


# --- 07.2: the smallest scenarios ----------------------------------------------------------------------------------

#: What is wanted of each scenario.
GOALS: Final[Mapping[str, str]] = {
    "a": "a link is freed under the walk, although the mover holds the mmap_sem of every process that maps the page",
    "b": "a mover without any mmap_sem leaves an entry behind; if it held every mmap_sem, it would not",
    "c": "one process, the mover a thread of it, every mmap_sem held: and yet an entry is left behind",
}


class Scenario(NamedTuple):
    """A caller beside a disturber, without and with the claim granted."""

    caller: str
    disturber: str

    @property
    def as_it_is(self) -> Judgement:
        """What is found, the caller holding what it holds."""
        return cell(self.caller, self.disturber, False)

    @property
    def granted(self) -> Judgement:
        """What is found, the caller holding every mmap_sem."""
        return cell(self.caller, self.disturber, True)


def goals() -> str:
    """What is wanted of the three scenarios."""
    return "\n".join(f"{letter}  {it}" for letter, it in GOALS.items())


def fault(letter: str, it: Scenario) -> tuple[str, str]:
    """Why a scenario is not what is wanted, and the misconception that it looks like; two empty strings if it is."""
    if it.as_it_is.violation is None:
        return f"{it.disturber} takes PTEs away under their ptl, and nothing that a walk goes by.", "M17"
    kind = it.granted.violation.kind if it.granted.violation else ""
    caller, disturber = CALLERS[it.caller], DISTURBERS[it.disturber]
    if letter == "a" and not kind:
        return f"{it.disturber} wants the mmap_sem to write, and waits until the mover is done.", "M9"
    if letter == "a" and kind != "use after free":
        return f"it ends with a {kind}; nothing is freed that anybody stands on.", "M10"
    if letter == "b" and caller.mmap_sem:
        return f"{it.caller} does hold an mmap_sem, that of its own process.", "M21"
    if letter == "b" and kind:
        return f"{it.disturber} takes the mmap_sem not at all, or to read: to grant it changes nothing.", "M20"
    if letter == "c" and disturber.relative:
        return f"{it.disturber} is done by a child, a process of its own.", "M20"
    if letter == "c" and caller.kernel:
        return f"{it.caller} is the work of a kernel thread, which belongs to no process.", "M21"
    return "", ""


@cache
def shortest(letter: str) -> int:
    """How many steps the smallest scenario of a letter takes."""
    fit = [it for it in (Scenario(row, column) for row in ROWS for column in COLUMNS) if not fault(letter, it)[0]]
    return min(_steps(letter, it) for it in fit)


def _steps(letter: str, it: Scenario) -> int:
    trace = (it.as_it_is if letter == "b" else it.granted).trace
    assert trace is not None
    return len(trace.events)


@exercise("L07.2")
def smallest_scenarios(answer: Mapping[str, Sequence[str]]) -> Report:
    """A caller and a disturber for each of three goals; right if the goal is met, in as few steps as can be."""
    findings: list[Finding] = []
    trace: Any = None
    for letter, pair in answer.items():
        if letter not in GOALS or len(pair) != 2 or pair[0] not in ROWS or pair[1] not in COLUMNS:
            told = f"'{letter}: {pair}': a pair of one of {', '.join(ROWS)} and one of {', '.join(COLUMNS)}."
            findings.append(Finding(False, told))
            continue
        it = Scenario(*pair)
        why, tag = fault(letter, it)
        if why:
            findings.append(Finding(False, f"{letter}: {why} {named(tag)}", tag))
        elif (steps := _steps(letter, it)) > shortest(letter):
            findings.append(Finding(False, f"{letter}: that does it, in {steps} steps. There is a shorter one."))
        else:
            found = it.as_it_is if letter == "b" else it.granted
            findings.append(Finding(True, f"{letter}: {found.sentence}, in {steps} steps."))
            trace = trace or found.trace
    return Report("L07.2", tuple(findings), trace)
