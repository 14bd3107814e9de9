"""The exercises of lesson 2: whom does a walk visit, what does each lock protect, grow a family, find every PTE."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from course.family import Family, Refused, grown
from course.guarding import compared, held_alone
from course.kit import Finding, Report, exercise
from course.looking import kind_of
from course.misconceptions import named
from course.unyielded import slips, without_steps
from sim import Stepper
from sim.errors import UserError
from sim.invariants import Violation
from sim.ops import Kernel
from sim.structs import AnonVmaChain
from sim.trace import Trace

Steps = Sequence[tuple[Any, ...]]


def known() -> None:
    """Importing this module has made its exercises known."""


# --- looking -------------------------------------------------------------------------------------------------------

#: The two walks, by the function that goes through the tree.
WALKS: Final[Mapping[str, str]] = {"try_to_unmap_anon": "unmap walk", "rmap_walk_anon": "remap walk"}


def visits(trace: Trace) -> list[tuple[int, str, str, str]]:
    """Each stop of each walk in a run: the step, which walk, the VMA, and the PTE that it changed there (or "")."""
    found: list[tuple[int, str, str, str]] = []
    for event, stack in zip(trace.events, trace.stacks, strict=True):
        where = {frame.function for frame in stack} & set(WALKS)
        here = stack[-1].function in WALKS and getattr(event.op, "base", "") == "vma"
        if here and isinstance(getattr(event.op, "ref", None), AnonVmaChain):
            found.append((event.step, WALKS[stack[-1].function], str(event.answer), ""))
        for change in event.changes if where and found else ():
            if kind_of(change.field) == "PageTable.pte":
                found[-1] = (*found[-1][:3], repr(change.field))
    return found


def visited(trace: Trace) -> str:
    """:func:`visits` as a table."""
    rows = [f"{step:>6}  {walk:11} {vma:11} {pte or '(nothing to do)'}" for step, walk, vma, pte in visits(trace)]
    return "\n".join(["  step  walk        VMA         PTE that is replaced", *rows])


# --- 02.2: whom does a walk visit? ---------------------------------------------------------------------------------

#: The family of the exercise.
PUZZLE: Final[Steps] = (
    ("touch", "P", 0),
    ("fork", "P", "C"),
    ("fork", "C", "G"),
    ("touch", "G", 0),
    ("touch", "P", 1),
    ("touch", "C", 1),
)


@cache
def puzzled() -> dict[str, tuple[list[str], list[str]]]:
    """For each frame the VMAs that a walk visits, and those that map it."""
    family = grown(PUZZLE)
    walks = {frame: family.walk(frame) for frame in family.frames}
    return {name: ([it.vma for it in walk], [it.vma for it in walk if it.mapped]) for name, walk in walks.items()}


@exercise("L02.2")
def whom_it_visits(answer: Mapping[str, Sequence[Any]]) -> Report:
    """A table frame -> (VMAs visited, VMAs that map it), compared with the kernel's walks."""
    findings = []
    for frame, said in answer.items():
        if frame not in puzzled() or len(said) != 2 or any(isinstance(it, str) for it in said):
            findings.append(Finding(False, f"'{frame}: {said}': for {', '.join(puzzled())} two lists of VMAs each."))
        else:
            findings.append(_visits(frame, *map(list, said)))
    return Report("L02.2", tuple(findings))


def _visits(frame: str, seen: list[str], mapped: list[str]) -> Finding:
    right, found = puzzled()[frame]
    if set(seen) - set(right):
        told = f"{frame}: {', '.join(sorted(set(seen) - set(right)))} is not in the tree of the frame's anon_vma."
        return Finding(False, f"{told} {named('M12')}", "M12")
    if set(right) - set(seen):
        missing = ", ".join(sorted(set(right) - set(seen)))
        told = f"{frame}: missing is {missing}: in the tree too, whether it maps the frame or not."
        return Finding(False, f"{told} {named('M13')}", "M13")
    if set(mapped) - set(found):
        told = f"{frame}: {', '.join(sorted(set(mapped) - set(found)))} is visited, and has no PTE of it."
        return Finding(False, f"{told} {named('M29')}", "M29")
    if set(found) - set(mapped):
        told = f"{frame}: {', '.join(sorted(set(found) - set(mapped)))} maps it as well, since a fork."
        return Finding(False, f"{told} {named('M28')}", "M28")
    return Finding(True, f"{frame}: {' '.join(right)} visited; mapped by {' '.join(found)}.")


# --- 02.3: what does each lock protect? ----------------------------------------------------------------------------

#: How the table calls the locks, and the data.
LOCKS: Final[Mapping[str, str]] = {
    "anon_vma lock": "AnonVma.mutex",
    "mmap_sem": "Mm.mmap_sem",
    "ptl": "PageTable.ptl",
    "none": "",
}
DATA: Final[Mapping[str, str]] = {
    "interval tree": "AnonVma.rb_root",
    "list of VMAs": "Mm.mmap",
    "PTE": "PageTable.pte",
    "refcount": "AnonVma.refcount",
}


@cache
def observed() -> dict[str, str]:
    """For each datum the lock that was held alone at every change of it, in runs of four worlds."""
    worlds = ("fork_during_migration", "relative_exits", "page_table_freed", "neighbour_faults")
    return held_alone(DATA, LOCKS, *(Stepper(world, "mutex_v37").finish().trace for world in worlds))


@exercise("L02.3")
def lock_table(answer: Mapping[str, str]) -> Report:
    """A table datum -> lock, compared with the locks that were held at every change in the runs."""
    return compared("L02.3", answer, observed(), LOCKS, _wrong_lock, offered=f"locks are {', '.join(LOCKS)}")


