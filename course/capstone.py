"""The exercises of lesson 11: which kernel stands where, a design put together from parts, and one of one's own."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, Final

from course.designing import HISTORY, Lap, Trials, goes_wrong, lap, race, tried
from course.guarding import compared
from course.holding import apart
from course.kit import Finding, Report, exercise
from course.looking import table
from course.misconceptions import named
from course.unyielded import slips
from sim import Variant, variant
from sim.errors import UserError
from sim.kernel.v38.huge_memory import split_huge_page
from sim.worlds import find as find_world


def known() -> None:
    """Importing this module has made its exercises known."""


# --- 11.2: which is which? -----------------------------------------------------------------------------------------

#: The kernels, by letters that say nothing.
LETTERS: Final[Mapping[str, str]] = {
    "A": "mutex_v37",
    "B": "rwsem_v38",
    "C": "batch_2mb",
    "D": "rfc_split_unlocked",
    "E": "batch_v63",
}


@cache
def standing(name: str) -> tuple[Lap, int]:
    """A kernel of history under the clock, four threads with eight pages each; and how many worlds go wrong."""
    return lap(variant(name), threads=4, pages=8, waits=False), goes_wrong(name)


def unnamed() -> str:
    """The kernels of :data:`LETTERS` without their names."""
    rows = {}
    for letter, name in LETTERS.items():
        it, wrong = standing(name)
        rows[letter] = f"{it.pages_per_second:>10,.0f} pages/s{it.interrupts:8.2f} interrupts a page{wrong:4} wrong"
    return table(rows, "(simulated; wrong: in how many of the eight worlds)")


@exercise("L11.2")
def which_is_which(answer: Mapping[str, str]) -> Report:
    """Letters, each with the kernel that it stands for."""
    data, offered = f"the letters are {', '.join(LETTERS)}", f"kernels are {', '.join(HISTORY)}"
    praise = HISTORY.__getitem__
    return compared("L11.2", answer, LETTERS, HISTORY, _not_that, data=data, offered=offered, praise=praise)


def _not_that(letter: str, said: str) -> Finding:
    told, tag = _mistaken(*standing(LETTERS[letter]), *standing(said))
    return Finding(False, f"{letter}: {told} {named(tag)}", tag)


def _mistaken(right: Lap, wrongs: int, said: Lap, said_wrongs: int) -> tuple[str, str]:
    """What it looks like to take one kernel for another."""
    if bool(wrongs) != bool(said_wrongs):
        return "Walks without a lock do not pass these worlds; walks with one do.", "M25"
    if abs(right.interrupts - said.interrupts) > 1:
        return "Three other CPUs are interrupted for each page; or there is one round for many pages.", "M30"
    if said.pages_per_second > right.pages_per_second:
        return "The interrupts are as few as with it, but the walks still wait for each other.", "M24"
    return "The walks of that one come one at a time, and here they do not.", "M27"


# --- 11.3: put together from parts ---------------------------------------------------------------------------------

#: What there is to choose from, and what each choice is.
PARTS: Final[Mapping[str, Mapping[str, str]]] = {
    "walks": {
        "alone": "one walk at a time in a family: the mutex of Linux 3.7",
        "shared": "walks share the lock, whoever changes a tree is alone: the rwsem of Linux 3.8",
        "unlocked": "migration takes no lock in either walk",
    },
    "flush": {
        "each page": "every page is flushed by itself, before it is copied",
        "batch, then copy": "all pages of a call are unmapped, flushed together, and then copied",
        "copy, then batch": "all pages of a call are unmapped, copied, and then flushed together",
    },
    "next page": {
        "tries": "while a batch is in hand, a further page lock is taken if it is free, else the page is left",
        "sleeps": "it is waited for",
    },
}


def parts() -> str:
    """What exercise 11.3 lets one choose from."""
    return "\n\n".join(table(choices, f"{part}:") for part, choices in PARTS.items())


def composed(walks: str = "alone", flush: str = "each page", next_page: str = "tries") -> Variant:
    """A design put together from :data:`PARTS`.

    Raises:
        UserError: for a choice that there is not, naming those there are.
    """
    for part, said in {"walks": walks, "flush": flush, "next page": next_page}.items():
        if said not in PARTS[part]:
            raise UserError(f"'{said}' is no choice for {part}: there are {', '.join(map(repr, PARTS[part]))}")
    batches = {"each page": "mutex_v37", "batch, then copy": "batch_2mb", "copy, then batch": "batch_flush_after_copy"}
    changes: dict[str, Any] = {}
    if walks != "alone":
        seams = variant({"shared": "rwsem_v38", "unlocked": "rfc_split_unlocked"}[walks]).seams
        changes.update({it: function for it, function in seams.items() if "anon" in it})
    if walks == "shared":
        changes["split_huge_page"] = split_huge_page
    if flush != "each page" and next_page == "sleeps":
        changes["lock_for_batch"] = find_world("batch_deadlock~B7").patch["batch.migrate.lock_for_batch"]
    return variant(batches[flush]).changed("composed", **changes)


@cache
def _of_parts(walks: str, flush: str, next_page: str) -> tuple[Trials, Lap]:
    design = composed(walks, flush, next_page)
    return tried(design), lap(design)


#: How many times as many pages as Linux 3.7 a design must move, and how many interrupts it may cost for each (11.3).
TIMES, INTERRUPTS = 2, 1


@exercise("L11.3")
def put_together(answer: Mapping[str, str]) -> Report:
    """One choice for each part: no order of steps goes wrong, twice the pages of 3.7, 1 interrupt a page at most."""
    try:
        if missing := [it for it in PARTS if it not in answer]:
            raise UserError(f"a choice for {', '.join(missing)} is missing")
        trials, mine = _of_parts(answer["walks"], answer["flush"], answer["next page"])
    except UserError as fault:
        return Report("L11.3", (Finding(False, f"{fault}."),))
    return Report("L11.3", (*_wrong(trials), *_fast(mine), *_few(mine)), trials.trace)


# --- 11.4: one's own -----------------------------------------------------------------------------------------------

#: What it looks like to go wrong in a world.
LOOKS_LIKE: Final[Mapping[str, str]] = {
    "stack_grows": "M20b",
    "relative_exits": "M10",
    "khugepaged_collapse": "M26",
    "root_freed_first~fixed": "M19",
    "reclaim_vs_exit": "M21",
    "write_during_copy": "M18",
    "frame_reused": "M14",
    "batch_deadlock": "M11",
}

#: Kinds of violation that are a slip of the pen: then the others come of it, and only the first of them is told.
SLIPS: Final = ("held at exit", "release without hold", "null pointer")

#: Functions that take and give back one and the same lock.
TOGETHER: Final = (
    ("anon_vma_lock_write", "anon_vma_unlock_write"),
    ("anon_vma_lock_read", "anon_vma_unlock_read", "anon_vma_trylock_read", "anon_vma_unlock_root"),
    ("rmap_walk_anon_lock", "rmap_walk_anon_unlock"),
    ("page_lock_anon_vma", "page_unlock_anon_vma"),
)


def _wrong(trials: Trials, *, alike: bool = True) -> list[Finding]:
    """Where it goes wrong, and what that looks like, unless it is not *alike*; one sentence if it does not go wrong."""
    if trials.open:
        return [Finding(False, f"{it.world} is not decided.") for it in trials.open]
    if not trials.wrong:
        states = sum(it.states for it in trials.trials)
        told = f"no violation in any schedule of {len(trials.trials)} worlds (complete search, {states:,} states, "
        return [Finding(True, f"{told}sequentially consistent memory).")]
    findings = []
    if slip := next((it for it in trials.wrong if it.kind in SLIPS), None):
        rest = len(trials.wrong) - 1
        told = f"{slip.world}: {slip.told}, after {slip.steps} steps"
        return [Finding(False, f"{told}; {rest} more worlds go wrong." if rest else f"{told}.")]
    for it in trials.wrong:
        tag = "" if not alike else "M11" if it.kind in ("deadlock", "lock order") else LOOKS_LIKE[it.world]
        told = f"{it.world}: {it.told}, after {it.steps} steps."
        findings.append(Finding(False, f"{told} {named(tag)}" if tag else told, tag))
    return findings


def _fast(mine: Lap) -> list[Finding]:
    """Whether it moves enough pages."""
    if mine.stopped:
        return [Finding(False, f"Under the clock it stops: {mine.stopped}.")]
    part = mine.pages_per_second / race()["mutex_v37"].pages_per_second
    told = f"{part:.1f} times as many pages a second as Linux 3.7 (simulated)"
    if part >= TIMES:
        return [Finding(True, f"{told}.")]
    return [Finding(False, f"{told}; {TIMES} are wanted. Must walks keep each other out? {named('M27')}", "M27")]


def _few(mine: Lap) -> list[Finding]:
    """Whether it interrupts seldom enough."""
    if mine.stopped:
        return []
    told = f"{mine.interrupts:.2f} interrupts for each page"
    if mine.interrupts <= INTERRUPTS:
        return [Finding(True, f"{told}.")]
    told = f"{told}; {INTERRUPTS} may be. Each flush may interrupt each of the other CPUs."
    return [Finding(False, f"{told} {named('M30')}", "M30")]


def own_functions(design: Variant) -> dict[str, Any]:
    """The functions of a design that are no kernel's of ours, by the names of those whose place they take."""
    its = {**design.seams, **design.patch}
    return {
        name: its[name] for name in sorted(its) if not (getattr(its[name], "__module__", "") or "").startswith("sim.")
    }


