"""Lesson 11: the solutions, and wrong answers with the misconception that the checks name."""

from __future__ import annotations

from typing import Any

from course.capstone import composed
from course.sharing import divided
from sim import variant
from sim.context import Context
from sim.kernel.v38.huge_memory import split_huge_page
from sim.ops import Kernel
from sim.structs import AnonVma
from sim.sync import down_read, down_read_trylock, down_write, up_read, up_write


def lock_to_walk(k: Context, anon_vma: AnonVma) -> Kernel:
    """Walks share the root's lock."""
    root = yield anon_vma.root
    yield from down_read(root.rwsem)


def unlock_after_walk(k: Context, anon_vma: AnonVma) -> Kernel:
    """Give it back."""
    root = yield anon_vma.root
    yield from up_read(root.rwsem)


def lock_to_change(k: Context, anon_vma: AnonVma) -> Kernel:
    """Whoever changes a tree is alone."""
    root = yield anon_vma.root
    yield from down_write(root.rwsem)


def unlock_after_change(k: Context, anon_vma: AnonVma) -> Kernel:
    """Give it back."""
    root = yield anon_vma.root
    yield from up_write(root.rwsem)


def try_to_walk(k: Context, root: AnonVma) -> Kernel:
    """The same of a root, without waiting."""
    ok = yield from down_read_trylock(root.rwsem)
    return ok


def unlock_root(k: Context, root: AnonVma) -> Kernel:
    """Give it back."""
    yield from up_read(root.rwsem)


#: What 3.8's lock is, on the batches that 3.7 never had: faster than 6.3, with the old faults of 3.7.
SHARED: dict[str, Any] = {
    "anon_vma_lock_read": lock_to_walk,
    "anon_vma_unlock_read": unlock_after_walk,
    "rmap_walk_anon_lock": lock_to_walk,
    "rmap_walk_anon_unlock": unlock_after_walk,
    "anon_vma_lock_write": lock_to_change,
    "anon_vma_unlock_write": unlock_after_change,
    "anon_vma_trylock_read": try_to_walk,
    "anon_vma_unlock_root": unlock_root,
    "split_huge_page": split_huge_page,
}


def nothing(k: Context, anon_vma: AnonVma) -> Kernel:
    """No lock."""
    yield from ()


def lock_its_own(k: Context, anon_vma: AnonVma) -> Kernel:
    """Not the root's lock, but that of the page's own anon_vma."""
    yield from down_read(anon_vma.rwsem)


def unlock_its_own(k: Context, anon_vma: AnonVma) -> Kernel:
    """Give it back."""
    yield from up_read(anon_vma.rwsem)


def on_38(name: str, **functions: Any) -> Any:
    """Linux 3.8 with other functions."""
    return variant("rwsem_v38").changed(name, **functions)


_BATCHES = variant("batch_2mb").changed("batches_shared", **SHARED)
_HELD = {
    "a PTE changes": "ptl",
    "the tree changes": "anon_vma lock",
    "a stack's start changes": "anon_vma lock",
    "a walk unmaps": "anon_vma lock, shared",
    "a walk maps again": "anon_vma lock, shared",
    "a page is copied": "page lock",
}

#: A right answer to each exercise.
GOOD: dict[str, Any] = {
    "L11.2": {"A": "mutex_v37", "B": "rwsem_v38", "C": "batch_2mb", "D": "rfc_split_unlocked", "E": "batch_v63"},
    "L11.3": {"walks": "shared", "flush": "batch, then copy", "next page": "tries"},
    "L11.4": _BATCHES,
    "L11.5": (_BATCHES, _HELD),
}

_NO_LOCK = on_38("no_lock", rmap_walk_anon_lock=nothing, rmap_walk_anon_unlock=nothing)
_OWN = on_38("own_lock", rmap_walk_anon_lock=lock_its_own, rmap_walk_anon_unlock=unlock_its_own)
_ALONE = divided({"try_to_unmap_anon": "write", "rmap_walk_anon": "write"})  # 3.8, and no walk beside another
_TWO = variant("batch_2mb").changed("two", rmap_walk_anon_lock=lock_to_walk, rmap_walk_anon_unlock=unlock_after_walk)
_HALF = variant("batch_2mb").changed("half", anon_vma_lock_read=lock_to_walk, anon_vma_unlock_read=unlock_after_walk)
_ONE_FOR_ALL = {
    "a PTE changes": "anon_vma lock",
    "the tree changes": "page lock",
    "a stack's start changes": "mmap_sem",
    "a walk unmaps": "page lock",
    "a walk maps again": "ptl",
    "a page is copied": "none",
}
_KEPT = on_38("kept", rmap_walk_anon_unlock=nothing)  # the lock is never given back

#: Wrong answers: the exercise, the answer, the misconceptions named.
BAD: list[tuple[str, Any, tuple[str, ...]]] = [
    ("L11.2", {"C": "batch_v63"}, ("M24",)),
    ("L11.2", {"B": "batch_v63"}, ("M30",)),
    ("L11.2", {"D": "rwsem_v38"}, ("M25",)),
    ("L11.2", {"B": "mutex_v37"}, ("M27",)),
    ("L11.2", {"F": "mutex_v37"}, ()),
    ("L11.3", {"walks": "shared", "flush": "copy, then batch", "next page": "tries"}, ("M18",)),
    ("L11.3", {"walks": "alone", "flush": "batch, then copy", "next page": "sleeps"}, ("M11", "M27")),
    ("L11.3", {"walks": "shared", "flush": "each page"}, ()),
    ("L11.3", {"walks": "together", "flush": "each page", "next page": "tries"}, ()),
    ("L11.4", _NO_LOCK, ("M20b", "M10", "M26", "M19")),
    ("L11.4", _OWN, ("M19",)),
    ("L11.4", _ALONE, ("M27",)),
    ("L11.4", _KEPT, ()),
    ("L11.4", _TWO, ("M4",)),  # walks share the rwsem, who changes the tree has the mutex
    ("L11.4", _HALF, ()),  # the lock is taken by another's function, and given back by this one
    ("L11.4", lock_to_walk, ()),
    ("L11.4", composed("shared", "batch, then copy"), ()),
    ("L11.4", "batch_v63", ()),
    ("L11.5", (_BATCHES, _HELD | {"a walk unmaps": "anon_vma lock"}), ("M27",)),
    ("L11.5", (_BATCHES, _HELD | {"the tree changes": "mmap_sem", "a walk maps again": "none"}), ("M20", "M25")),
    (
        "L11.5",
        (_BATCHES, _HELD | {"the tree changes": "anon_vma lock, shared", "a page is copied": "ptl"}),
        ("M20b", "M4"),
    ),
    ("L11.5", (_BATCHES, _ONE_FOR_ALL), ("M5", "M26", "M20b", "M4", "M4")),
    ("L11.5", (_NO_LOCK, _HELD | {"a page is read": "ptl"}), ()),  # that one walks without, and there is no such row
    ("L11.5", ("batch_2mb", _HELD), ()),
]
