"""Recordings of two real kernels beside the model (lesson 12): what agrees, what varies, where the two part."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from course import guarding
from course.kit import Finding, Report, exercise
from course.looking import table
from course.misconceptions import named
from course.progress import COURSE
from course.unyielded import begun
from sim import run
from sim.analysis.recorded import COPY, SEND, UNMAP, Section, differences, in_short, modelled, sections
from sim.errors import UserError
from sim.ftrace import Record, Recording, lines_of
from vizlib.recordings import chosen, recorded_lanes
from vizlib.timeline import bars, in_order, strips, timeline

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vizlib.scene import Json


def known() -> None:
    """Importing this module has made its exercises known."""


#: Which variant stands for which kernel.
KERNELS: Final[Mapping[str, str]] = {"6.1": "v61", "6.12": "v612"}

#: What the model is asked for to be like a section of a recording, or like an experiment of ``counts.json``.
LIKE: Final[Mapping[str, dict[str, int]]] = {
    "s4single": {"pages": 4},
    "s4idle": {"pages": 4, "spinners": 3},
    "s4spin": {"pages": 4, "writers": 3},
    "E1": {"pages": 512},
    "E1stale": {"pages": 512, "stale_cpu": 1},
    "E2idle": {"pages": 512, "spinners": 3},
    "E2write": {"pages": 512, "writers": 3},
}

#: What the experiments of ``counts.json`` are, in words.
WORDS: Final[Mapping[str, str]] = {
    "E1": "one thread, always on CPU 0",
    "E1stale": "one thread, which was once on CPU 2",
    "E2idle": "three more threads spin",
    "E2write": "three more threads write",
}

#: The lanes of which lock are drawn: the mail's.
_LOCK: Final = ("anon_vma lock",)


@cache
def _read(name: str) -> tuple[str, tuple[Record, ...]]:
    recording = Recording(lines_of(COURSE / "recorded" / f"{name}.txt"))
    records = tuple(recording)
    return recording.kernel, records


@cache
def recorded(kernel: str, section: str) -> Section:
    """A section of the recording of *kernel* ("6.1", "6.12"): its counts and the order of its events."""
    return sections(_read(f"trace-{kernel}")[1])[section]


@cache
def in_the_model(kernel: str, section: str) -> Section:
    """The same of the model (simulated)."""
    return modelled(run("move_pages", KERNELS[kernel], record=True, params=LIKE[section]))


def beside_model(kernel: str, section: str) -> str:
    """Counts and order of a section, recorded and in the model."""
    theirs, ours = recorded(kernel, section), in_the_model(kernel, section)
    rows = {name: f"{count:8,}{ours.counts[name]:8,}" for name, count in theirs.counts.items()}
    told = table(rows, f"Linux {kernel}, {section}: recorded, and in the model (simulated)")
    return f"{told}\nrecorded   {in_short(theirs.order)}\nthe model  {in_short(ours.order)}"


@cache
def _lanes(kernel: str, section: str) -> tuple[Json, Json]:
    release, records = _read(f"trace-{kernel}")
    name, its = chosen(records, section)
    theirs = recorded_lanes(its, name, kernel=release)
    ours = timeline(run("move_pages", KERNELS[kernel], record=True, params=LIKE[section]), everything=True)
    return theirs, ours


def lengths(kernel: str, section: str) -> str:
    """How long a section took, by each clock."""
    theirs, ours = _lanes(kernel, section)
    rows = {"recorded": f"{theirs['end'] / 1000:10,.0f} µs", "the model": f"{ours['end'] / 1000:10,.0f} µs (simulated)"}
    return table(rows, f"Linux {kernel}, {section}")


def lanes_beside(kernel: str, section: str) -> tuple[Figure, str]:
    """A section in lanes beside the model, in order of events: a picture, and the same as text."""
    from vizlib.charts import lanes, panels

    both = [in_order(it, _LOCK) for it in _lanes(kernel, section)]
    titles = (f"Linux {kernel}, recorded", "the model (simulated)")
    what = "solid: holds the anon_vma lock;  dashed: waits;  black: copies;  down: flushes;  up: takes an interrupt"
    figure, axes = panels("light", 2, what)
    for it, title, ax in zip(both, titles, axes, strict=True):
        tasks = [lane["task"] for lane in it["lanes"]]
        lanes(tasks, bars(it, moments=True), length=it["end"], x="events in order", title=title, key=False, ax=ax)
    texts = [f"{title}\n{strips(it)}" for it, title in zip(both, titles, strict=True)]
    return figure, f"{texts[0].rpartition(chr(10))[0]}\n\n{texts[1]}"


# --- 12.2: same, varies, parts -------------------------------------------------------------------------------------

SAME, VARIES, PARTS = "same", "varies", "parts"

#: What is counted in ``counts.json``, as the lesson calls it, as that file does, and as the model does.
_COUNTED: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "unmap walks": (("rmap walks, unmap side (rmap_walk_anon <- try_to_migrate / try_to_unmap)",), "unmap_walks"),
    "copies": (("page copies (folio_copy / folio_mc_copy / migrate_page_copy)",), "page_copies"),
    "flushes": (
        ("flush_tlb_mm_range calls (one page each)", "arch_tlbbatch_flush calls (batched, whole mm)"),
        "tlb_flushes",
    ),
    "interrupts": (("TLB IPIs received (/proc/interrupts TLB, CPU1+2+3)",), "ipis_received"),
    "waits for an entry": (("... that reached migration_entry_wait",), "migration_entry_waits"),
}


@cache
def tally(kernel: str, experiment: str) -> dict[str, tuple[list[int], int]]:
    """Moving 512 pages: by name of a count what each recording of an experiment has, and what the model has."""
    theirs = json.loads((COURSE / "recorded" / "counts.json").read_text("utf-8"))[kernel][experiment]
    ours = run("move_pages", KERNELS[kernel], params=LIKE[experiment]).counts
    return {
        name: ([sum(its) for its in zip(*(theirs[key] for key in keys), strict=True)], ours[count])
        for name, (keys, count) in _COUNTED.items()
    }


def counted(kernel: str, experiment: str) -> str:
    """Moving 512 pages: what each recording of an experiment counts, and the model."""
    rows = {name: f"{theirs!s:20} {ours:6,}" for name, (theirs, ours) in tally(kernel, experiment).items()}
    return table(rows, f"Linux {kernel}, {experiment} ({WORDS[experiment]}): each recording, and the model (simulated)")


#: What exercise 12.2 asks about: kernel, experiment, count.
ASKED: Final[Mapping[str, tuple[str, str, str]]] = {
    "A": ("6.1", "E2idle", "unmap walks"),
    "B": ("6.1", "E2idle", "interrupts"),
    "C": ("6.12", "E1", "flushes"),
    "D": ("6.12", "E1stale", "flushes"),
    "E": ("6.12", "E2write", "waits for an entry"),
    "F": ("6.12", "E2write", "interrupts"),
}


def compared() -> str:
    """What exercise 12.2 asks about."""
    return table({letter: f"Linux {it[0]}, {it[1]} ({WORDS[it[1]]}): {it[2]}" for letter, it in ASKED.items()})


def verdicts() -> dict[str, str]:
    """For each of :data:`ASKED` how recordings and model stand to each other."""
    found = {}
    for letter, (kernel, experiment, name) in ASKED.items():
        theirs, ours = tally(kernel, experiment)[name]
        found[letter] = VARIES if len(set(theirs)) > 1 else SAME if theirs[0] == ours else PARTS
    return found


@exercise("L12.2")
def same_varies_or_parts(answer: Mapping[str, str]) -> Report:
    """For each letter "same", "varies" or "parts", compared with the recordings."""
    choices = (SAME, VARIES, PARTS)
    data, offered = "the letters are A to F", f"answers: {', '.join(map(repr, choices))}"
    return guarding.compared("L12.2", answer, verdicts(), choices, _otherwise, data=data, offered=offered)


def _otherwise(letter: str, _: str) -> Finding:
    kernel, experiment, name = ASKED[letter]
    theirs, ours = tally(kernel, experiment)[name]
    right = verdicts()[letter]
    tag = "M37" if right == VARIES else "M36" if right == SAME else ""
    told = f"{letter}: recorded {theirs}, and {ours} in the model (simulated)."
    return Finding(False, f"{told} {named(tag)}" if tag else told, tag)


# --- 12.3: which run is it? ----------------------------------------------------------------------------------------

#: The parameters of which the answer may speak.
_MAY: Final = ("pages", "spinners", "writers", "stale_cpu")


@cache
def unknown() -> Section:
    """A recording of which nobody says what it is."""
    (it,) = sections(_read("puzzle")[1]).values()
    return it


@exercise("L12.3")
def which_run_is_it(answer: Mapping[str, Any]) -> Report:
    """A variant and parameters with which the model does what the recording shows."""
    given = dict(answer)
    variant = given.pop("variant", None)
    if variant not in KERNELS.values():
        told = f"variant {variant!r}: one of {', '.join(KERNELS.values())}."
        return Report("L12.3", (Finding(False, told),))
    if strange := [name for name in given if name not in _MAY]:
        return Report("L12.3", (Finding(False, f"'{strange[0]}' is none of {', '.join(_MAY)}."),))
    try:
        model = modelled(run("move_pages", variant, record=True, params=given))
    except UserError as fault:
        return Report("L12.3", (Finding(False, f"{fault}."),))
    parts = differences(unknown(), model)
    if not parts:
        return Report("L12.3", (Finding(True, f"Every count and the order agree: {in_short(model.order)}."),))
    return Report("L12.3", tuple(_apart(it, model) for it in parts[:3]))


def _apart(part: Mapping[str, Any], model: Section) -> Finding:
    """Where a reader's run and the recording part, and what that looks like."""
    told = f"{part['what']}: {part['recorded']} recorded, {part['model']} in the model (simulated)."
    tag = ""
    if part["what"] == "tlb_flushes" and part["model"] == model.counts["page_copies"]:
        tag = "M39"
    elif part["what"] == "ipis_received" and part["model"] == model.counts["tlb_flushes"]:
        tag = "M30"
    return Finding(False, f"{told} {named(tag)}" if tag else told, tag)