def _wrong_lock(datum: str, lock: str) -> Finding:
    told = f"{datum}: the runs change it without holding the {lock} alone."
    tag = "M4"
    if datum == "interval tree" and lock == "mmap_sem":
        told, tag = f"{datum}: a child that exits changes it, and holds no mmap_sem of its parent's.", "M20"
    elif datum == "refcount":
        told, tag = f"{datum}: it is added to in one step, under whatever lock there is, or none.", "M10"
    elif lock == "none":
        told = f"{datum}: the runs change it under a lock, every time."
    return Finding(False, f"{told} {named(tag)}", tag)


# --- 02.4: grow a family -------------------------------------------------------------------------------------------

#: What is asked for: so many stops, and so many PTEs.
STOPS, FOUND = 4, 1


@exercise("L02.4")
def grow(answer: Steps) -> Report:
    """Steps after which the walk for some frame makes four stops and finds one PTE."""
    try:
        family = grown(answer)
    except Refused as fault:
        return Report("L02.4", (Finding(False, f"{fault}."),))
    walks = {frame: family.walk(frame) for frame in family.frames}
    for frame, walk in walks.items():
        if len(walk) == STOPS and sum(it.mapped for it in walk) == FOUND:
            who = next(it.vma for it in walk if it.mapped)
            told = f"{frame}: the walk visits {STOPS} VMAs, and {who} has the PTE; {len(answer)} steps."
            return Report("L02.4", (Finding(True, told),))
    return Report("L02.4", tuple(_short(family, frame) for frame in walks) or (_untouched(),))


def _untouched() -> Finding:
    return Finding(False, "No page was touched, so there is no frame and nothing to walk for.")


def _short(family: Family, frame: str) -> Finding:
    walk = family.walk(frame)
    found = sum(it.mapped for it in walk)
    told = f"{frame}: {len(walk)} stop{'s' * (len(walk) != 1)}, {found} PTE{'s' * (found != 1)}."
    if found > FOUND:
        return Finding(False, f"{told} What was there before a fork is shared. {named('M28')}", "M28")
    if len(family.alive) >= STOPS:
        return Finding(False, f"{told} It hangs on the anon_vma of whoever brought it. {named('M12')}", "M12")
    return Finding(False, f"{told} A tree has a link for each descendant of the one whose anon_vma it is.")


# --- 02.5: every PTE of a page -------------------------------------------------------------------------------------

#: Families on which a reader's function is tried; between them they tell the usual mistakes apart.
HIDDEN: Final[Mapping[str, Steps]] = {
    "one process": (("touch", "P"),),
    "a child and a grandchild": (("touch", "P"), ("fork", "P", "C"), ("fork", "C", "G")),
    "a child's copy, shared with its own child": (
        ("touch", "P"), ("fork", "P", "C"), ("touch", "C"), ("fork", "C", "G"), ("touch", "P", 1),
    ),
    "a child that has moved a page": (("touch", "P", 1), ("fork", "P", "C"), ("mremap", "C", 1, 7)),
    "a child that has unmapped it": (
        ("touch", "P"), ("fork", "P", "C"), ("fork", "P", "D"), ("munmap", "C", 0, 1),
    ),
    "children whose parent is gone": (("touch", "P"), ("fork", "P", "C"), ("fork", "C", "G"), ("exit", "P")),
}  # fmt: skip


@exercise("L02.5")
def every_pte(function: Callable[..., Kernel]) -> Report:
    """A reader's ``ptes_of(k, page)``: every (mm, address) at which a PTE maps the page, in six hidden families."""
    if not inspect.isgeneratorfunction(function):
        return without_steps("L02.5", function)
    findings: list[Finding] = []
    for name, steps in HIDDEN.items():
        family = grown(steps)
        for frame in family.frames:
            try:
                said = family.ask(function, frame)
            except (UserError, Violation) as fault:
                return Report("L02.5", (*findings, *slips(function, value=True), Finding(False, f"{name}: {fault}.")))
            wrong = _compare(family, frame, said)
            if wrong is not None:
                forgot = slips(function, value=True)
                tag = "" if forgot else wrong.tag
                return Report("L02.5", (*findings, *forgot, Finding(False, f"{name}: {wrong.text}", tag)))
        findings.append(Finding(True, f"{name}: every PTE, and no other."))
    return Report("L02.5", tuple(findings))


def _compare(family: Family, frame: str, said: Any) -> Finding | None:
    names = {mm: who for who, mm in family.mms.items()}
    try:
        got = {(names[mm], int(address)) for mm, address in said}
    except (TypeError, ValueError, KeyError):
        return Finding(False, f"for {frame} it answers {said!r}; wanted is a list of pairs (mm, address).")
    right = set(family.ptes(frame))
    told = f"for {frame} it finds {_spell(got)}; there {'is' if len(right) == 1 else 'are'} {_spell(right)}."
    if got == right:
        return None
    stops = {(who, page) for who, page in got - right if any(it == page for it in _stops(family, frame, who))}
    if stops:
        return Finding(False, f"{told} {named('M29')}", "M29")
    if got - right:
        return Finding(False, f"{told} {named('M12')}", "M12")
    return Finding(False, f"{told} {named('M13')}", "M13")


def _stops(family: Family, frame: str, who: str) -> Iterable[int]:
    """The pages at which the kernel's walk for *frame* looks in *who*."""
    mine = {family.names[it] for it in family.vmas_of(who)}
    return [it.page for it in family.walk(frame) if it.vma in mine]


def _spell(ptes: set[tuple[str, int]]) -> str:
    return ", ".join(f"{who} page {page}" for who, page in sorted(ptes)) or "none"
