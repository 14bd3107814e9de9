"""Lesson 3: the solutions, and wrong answers with the misconception that the checks name."""

from __future__ import annotations

from errno import EBUSY
from typing import Any

from course.scheduling import look_then_take
from sim.context import Context
from sim.kernel.swap import get_page
from sim.ops import Kernel
from sim.structs import Page
from sim.sync import mutex_lock, mutex_unlock, spin_lock, spin_unlock


def isolate_lru_page(k: Context, page: Page) -> Kernel:
    """Look and take under one lock, and give it back on both ways out."""
    lock = k.mm.page_table_lock
    yield from spin_lock(lock)
    on_the_list = yield page.PG_lru
    if on_the_list:
        yield page.PG_lru.set(False)
        yield from get_page(k, page)
    yield from spin_unlock(lock)
    return 0 if on_the_list else -EBUSY


def in_one_step(k: Context, page: Page) -> Kernel:
    """No lock, and nothing between look and take: what the model's kernel does."""
    on_the_list = yield page.PG_lru.xchg(False)
    if not on_the_list:
        return -EBUSY
    yield from get_page(k, page)
    return 0


def lock_the_store(k: Context, page: Page) -> Kernel:
    """Writing is what needs a lock."""
    on_the_list = yield page.PG_lru
    if not on_the_list:
        return -EBUSY
    yield from spin_lock(k.mm.page_table_lock)
    yield page.PG_lru.set(False)
    yield from get_page(k, page)
    yield from spin_unlock(k.mm.page_table_lock)
    return 0


def forgets(k: Context, page: Page) -> Kernel:
    """Gives the lock back on one of two ways out."""
    yield from spin_lock(k.mm.page_table_lock)
    on_the_list = yield page.PG_lru
    if not on_the_list:
        return -EBUSY
    yield page.PG_lru.set(False)
    yield from get_page(k, page)
    yield from spin_unlock(k.mm.page_table_lock)
    return 0


def always_mine(k: Context, page: Page) -> Kernel:
    """Looks and takes in one step, and answers 0 to both."""
    on_the_list = yield page.PG_lru.xchg(False)
    if on_the_list:
        yield from get_page(k, page)
    return 0


def asks_the_step(k: Context, page: Page) -> Kernel:
    """Asks the operation, which nobody makes, and not what it answers."""
    if page.PG_lru.xchg(False):  # type: ignore[truthy-bool]  # the slip itself
        yield from get_page(k, page)
        return 0
    return -EBUSY


def two_locks(k: Context, page: Page) -> Kernel:
    """One lock is good, so two are better: all threads queue for the second."""
    anon_vma = yield page.mapping
    root = yield anon_vma.root
    yield from mutex_lock(root.mutex)
    rc = yield from isolate_lru_page(k, page)
    yield from mutex_unlock(root.mutex)
    return rc


def never(k: Context, page: Page) -> Kernel:
    """Who takes nothing shares nothing."""
    yield page.PG_lru
    return -EBUSY


#: A right answer to each exercise.
GOOD: dict[str, Any] = {
    "L03.2": {
        "A": ("running", "runnable"),
        "B": ("runnable", "running"),
        "C": ("running", "blocked"),
        "D": ("running", "runnable"),
        "E": ("finished", "running"),
    },
    "L03.3": "a11b54a4",
    "L03.4": ["lock", "look", "take", "unlock"],
    "L03.5": {"PTE": "ptl", "mapcount": "ptl", "references": "none", "PG_lru": "none"},
    "L03.6": isolate_lru_page,
}

#: Wrong answers: the exercise, the answer, the misconceptions named.
BAD: list[tuple[str, Any, tuple[str, ...]]] = [
    ("L03.2", {"B": ("running", "running")}, ("M2",)),
    ("L03.2", {"C": ("running", "runnable")}, ("M6",)),
    ("L03.2", {"D": ("running", "blocked")}, ("M6",)),
    ("L03.2", {"B": ("running", "runnable")}, ("M2",)),
    ("L03.2", {"F": ("running", "runnable")}, ()),
    ("L03.3", "a11b11a3b4", ("M2",)),
    ("L03.3", "a13b11", ("M1",)),
    ("L03.3", "a11b11", ()),
    ("L03.3", "a11", ()),
    ("L03.3", "a900", ()),
    ("L03.3", "hello", ()),
    ("L03.4", ["look", "take"], ("M1",)),
    ("L03.4", ["look", "lock", "take", "unlock"], ("M4",)),
    ("L03.4", ["lock", "look", "unlock", "take"], ("M1",)),
    ("L03.4", ["lock", "look", "unlock", "lock", "take", "unlock"], ("M4",)),
    ("L03.4", ["lock mine", "look", "take", "unlock mine"], ("M5",)),
    ("L03.4", ["lock", "look", "take"], ()),
    ("L03.4", ["lock", "take", "look", "unlock"], ()),
    ("L03.4", ["lock", "unlock"], ()),
    ("L03.4", ["lock", "look", "take", "unlock", "sleep"], ()),
    ("L03.5", {"PTE": "page lock"}, ("M4",)),
    ("L03.5", {"PG_lru": "page lock"}, ("M5",)),
    ("L03.5", {"PTE": "mmap_sem"}, ()),
    ("L03.5", {"mapcount": "none"}, ()),
    ("L03.6", look_then_take, ("M1",)),  # it is one function
    ("L03.6", lock_the_store, ("M4",)),
    ("L03.6", two_locks, ("M5",)),
    ("L03.6", forgets, ()),
    ("L03.6", never, ()),
    ("L03.6", always_mine, ()),
    ("L03.6", asks_the_step, ()),
]
