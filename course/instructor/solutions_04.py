"""Lesson 4: the solutions, and wrong answers with the misconception that the checks name."""

from __future__ import annotations

from typing import Any


def pages_per_second(threads: int, work_ns: float, locked_ns: float, hand_over_ns: float) -> float:
    """As many pages as the threads can do, but no more than the lock lets through."""
    unhindered = threads / (work_ns + locked_ns)
    if threads == 1:
        return unhindered * 1e9
    through_the_lock = 1 / (locked_ns + 2 * hand_over_ns)
    return min(unhindered, through_the_lock) * 1e9


def no_bound(threads: int, work_ns: float, locked_ns: float, hand_over_ns: float) -> float:
    """Every thread runs at its own speed."""
    return threads / (work_ns + locked_ns) * 1e9


def free_hand_over(threads: int, work_ns: float, locked_ns: float, hand_over_ns: float) -> float:
    """A waiter goes on the moment the lock is free, as if it had been spinning."""
    return min(threads / (work_ns + locked_ns), 1 / locked_ns) * 1e9


def always_hand_over(threads: int, work_ns: float, locked_ns: float, hand_over_ns: float) -> float:
    """Even a thread that is alone waits to be woken."""
    return min(threads / (work_ns + locked_ns), 1 / (locked_ns + 2 * hand_over_ns)) * 1e9


#: A right answer to each exercise.
GOOD: dict[str, Any] = {
    "L04.2": {"A": 3, "B": 1, "C": 2},
    "L04.3": {
        "page lock": "each page",
        "ptl": "each 2 MiB",
        "anon_vma lock": "all, alone",
        "mmap_sem": "all, together",
    },
    "L04.4": pages_per_second,
}

#: Wrong answers: the exercise, the answer, the misconceptions named.
BAD: list[tuple[str, Any, tuple[str, ...]]] = [
    ("L04.2", {"A": 1, "B": 1, "C": 2}, ("M7",)),
    ("L04.2", {"A": 3, "B": 3, "C": 2}, ("M8",)),
    ("L04.2", {"A": 3, "B": 2, "C": 1}, ("M2", "M2")),
    ("L04.2", {"D": 1}, ()),
    ("L04.3", {"anon_vma lock": "each page"}, ("M19",)),
    ("L04.3", {"mmap_sem": "all, alone"}, ("M4",)),
    ("L04.3", {"ptl": "each page"}, ("M19",)),
    ("L04.4", no_bound, ("M2",)),
    ("L04.4", free_hand_over, ("M6",)),
    ("L04.4", always_hand_over, ("M8",)),
]
