"""Lesson 8: the solutions, and wrong answers with the misconception that the checks name."""

from __future__ import annotations

from typing import Any

from course.halves import unmap_walk
from sim.context import Context
from sim.kernel.rmap import SWAP_AGAIN, page_get_anon_vma, put_anon_vma
from sim.ops import Kernel
from sim.structs import Page
from sim.sync import down_read, down_write, up_read, up_write


def try_to_unmap(k: Context, page: Page, flags: int) -> Kernel:
    """Reclaim has no reference: the anon_vma is found and locked in one go, or is not there any more."""
    anon_vma = yield from k.page_lock_anon_vma(page)
    if anon_vma is None:
        return SWAP_AGAIN
    ret = yield from unmap_walk(k, page, anon_vma, flags)
    yield from k.page_unlock_anon_vma(anon_vma)
    return ret


def try_to_migrate(k: Context, page: Page, flags: int) -> Kernel:
    """Migration has a reference, so the anon_vma is there; the links are not kept by that: the lock, shared."""
    anon_vma = yield page.mapping
    root = yield anon_vma.root
    yield from down_read(root.rwsem)
    ret = yield from unmap_walk(k, page, anon_vma, flags)
    yield from up_read(root.rwsem)
    return ret


def unlocked(k: Context, page: Page, flags: int) -> Kernel:
    """Whoever calls has what it needs."""
    anon_vma = yield page.mapping
    ret = yield from unmap_walk(k, page, anon_vma, flags)
    return ret


def pinned(k: Context, page: Page, flags: int) -> Kernel:
    """Reclaim does what migration does: it takes a reference, and so needs no lock."""
    anon_vma = yield from page_get_anon_vma(k, page)
    if anon_vma is None:
        return SWAP_AGAIN
    ret = yield from unmap_walk(k, page, anon_vma, flags)
    yield from put_anon_vma(k, anon_vma)
    return ret


def own_lock(k: Context, page: Page, flags: int) -> Kernel:
    """The page's own anon_vma is locked, not the root of its family."""
    anon_vma = yield page.mapping
    yield from down_read(anon_vma.rwsem)
    ret = yield from unmap_walk(k, page, anon_vma, flags)
    yield from up_read(anon_vma.rwsem)
    return ret


def alone(k: Context, page: Page, flags: int) -> Kernel:
    """Right, but walks keep each other out."""
    anon_vma = yield page.mapping
    root = yield anon_vma.root
    yield from down_write(root.rwsem)
    ret = yield from unmap_walk(k, page, anon_vma, flags)
    yield from up_write(root.rwsem)
    return ret


def two_locks(k: Context, page: Page, flags: int) -> Kernel:
    """The mmap_sem as well, which the caller holds already."""
    yield from down_read(k.mm.mmap_sem)
    ret = yield from try_to_migrate(k, page, flags)
    yield from up_read(k.mm.mmap_sem)
    return ret


def nobody_asked(k: Context, page: Page, flags: int) -> Kernel:
    """The page may no longer be mapped when the lock is there."""
    anon_vma = yield from k.page_lock_anon_vma(page)
    ret = yield from unmap_walk(k, page, anon_vma, flags)
    yield from k.page_unlock_anon_vma(anon_vma)
    return ret


def one_end(k: Context, page: Page, flags: int) -> Kernel:
    """As in the second patch: not taken, and given back."""
    anon_vma = yield page.mapping
    ret = yield from unmap_walk(k, page, anon_vma, flags)
    yield from k.page_unlock_anon_vma(anon_vma)
    return ret


ALL = ("page lock", "mmap_sem", "anon_vma lock", "reference")


def names_the_walk(k: Context, page: Page, flags: int) -> Kernel:
    """A walk that is named, and never made."""
    anon_vma = yield page.mapping
    return unmap_walk(k, page, anon_vma, flags)


def keeps_the_answer(k: Context, page: Page, flags: int) -> Kernel:
    """Right in every order, and who calls it does not learn what has become of the page."""
    yield from try_to_unmap(k, page, flags)


#: A right answer to each exercise.
GOOD: dict[str, Any] = {
    "L08.2": {
        "move_pages": ALL,
        "NUMA fault": ALL,
        "compaction": ("page lock", "anon_vma lock", "reference"),
        "reclaim": ("page lock", "anon_vma lock"),
    },
    "L08.3": {"both walks": 287_000, "the unmap walk": 300_000, "the remap walk": 833_000},
    "L08.4": (try_to_unmap, try_to_migrate),
}

#: Wrong answers: the exercise, the answer, the misconceptions named.
BAD: list[tuple[str, Any, tuple[str, ...]]] = [
    ("L08.2", {"compaction": ALL, "reclaim": ("page lock", "anon_vma lock", "reference")}, ("M21", "M21")),
    ("L08.2", {"NUMA fault": ("page lock", "mmap_sem", "reference")}, ("M20",)),
    ("L08.2", {"compaction": ("page lock", "anon_vma lock")}, ("M10",)),
    ("L08.2", {"reclaim": ("anon_vma lock",)}, ("M4",)),
    ("L08.2", {"reclaim": "page lock"}, ()),
    ("L08.3", {"the unmap walk": 2 * 287_000}, ("M7",)),
    ("L08.3", {"both walks": 8 * 287_000}, ("M2",)),
    ("L08.3", {"the remap walk": 6_450_000}, ("M8",)),
    ("L08.3", {"the unmap walk": 100_000}, ()),
    ("L08.3", {"neither": 800_000}, ()),
    ("L08.4", (unlocked, unlocked), ("M21",)),
    ("L08.4", (try_to_migrate, try_to_migrate), ("M21",)),
    ("L08.4", (pinned, try_to_migrate), ("M10",)),
    ("L08.4", (try_to_unmap, unlocked), ("M10",)),
    ("L08.4", (try_to_unmap, own_lock), ("M19",)),
    ("L08.4", (try_to_unmap, two_locks), ("M5",)),
    ("L08.4", (try_to_unmap, alone), ("M27",)),
    ("L08.4", (try_to_unmap, names_the_walk), ()),
    ("L08.4", (keeps_the_answer, try_to_migrate), ()),
    ("L08.4", (nobody_asked, try_to_migrate), ()),
    ("L08.4", (try_to_unmap, one_end), ()),
]
