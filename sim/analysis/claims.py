"""The sentences of the mail of 1 December 2012, over those who move pages and those who may disturb them.

"All callers are holding the mmap_sem", so the walk needs no lock.  Two tables: whether the premise is true (what each
caller holds while it walks, read off a run), and what follows if it is granted (each caller beside each disturber, in
every order of steps).  The same cells without the grant stand beside, and Linux 3.7 as the control.

The walk without its lock is the remap walk, as the RFC has it; reclaim has none, so for reclaim it is the unmap walk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from sim import variants
from sim.engines.checker import check
from sim.invariants import get
from sim.locks import holds
from sim.machine import Machine
from sim.ops import EXCLUSIVE, SHARED
from sim.structs import Mm
from sim.worlds import find
from sim.worlds.callers import CALLERS
from sim.worlds.disturbers import DISTURBERS

WORLD: Final = "caller_and_disturber"
#: The variant whose walks are locked, and those whose walk is not: for migration, and for reclaim.
CONTROL, UNLOCKED, UNLOCKED_RECLAIM = "mutex_v37", "rfc_remap_unlocked", "rfc_unmap_unlocked_all"

#: Told after each cell: how many there are, how many are done, the states met so far.
Progress = Callable[[int, int, int], object]


@dataclass(frozen=True, slots=True)
class Premise:
    """What one caller holds while it unmaps a page that a parent and its child map.

    Attributes:
        caller: who.
        maps: the processes that map the page.
        holds: for each of them how its mmap_sem is held: ``read``, ``write`` or "".
        true: whether it is held for all of them.
        source: where the kernel calls from.
    """

    caller: str
    maps: tuple[str, ...]
    holds: tuple[str, ...]
    true: bool
    source: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One caller beside one disturber.

    Attributes:
        caller, disturber: who.
        granted: whether the premise was made true.
        variant: under which the walk was checked.
        verdict, states: what the checker says, and after how many states.
        kind, sentence, run_name: the shortest run to a violation; empty if there is none.
        control: the verdict of Linux 3.7.
    """

    caller: str
    disturber: str
    granted: bool
    variant: str
    verdict: str
    states: int
    kind: str
    sentence: str
    run_name: str
    control: str


@dataclass(frozen=True, slots=True)
class Claims:
    """Both tables."""

    premise: tuple[Premise, ...]
    cells: tuple[Cell, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        cells = [asdict(it) for it in self.cells]
        return {
            "premise": [asdict(it) for it in self.premise],
            "as_it_is": [it for it in cells if not it["granted"]],
            "granted": [it for it in cells if it["granted"]],
        }

    def text(self) -> str:
        """As tables, with a run to play for each cell that is not safe once the premise is granted."""
        lines = ["The premise: which mmap_sem does a caller hold while it unmaps a page that P and its child C map?"]
        for it in self.premise:
            held = ", ".join(f"{mm}: {how or 'not held'}" for mm, how in zip(it.maps, it.holds, strict=True))
            lines.append(f"  {it.caller:12} {'true ' if it.true else 'false'}  {held:28} {it.source}")
        for granted, title in ((False, "The unlocked walk, callers as they are"), (True, "The premise granted")):
            lines += ["", f"{title}: ✓ safe, ✗ unsafe, ? undecided"]
            lines += self._table(granted)
        bad = [it for it in self.cells if it.granted and it.verdict == "unsafe"]
        lines += ["", "Runs to play where the premise is granted and the walk is not safe:" if bad else "No such run."]
        lines += [f'  {it.caller} and {it.disturber}: {it.kind}\n    "{it.run_name}"' for it in bad]
        wrong = [it for it in self.cells if it.control != "safe"]
        lines += [
            "",
            f"Linux 3.7 is safe in all {len(self.cells)} cells." if not wrong else "Linux 3.7 is not safe in:",
        ]
        lines += [f"  {it.caller} and {it.disturber}: {it.control}" for it in wrong]
        return "\n".join(lines)

    def _table(self, granted: bool) -> Iterator[str]:
        marks = {"safe": "✓", "unsafe": "✗", "undecided": "?"}
        found = {(it.caller, it.disturber): marks[it.verdict] for it in self.cells if it.granted is granted}
        yield " " * 15 + "  ".join(DISTURBERS)
        for caller in CALLERS:
            row = [found.get((caller, it), "").center(len(it)) for it in DISTURBERS]
            yield f"  {caller:12} {'  '.join(row)}"


def premise() -> tuple[Premise, ...]:
    """The first table.  A NUMA fault moves no page that two map, so its page is P's alone."""
    return tuple(_premise(number, name) for number, name in enumerate(CALLERS))


def _premise(number: int, name: str) -> Premise:
    setup = find(WORLD).setup({"caller": number, "disturber": tuple(DISTURBERS).index("exit"), "passes": 2})
    machine = Machine(setup, variants.find(CONTROL))
    caller = machine.tasks[0].task
    maps = _mapping(machine)
    helpers = [it.task for it in machine.tasks if it.daemon]
    while not any(it.function == "try_to_unmap_one" for it in machine.stack(caller)):
        machine.step(next(it for it in (caller, *helpers) if machine.enabled(it)))
    modes = {"read": SHARED, "write": EXCLUSIVE}
    held = tuple(
        next((how for how, mode in modes.items() if holds(get(machine.memory, mm.mmap_sem), caller, mode)), "")
        for mm in maps
    )
    return Premise(name, tuple(map(str, maps)), held, all(held), CALLERS[name].source)


def _mapping(machine: Machine) -> tuple[Mm, ...]:
    """The processes that map a page at the start, P first."""
    mapped = {it.ref for it, pte in machine.memory.items() if it.base == "pte" and pte is not None}
    mms = {it.ref for it, table in machine.memory.items() if isinstance(it.ref, Mm) and table in mapped}
    return tuple(sorted(mms, key=lambda it: (it.name != "P", it.name)))


def claims(
    callers: tuple[str, ...] = (),
    disturbers: tuple[str, ...] = (),
    *,
    limit: int = 200_000,
    progress: Progress | None = None,
) -> Claims:
    """Both tables, or of the second only the rows of *callers* and the columns of *disturbers*.

    Raises:
        UnknownName: if there is no such caller or disturber.
    """
    rows, columns = tuple(callers) or tuple(CALLERS), tuple(disturbers) or tuple(DISTURBERS)
    wanted = [(caller, it, granted) for granted in (False, True) for caller in rows for it in columns]
    cells: list[Cell] = []
    states = 0
    for caller, disturber, granted in wanted:
        cells.append(_cell(caller, disturber, granted, limit))
        states += cells[-1].states
        if progress is not None:
            progress(len(wanted), len(cells), states)
    return Claims(premise(), tuple(cells))


def _cell(caller: str, disturber: str, granted: bool, limit: int) -> Cell:
    numbers = {"caller": tuple(CALLERS).index(caller), "disturber": tuple(DISTURBERS).index(disturber)}
    params = {**numbers, "granted": int(granted), "passes": 2}
    variant = UNLOCKED_RECLAIM if caller == "reclaim" else UNLOCKED
    found = check(WORLD, variant, params, limit=limit)
    control = check(WORLD, CONTROL, params, limit=limit)
    bad = found.violations[0] if found.violations else None
    said = (bad.kind, bad.sentence, bad.run_name) if bad else ("", "", "")
    return Cell(caller, disturber, granted, variant, found.verdict, found.states, *said, control.verdict)
