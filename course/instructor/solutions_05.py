"""Lesson 5: the solutions, and wrong answers with the misconception that the checks name."""

from __future__ import annotations

from typing import Any

from course.finding import Moment


def every_pte_found_or_none(page: Moment) -> bool:
    """Wherever a PTE stands, the walk comes by."""
    return all(what == "none" or place in page.walk for place, what in page.ptes.items())


def always(page: Moment) -> bool:
    """As if a VMA were never out of its tree."""
    return True


def present_only(page: Moment) -> bool:
    """As if a migration entry were nothing that a walk must find."""
    return all(what != "present" or place in page.walk for place, what in page.ptes.items())


def one_is_enough(page: Moment) -> bool:
    """As if a page had one PTE."""
    return any(what != "none" and place in page.walk for place, what in page.ptes.items())


def as_many(page: Moment) -> bool:
    """As if a VMA were in the tree for each PTE, and no others."""
    return len(page.walk) == sum(what != "none" for what in page.ptes.values())


def for_ever(page: Moment) -> bool:
    """As if a page stayed at every place where it has been."""
    return set(page.ptes) <= set(page.walk)


#: A right answer to each exercise.
GOOD: dict[str, Any] = {
    "L05.2": {
        "interval tree": "anon_vma lock",
        "AVC": "anon_vma lock",
        "anon_vma": "reference",
        "PTE": "ptl",
        "page flag": "atomic",
        "frame data": "none",
    },
    "L05.3": {"A": "structure", "B": "lifetime", "C": "contents", "D": "lifetime"},
    "L05.4": every_pte_found_or_none,
}

#: Wrong answers: the exercise, the answer, the misconceptions named.
BAD: list[tuple[str, Any, tuple[str, ...]]] = [
    ("L05.2", {"AVC": "reference", "anon_vma": "anon_vma lock"}, ("M10", "M10")),
    ("L05.2", {"AVC": "mmap_sem", "anon_vma": "mmap_sem", "interval tree": "mmap_sem"}, ("M20", "M20", "M20")),
    ("L05.2", {"PTE": "anon_vma lock"}, ("M5",)),
    ("L05.2", {"PTE": "page lock"}, ("M5",)),
    ("L05.2", {"page flag": "page lock"}, ("M26",)),
    ("L05.2", {"frame data": "page lock"}, ("M4",)),
    ("L05.2", {"interval tree": "ptl"}, ("M4",)),
    ("L05.2", {"PTE": "rcu"}, ()),
    ("L05.2", {"PTE": "atomic", "AVC": "none", "page flag": "none"}, ()),
    ("L05.3", {"A": "lifetime", "B": "structure"}, ("M10", "M10")),
    ("L05.3", {"C": "structure"}, ("M5",)),
    ("L05.3", {"D": "structure"}, ("M26",)),
    ("L05.3", {"E": "contents"}, ()),
    ("L05.3", {"A": "contents", "C": "lifetime"}, ()),
    ("L05.4", lambda page: False if set(page.ptes) - set(page.walk) else None, ()),
    ("L05.4", always, ("M1",)),
    ("L05.4", present_only, ("M17",)),
    ("L05.4", one_is_enough, ("M13",)),
    ("L05.4", as_many, ("M29",)),
    ("L05.4", for_ever, ("M12",)),
]