def _halves(own: Collection[str]) -> list[Finding]:
    """Where a lock is taken by a function of the reader's and given back by another's, or the other way round."""
    findings = []
    for group in TOGETHER:
        mine, rest = ([it for it in group if (it in own) is so] for so in (True, False))
        if mine and rest:
            told = f"{' and '.join(mine)}: yours; {' and '.join(rest)}: not."
            told = f"{told} They must take and give back one and the same lock."
            findings.append(Finding(False, told))
    return findings


@exercise("L11.4")
def of_ones_own(answer: Any) -> Report:
    """A variant with a function of the reader's: no order of steps goes wrong, twice the pages of Linux 3.7."""
    if not isinstance(answer, Variant):
        said = f"{answer.__name__} is a function" if inspect.isfunction(answer) else f"{answer!r} is no variant"
        told = f"{said}: make a variant with variant('mutex_v37').changed('mine', name=function)."
        return Report("L11.4", (Finding(False, told),))
    own = own_functions(answer)
    if not own:
        told = "No function in it is yours: put one in with variant(...).changed('mine', name=function)."
        return Report("L11.4", (Finding(False, told),))
    try:
        trials, mine = tried(answer), lap(answer)
    except UserError as fault:
        return Report("L11.4", (*slips(*own.values()), Finding(False, f"{fault}.")))
    if any(it.kind in SLIPS for it in trials.wrong):
        findings = [*(slips(*own.values()) or _halves(own)), *_wrong(trials)]
        return Report("L11.4", tuple(findings), trials.trace)
    two = apart(answer) if trials.wrong else ()
    return Report("L11.4", (*two, *_wrong(trials, alike=not two), *_fast(mine)), trials.trace)
