"""Lesson 12: the solutions, and wrong answers with the misconception that the checks name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def largest_batch(order: Sequence[str]) -> int:
    """One more with each page that is unmapped, one less with each that is copied."""
    now = most = 0
    for it in order:
        if it == "unmap":
            now += 1
        elif it == "copy":
            now -= 1
        most = max(most, now)
    return most


def unmapped_in_all(order: Sequence[str]) -> int:
    """How many there were, not how many at once."""
    return list(order).count("unmap")


def longest_row(order: Sequence[str]) -> int:
    """A page that stays on its way while another is copied is forgotten."""
    now = most = 0
    for it in order:
        now = now + 1 if it == "unmap" else 0
        most = max(most, now)
    return most


def up_to_the_flush(order: Sequence[str]) -> int:
    """Counts at each send: without other CPUs nothing is sent."""
    now = most = 0
    for it in order:
        if it == "unmap":
            now += 1
        elif it == "send":
            most, now = max(most, now), 0
    return most


def until_mapped(order: Sequence[str]) -> int:
    """Takes a page off when it is mapped again; the orders made by hand say nothing of that."""
    now = most = 0
    for it in order:
        now += (it == "unmap") - (it == "remap")
        most = max(most, now)
    return most


def fails_on_nothing(order: Sequence[str]) -> int:
    """An empty order has no first event."""
    return 1 if order[0] == "unmap" else 0


#: A right answer to each exercise.
GOOD: dict[str, Any] = {
    "L12.2": {"A": "same", "B": "varies", "C": "same", "D": "same", "E": "varies", "F": "parts"},
    "L12.3": {"variant": "v612", "pages": 6, "spinners": 2},
    "L12.4": largest_batch,
}

#: Wrong answers: the exercise, the answer, the misconceptions named.
BAD: list[tuple[str, Any, tuple[str, ...]]] = [
    ("L12.2", {"A": "parts"}, ("M36",)),
    ("L12.2", {"B": "same"}, ("M37",)),
    ("L12.2", {"E": "parts"}, ("M37",)),
    ("L12.2", {"F": "same"}, ()),
    ("L12.2", {"G": "same"}, ()),
    ("L12.2", {"A": "nearly"}, ()),
    ("L12.3", {"variant": "v61", "pages": 6, "spinners": 2}, ("M39",)),
    ("L12.3", {"variant": "v612", "pages": 6, "spinners": 1}, ("M30",)),
    ("L12.3", {"variant": "v612", "pages": 6, "spinners": 3}, ()),
    ("L12.3", {"variant": "v612", "pages": 0}, ()),
    ("L12.3", {"variant": "v612", "threads": 2}, ()),
    ("L12.3", {"variant": "v38"}, ()),
    ("L12.4", unmapped_in_all, ("M41",) * 4),
    ("L12.4", longest_row, ()),
    ("L12.4", up_to_the_flush, ("M40",) * 4),
    ("L12.4", until_mapped, ()),
    ("L12.4", fails_on_nothing, ()),
]
