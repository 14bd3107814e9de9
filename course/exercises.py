"""The checks of the exercises: each takes an answer and says what is right, and what a wrong one looks like."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from course.guarding import compared, held_alone
from course.kit import Finding, Report, exercise
from course.misconceptions import named
from course.ordering import PARTS, in_order
from course.unyielded import slips, without_steps
from course.verdicts import Judgement, judge
from sim import Stepper, variant
from sim.errors import UserError


def known() -> None:
    """Importing this module has made its exercises known."""


def yes(text: str) -> Finding:
    """Something that is right."""
    return Finding(True, text)


def no(text: str, tag: str = "") -> Finding:
    """Something that is not, with the misconception that it looks like."""
    return Finding(False, f"{text} {named(tag)}" if tag else text, tag)


# --- 01.2: in which order? -----------------------------------------------------------------------------------------


@exercise("L01.2")
def order_of_the_parts(order: Sequence[str]) -> Report:
    """Seven parts in an order of the reader's; every schedule is tried, and a bad one can be played."""
    if sorted(order) != sorted(PARTS):
        missing, foreign = sorted(set(PARTS) - set(order)), sorted(set(order) - set(PARTS))
        faults = [no(f"'{it}' is missing.") for it in missing] + [no(f"'{it}' is no part.") for it in foreign]
        return Report("L01.2", tuple(faults or [no("Each part stands in the order once.")]))
    verdict = judge(in_order(order))
    if verdict.violation is None:
        return Report("L01.2", (yes(verdict.sentence),))
    return Report("L01.2", (no(f"{verdict.sentence}.", _order_tag(list(order).index)),), verdict.trace)


def _order_tag(at: Callable[[str], int]) -> str:
    if at("copy") < at("unmap"):
        return "M18"
    if at("flush") < at("unmap") or at("copy") < at("flush"):
        return "M14"
    if at("unlock") < at("remap") or at("remap") < at("unmap"):
        return "M17"
    if at("put") < at("unlock"):
        return "M10"
    return "M1" if at("copy") > at("remap") else "M4"


# --- 01.3: what does each lock protect? -------------------------------------------------------------------

#: How a table calls the locks, and what the runs call them.
LOCKS: Final[Mapping[str, str]] = {
    "ptl": "PageTable.ptl",
    "page lock": "Page.PG_locked",
    "anon_vma lock": "AnonVma.mutex",
    "mmap_sem": "Mm.mmap_sem",
    "none": "",
}

#: How a table calls the data, and what the runs call them.
DATA: Final[Mapping[str, str]] = {
    "PTE": "PageTable.pte",
    "mapcount": "Page._mapcount",
    "interval tree": "AnonVma.rb_root",
    "vm_start of a stack": "Vma.vm_start",
    "user data": "Page.data",
}


@cache
def observed() -> dict[str, str]:
    """For each datum the lock that was held at every change of it, in runs of four worlds; "none" if there is none."""
    worlds: list[tuple[str, dict[str, int]]] = [
        ("one_page", {}),
        ("stack_grows", {}),
        ("two_migrators", {}),
        ("numa02", {"threads": 2, "pages": 2, "nodes": 2}),
    ]
    runs = (Stepper(world, "mutex_v37", "", **params).finish().trace for world, params in worlds)
    return held_alone(DATA, LOCKS, *runs)


@exercise("L01.3")
def lock_table(answer: Mapping[str, str]) -> Report:
    """Compare a table datum -> lock with what the runs show."""
    offered = f"locks are {', '.join(LOCKS)}"
    return compared("L01.3", answer, observed(), LOCKS, _wrong_lock, offered=offered, praise=_held)


def _held(lock: str) -> str:
    return "it changes with no lock held that all its writers take" if lock == "none" else f"the {lock}, every time"


def _wrong_lock(datum: str, lock: str) -> Finding:
    told = f"{datum}: the runs change it at least once while the {lock} is not held alone."
    if lock == "none":
        return no(f"{datum}: in the runs one lock was held alone at every change of it.", "M4")
    if datum == "user data":
        return no(f"{told} User threads write it, and they take no lock.", "M4")
    if lock == "mmap_sem":
        return no(f"{told} It is held for reading, by many at a time.", "M5")
    if lock == "page lock":
        return no(f"{told} It belongs to one frame, and others reach the datum by another way.", "M4")
    return no(told, "M4")


# --- 01.4: clear and flush -----------------------------------------------------------------------------------------


@exercise("L01.4")
def clear_and_flush(function: Callable[..., Any]) -> Report:
    """A reader's ``ptep_clear_flush(k, vma, address, pte)``, used by the 3.7 kernel in world one_page."""
    if not inspect.isgeneratorfunction(function):
        return without_steps("L01.4", function)
    try:
        verdict = judge(variant("mutex_v37").changed("my_flush", ptep_clear_flush=function))
    except UserError as fault:
        return Report("L01.4", (*slips(function, value=True), no(f"{fault}.")))
    if verdict.violation is None:
        return Report("L01.4", (yes(verdict.sentence),))
    forgot = slips(function, value=True)
    tag = "" if forgot else _flush_tag(verdict)
    return Report("L01.4", (*forgot, no(f"{verdict.sentence}.", tag)), verdict.trace)


def _flush_tag(verdict: Judgement) -> str:
    """What a wrong flush looks like: none at all, this CPU's only, or one before the PTE was cleared."""
    steps = [] if verdict.trace is None else verdict.trace.events
    kinds = [type(event.op).__name__ for event in steps]
    if "SendIpi" in kinds:
        return "M1"
    return "M15" if "Invlpg" in kinds else "M14"