# --- 12.4: the largest batch ---------------------------------------------------------------------------------------


def orders() -> dict[str, Sequence[str]]:
    """The orders with which exercise 12.4 is tried: recordings, runs of the model, and a few made by hand."""
    found: dict[str, Sequence[str]] = {
        f"Linux {kernel}, {section}": recorded(kernel, section).order
        for kernel in KERNELS
        for section in ("s4single", "s4idle")
    }
    found |= {"the unknown recording": unknown().order, "Linux 6.12 in the model": in_the_model("6.12", "s4spin").order}
    return found | {
        "nothing": [],
        "a batch of three, then one of two": [*[UNMAP] * 3, *[COPY] * 3, *[UNMAP] * 2, *[COPY] * 2],
        "two, of which one is copied before two more": [UNMAP, UNMAP, COPY, UNMAP, UNMAP, COPY, COPY, COPY],
    }


def _in_flight(order: Sequence[str]) -> int:
    now = most = 0
    for it in order:
        now += (it == UNMAP) - (it == COPY)
        most = max(most, now)
    return most


def _longest_row(order: Sequence[str]) -> int:
    now = most = 0
    for it in order:
        now = now + 1 if it == UNMAP else 0
        most = max(most, now)
    return most


@exercise("L12.4")
def largest_batch(function: Callable[[Sequence[str]], Any]) -> Report:
    """How many pages were unmapped and not yet copied at once, at most; tried with recordings and runs."""
    tried = orders()
    answers = {name: _asked(function, order) for name, order in tried.items()}
    if any(it is None or it is ... for it in answers.values()):
        told = "It returns nothing, at least once; who calls it needs a number."
        return Report("L12.4", (Finding(False, told),) if begun(function) else ())
    faults = {it for it in answers.values() if isinstance(it, _Fault)}
    if len(faults) == 1 and all(isinstance(it, _Fault) for it in answers.values()):
        return Report("L12.4", (Finding(False, f"With every order it ends with {faults.pop()}."),))
    in_all = all(said == list(order).count(UNMAP) for said, order in zip(answers.values(), tried.values(), strict=True))
    return Report("L12.4", tuple(_of_an_order(it, tried[it], said, in_all) for it, said in answers.items()))


class _Fault(str):
    """What a reader's function ended with instead of an answer."""

    __slots__ = ()


def _asked(function: Callable[[Sequence[str]], Any], order: Sequence[str]) -> Any:
    try:
        return function(list(order))
    except Exception as fault:
        return _Fault(f"{type(fault).__name__}: {fault}")


def _of_an_order(name: str, order: Sequence[str], said: Any, in_all: bool) -> Finding:
    """What a reader's function says of one order; *in_all* if it has counted all pages, whatever the order."""
    right = _in_flight(order)
    if said == right and not isinstance(said, bool):
        return Finding(True, f"{name}: {right}.")
    told, tag = f"{name}: {said}, and it is {right}.", ""
    if in_all:
        told, tag = f"{name}: {said} unmapped in all, but {right} at once.", "M41"
    elif said == 0 and SEND not in order:
        told, tag = f"{name}: {said}, and it is {right}, although nothing was sent.", "M40"
    elif said == _longest_row(order):
        told = f"{name}: {said} unmapped in a row, but {right} were on their way at once."
    return Finding(False, f"{told} {named(tag)}" if tag else told, tag)
