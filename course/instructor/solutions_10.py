"""Lesson 10: the solutions, and wrong answers with the misconception that the checks name."""

from __future__ import annotations

from typing import Any

from sim.context import Context
from sim.kernel.migrate import MIGRATE_ASYNC
from sim.kernel.v63.migrate import migrate_pages_batch
from sim.ops import Kernel
from sim.structs import Page


def migrate_pages_sync(k: Context, pages: tuple[Page, ...], node: int, passes: int, mode: str) -> Kernel:
    """A batch that waits for nobody; then those that did not go, with one page locked at a time."""
    busy = yield from migrate_pages_batch(k, pages, node, passes, MIGRATE_ASYNC)
    left: tuple[Page, ...] = ()
    while busy:
        page, busy = busy[0], busy[1:]
        more = yield from migrate_pages_batch(k, (page,), node, passes, mode)
        left = (*left, *more)
    return left


def all_at_once(k: Context, pages: tuple[Page, ...], node: int, passes: int, mode: str) -> Kernel:
    """One batch that waits for what is busy."""
    left = yield from migrate_pages_batch(k, pages, node, passes, mode)
    return left


def the_rest_together(k: Context, pages: tuple[Page, ...], node: int, passes: int, mode: str) -> Kernel:
    """The batch waits for nobody; those that did not go are a batch that does."""
    busy = yield from migrate_pages_batch(k, pages, node, passes, MIGRATE_ASYNC)
    left = yield from migrate_pages_batch(k, busy, node, passes, mode)
    return left


def gives_up(k: Context, pages: tuple[Page, ...], node: int, passes: int, mode: str) -> Kernel:
    """What cannot be had at once stays where it is."""
    left = yield from migrate_pages_batch(k, pages, node, passes, MIGRATE_ASYNC)
    return left


def one_by_one(k: Context, pages: tuple[Page, ...], node: int, passes: int, mode: str) -> Kernel:
    """As before there were batches."""
    left: tuple[Page, ...] = ()
    while pages:
        page, pages = pages[0], pages[1:]
        more = yield from migrate_pages_batch(k, (page,), node, passes, mode)
        left = (*left, *more)
    return left


def returns_nothing(k: Context, pages: tuple[Page, ...], node: int, passes: int, mode: str) -> Kernel:
    """Who called it wants to know what stayed."""
    yield from migrate_pages_batch(k, pages, node, passes, MIGRATE_ASYNC)


#: A right answer to each exercise.
GOOD: dict[str, Any] = {
    "L10.2": {"A": "may", "B": "must not", "C": "may", "D": "must not", "E": "may"},
    "L10.3": 16,
    "L10.4": migrate_pages_sync,
}

#: Wrong answers: the exercise, the answer, the misconceptions named.
BAD: list[tuple[str, Any, tuple[str, ...]]] = [
    ("L10.2", {"B": "may"}, ("M11",)),
    ("L10.2", {"D": "may"}, ("M33",)),
    ("L10.2", {"A": "must not", "C": "must not", "E": "must not"}, ("M34", "M34", "M34")),
    ("L10.2", {"F": "may"}, ()),
    ("L10.2", {"A": "perhaps"}, ()),
    ("L10.3", 64, ("M24",)),
    ("L10.3", 6, ("M30",)),
    ("L10.3", 1, ()),
    ("L10.3", 0, ()),
    ("L10.3", "all", ()),
    ("L10.4", all_at_once, ("M11",)),
    ("L10.4", the_rest_together, ("M11",)),
    ("L10.4", gives_up, ("M35",)),
    ("L10.4", one_by_one, ()),
    ("L10.4", returns_nothing, ()),
]
