"""What protects what (lesson 5): the table inferred from every order of steps, and the lesson's checks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from course.cutouts import CUTS, judged
from course.guarding import compared
from course.kit import Finding, Report, exercise
from course.misconceptions import named
from sim import variant
from sim.analysis.accesses import observe
from sim.analysis.lockset import Line, Lockset, lockset
from sim.structs import AnonVma, AnonVmaChain
from sim.worlds import find as find_world

#: Whose executions are looked at, all of them: a relative exits; a mover without an mmap_sem; two movers of one page.
WORLDS: Final[Mapping[str, Mapping[str, int]]] = {
    "relative_exits": {},
    "compaction_moves": {},
    "two_migrators": {"pages": 1},
}

#: How the lesson calls the locks, by their roles in the inferred table.
ROLES: Final[Mapping[str, str]] = {
    "root.lock": "anon_vma lock of the root",
    "anon_vma.root.lock": "anon_vma lock of the root",
    "ptl": "ptl of its page table",
    "some PageTable.ptl": "a ptl, not always the same",
}

#: The fields of the table, by the lesson's names.
FIELDS: Final[Mapping[str, str]] = {
    "interval tree": "AnonVmaChain.rb_right",
    "PTE": "PageTable.pte",
    "mapcount": "Page._mapcount",
    "page flag": "Page.PG_lru",
    "anon_vma's count": "AnonVma.refcount",
    "frame data": "Page.data",
}


def known() -> None:
    """Importing this module has made its exercises known."""


@cache
def observed() -> Lockset:
    """Every access in every order of steps of :data:`WORLDS` under Linux 3.7, and the locks that were held."""
    v37 = variant("mutex_v37")
    worlds = [(find_world(name), params) for name, params in WORLDS.items()]
    return lockset([observe(it.setup(it.small(params)), v37, 200_000) for it, params in worlds])


def every_order() -> str:
    """The inferred table: what is held at every write, lock by lock and not kind by kind; and how it is made."""
    found = observed()
    assert found.complete
    lines = [f"every order of steps of {', '.join(WORLDS)} ({found.states:,} states)"]
    lines.append(f"{'':18}{'held at every change':30}how it is changed, or read")
    lines += [f"{name:18}{_held(found.line(it)):30}{_made(found.line(it))}" for name, it in FIELDS.items()]
    return "\n".join(line.rstrip() for line in lines)


def _held(line: Line) -> str:
    return ", ".join(ROLES[it] for it in line.at_writes if it in ROLES) or "no lock"


def _made(line: Line) -> str:
    if line.protection.startswith("hardware"):
        return "written by user code, and by copying"
    if line.protection.startswith("atomic"):
        return "atomic operations"
    return "may be read without it, to be read again" if line.bare else "read under it as well"


# --- 05.2: the table -----------------------------------------------------------------------------------------------

#: What keeps something as it should be.
GUARDS: Final = ("anon_vma lock", "reference", "ptl", "page lock", "mmap_sem", "atomic", "none")


@cache
def guards() -> dict[str, str]:
    """For each datum what keeps it: inferred from every order of steps, and from what goes wrong without a guard."""
    lost = {type(it.violation.culprits[0]): CUTS[letter].guard for letter, it in judged().items()
            if it.violation is not None and it.violation.kind == "use after free"}  # fmt: skip
    return {
        "interval tree": _guard(FIELDS["interval tree"]),
        "AVC": lost[AnonVmaChain],
        "anon_vma": lost[AnonVma],
        "PTE": _guard(FIELDS["PTE"]),
        "page flag": _guard(FIELDS["page flag"]),
        "frame data": _guard(FIELDS["frame data"]),
    }


def _guard(field: str) -> str:
    line = observed().line(field)
    if line.protection.startswith(("atomic", "hardware")):
        return "atomic" if line.protection.startswith("atomic") else "none"
    return "ptl" if "ptl" in line.at_writes else "anon_vma lock" if "anon_vma.root.lock" in line.at_writes else ""


@exercise("L05.2")
def what_protects_what(answer: Mapping[str, str]) -> Report:
    """A table datum -> guard, compared with what was inferred."""
    return compared("L05.2", answer, guards(), GUARDS, _wrong_guard, offered=f"guards are {', '.join(GUARDS)}")


#: What speaks against "atomic" or "none", of whichever it is not.
_GUARDED: Final[Mapping[str, str]] = {
    "interval tree": "A change of it takes many steps, and somebody sees to it that nobody comes between.",
    "AVC": "It goes away with its VMA, in any step; something makes who frees it wait. What does an exit wait for?",
    "anon_vma": "It is freed when nobody needs it any more. How does the kernel know that?",
    "PTE": "It is looked at first and changed then, in two steps; all who do so hold one lock between. Which?",
    "page flag": "No lock is held at every change, and yet no change gets lost: what kind of operation is each?",
}


def _wrong_guard(datum: str, guard: str) -> Finding:
    if guard == "mmap_sem":
        told, tag = "Others change it, or free it, under the mmap_sem of their own process, or under none.", "M20"
    elif datum == "AVC" and guard == "reference":
        told, tag = "The mover's reference is to the anon_vma. No count stands in a link: it is freed outright.", "M10"
    elif datum == "anon_vma":
        told, tag = "The lock is inside it: who holds it keeps others from the tree. What counts its users?", "M10"
    elif guard in ("atomic", "none") and datum != "frame data":
        return Finding(False, f"{datum}: {_GUARDED[datum]}")
    elif datum == "frame data":
        told, tag = "User threads write it, and they take no lock of the kernel's.", "M4"
    elif datum == "page flag":
        told, tag = "In the runs it is changed with this held and without: each flag is one bit.", "M26"
    elif datum == "PTE":
        told, tag = "A walk holds this lock too, but faults change PTEs without it.", "M5"
    else:
        told, tag = "At some of its changes this is not held.", "M4"
    return Finding(False, f"{datum}: {told} {named(tag)}", tag)


# --- 05.3: one guard taken away ------------------------------------------------------------------------------------

KINDS: Final = ("lifetime", "structure", "contents")

#: Which of the three is lost, by the kind of violation in which a run ends.
LOST: Final[Mapping[str, str]] = {
    "use after free": "lifetime",
    "stale migration entry": "structure",
    "lost write": "contents",
}


def cuts() -> str:
    """The four kernels of exercise 05.3, each with what is taken away, and beside what."""
    return "\n".join(f"{letter}  {it.what}" for letter, it in CUTS.items())


@exercise("L05.3")
def what_is_lost(answer: Mapping[str, str]) -> Report:
    """For each of four kernels which of the three is lost; the first run that surprises is there to be played."""
    findings, surprising = [], None
    for letter, kind in answer.items():
        if letter not in CUTS or kind not in KINDS:
            told = f"'{letter}: {kind}': the kernels are {', '.join(CUTS)}; answers are {', '.join(KINDS)}."
            findings.append(Finding(False, told))
            continue
        it = judged()[letter]
        assert it.violation is not None
        right = LOST[it.violation.kind]
        if kind == right:
            findings.append(Finding(True, f"{letter}: {right}. {it.sentence}."))
        else:
            tag = _mistaken(letter, kind)
            why = named(tag) if tag else "Was a thing freed, was it not found, or was it changed by two?"
            findings.append(Finding(False, f"{letter}: the run ends with: {it.sentence}. {why}", tag))
            surprising = surprising or it.trace
    return Report("L05.3", tuple(findings), surprising)


def _mistaken(letter: str, said: str) -> str:
    """What it looks like to expect *said* of this kernel, or "" if that is nobody's known mistake."""
    return {
        ("C", "structure"): "M5",  # the walk held two locks more, and they did not help
        ("A", "lifetime"): "M10",  # nothing was freed: every reference was there
        ("B", "structure"): "M10",
        ("D", "structure"): "M26",
    }.get((letter, said), "")
