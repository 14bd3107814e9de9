"""Which lock a design of the reader's own holds when (lesson 11): the reader's table, and what runs of it show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from course.guarding import compared
from course.kit import Finding, Report, exercise
from course.misconceptions import named
from course.onepage import APART, CHANGED, COPIED, WALKS, held_when
from sim import Variant
from sim.errors import UserError

ALONE, SHARED, NONE = "anon_vma lock", "anon_vma lock, shared", "none"
CHOICES: Final = (ALONE, SHARED, "ptl", "page lock", "mmap_sem", NONE)


def known() -> None:
    """Importing this module has made its exercise known."""


def apart(design: Variant) -> tuple[Finding, ...]:
    """Whether who walks takes one lock and who changes the tree another: one finding, or none."""
    held = held_when(design)
    changing = set(held["the tree changes"]) & set(APART.values())
    walking = {it.partition(",")[0] for what in WALKS for it in held[what]} & set(APART.values())
    if not changing or walking <= changing:
        return ()
    (other,) = walking - changing
    told = f"A walk holds an {other}, who changes the tree an {changing.pop()}: neither keeps the other waiting."
    return (Finding(False, f"{told} {named('M4')}", "M4"),)


@exercise("L11.5")
def what_is_held(answer: tuple[Any, Mapping[str, str]]) -> Report:
    """A design, and a table of the locks that it holds; compared with what runs of the design show."""
    design, table = answer
    if not isinstance(design, Variant):
        told = f"{design!r} is no variant: the first of the two is your design, the second its table."
        return Report("L11.5", (Finding(False, told),))
    try:
        inferred = held_when(design)
    except UserError as fault:
        return Report("L11.5", (Finding(False, f"{fault}."),))
    right = {what: _one_of(table.get(what, ""), its) for what, its in inferred.items()}
    data = f"rows are {', '.join(right)}"

    def wrong(what: str, said: str) -> Finding:
        told, tag = _otherwise(what, said, ", ".join(inferred[what]))
        return Finding(False, f"{what}: {told} {named(tag)}" if tag else f"{what}: {told}", tag)

    return compared(
        "L11.5", table, right, CHOICES, wrong, data=data, offered=f"locks are {', '.join(map(repr, CHOICES))}"
    )


def _one_of(said: str, inferred: tuple[str, ...]) -> str:
    """What was said, if it is among what the runs show; else the first of that, as the table has it."""
    mutex, rwsem = APART.values()
    shown = [it.replace(mutex, ALONE).replace(rwsem, ALONE).removesuffix(", alone") for it in inferred] or [NONE]
    return said if said in shown else shown[0]


def _otherwise(what: str, said: str, words: str) -> tuple[str, str]:
    """Why a lock is not the one that the runs show, and the misconception that it looks like, or ""."""
    if said == "mmap_sem":
        if what in CHANGED and what != "the tree changes":
            return "It is held to read at some of these changes, if at all, and by others at the same time.", "M20b"
        return "Others come here under the mmap_sem of their own process, or under none.", "M20"
    if what in WALKS:
        return _of_a_walk(said, words)
    if said == NONE:
        return "It takes several steps, and at each of them the runs show the same lock held.", ""
    if what == COPIED:
        return "That is given back when the PTEs are changed; copying comes in between.", "M4"
    if what == "a PTE changes":
        return "A fault changes a PTE too, and takes no such lock. Which one do all take?", "M5"
    if said == SHARED:
        return "Who shares it lets walks go on meanwhile. How is it held while the tree changes?", "M20b"
    return "It is a lock of something else. Whom would it keep waiting, who walks through the tree?", "M26"


def _of_a_walk(said: str, words: str) -> tuple[str, str]:
    if said in ("ptl", "page lock"):
        return "It is held at some steps of the walk, but who changes the tree takes none of these.", "M4"
    if not words:
        return "The runs show walks without it. Is the lock in the functions that this walk calls?", ""
    if said == NONE:
        return f"The runs show {words}. A walk only reads the tree; and if the tree changes meanwhile?", "M25"
    if said == ALONE:
        return "One walk lets another in here: held, and not alone.", "M27"
    return "One walk keeps another waiting here: held alone.", ""
