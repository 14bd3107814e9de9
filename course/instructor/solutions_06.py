"""Lesson 6: the solutions, and wrong answers with the misconception that the checks name."""

from __future__ import annotations

from typing import Any

from sim.context import Context
from sim.ops import Kernel
from sim.structs import AnonVma
from sim.sync import down_read, down_write, up_read, up_write


def rmap_walk_anon_lock(k: Context, anon_vma: AnonVma) -> Kernel:
    """The root's rwsem, shared with other walks: what Linux 3.8 does."""
    root = yield anon_vma.root
    yield from down_read(root.rwsem)


def rmap_walk_anon_unlock(k: Context, anon_vma: AnonVma) -> Kernel:
    """Give it back."""
    root = yield anon_vma.root
    yield from up_read(root.rwsem)


def nothing(k: Context, anon_vma: AnonVma) -> Kernel:
    """All callers are holding the mmap_sem."""
    yield from ()


def down_and_up(k: Context, anon_vma: AnonVma) -> Kernel:
    """The lock was taken, was it not?"""
    root = yield anon_vma.root
    yield from down_read(root.rwsem)
    yield from up_read(root.rwsem)


def own_lock(k: Context, anon_vma: AnonVma) -> Kernel:
    """The page's own anon_vma is locked, not the root of its family."""
    yield from down_read(anon_vma.rwsem)


def own_unlock(k: Context, anon_vma: AnonVma) -> Kernel:
    """Give it back."""
    yield from up_read(anon_vma.rwsem)


def mmap_sem_again(k: Context, anon_vma: AnonVma) -> Kernel:
    """Twice is safer."""
    yield from down_read(k.mm.mmap_sem)


def mmap_sem_back(k: Context, anon_vma: AnonVma) -> Kernel:
    """Give it back."""
    yield from up_read(k.mm.mmap_sem)


def alone(k: Context, anon_vma: AnonVma) -> Kernel:
    """Right, but walks keep each other out."""
    root = yield anon_vma.root
    yield from down_write(root.rwsem)


def alone_unlock(k: Context, anon_vma: AnonVma) -> Kernel:
    """Give it back."""
    root = yield anon_vma.root
    yield from up_write(root.rwsem)


def names_the_root(k: Context, anon_vma: AnonVma) -> Kernel:
    """Names the root's field, and does not read it."""
    root: Any = anon_vma.root
    yield from down_read(root.rwsem)


TREE, OUT = "interval tree", "anon_vma_interval_tree_post_update_vma"

#: A right answer to each exercise.
GOOD: dict[str, Any] = {
    "L06.2": {
        TREE: "anon_vma lock",
        "vm_pgoff of a stack": "anon_vma lock",
        "link of a relative": "anon_vma lock",
        "PMD": "either",
        "PTE": "neither",
    },
    "L06.3": {"worker": "remove_migration_ptes", "main": OUT},
    "L06.4": (rmap_walk_anon_lock, rmap_walk_anon_unlock),
}

#: Wrong answers: the exercise, the answer, the misconceptions named.
BAD: list[tuple[str, Any, tuple[str, ...]]] = [
    ("L06.2", {TREE: "either"}, ("M20b",)),
    ("L06.2", {"vm_pgoff of a stack": "mmap_sem", "PTE": "anon_vma lock"}, ("M20b", "M4")),
    ("L06.2", {"link of a relative": "mmap_sem"}, ("M20",)),
    ("L06.2", {"PMD": "mmap_sem"}, ("M26",)),
    ("L06.2", {"PTE": "ptl"}, ()),
    ("L06.2", {"vm_pgoff of a stack": "neither"}, ()),
    ("L06.3", {"worker": "remove_migration_ptes", "main": "anon_vma_prepare"}, ("M1",)),
    ("L06.3", {"worker": "remove_migration_ptes", "main": "anon_vma_interval_tree_pre_update_vma"}, ("M1",)),
    ("L06.3", {"worker": "remove_migration_ptes", "main": "anon_vma_unlock"}, ("M4",)),
    ("L06.3", {"worker": "try_to_unmap", "main": OUT}, ()),
    ("L06.3", {"worker": "schedule", "main": OUT}, ()),
    ("L06.4", (nothing, nothing), ("M20b",)),
    ("L06.4", (down_and_up, nothing), ("M4",)),
    ("L06.4", (own_lock, own_unlock), ("M19",)),
    ("L06.4", (mmap_sem_again, mmap_sem_back), ("M5",)),
    ("L06.4", (alone, alone_unlock), ("M27",)),
    ("L06.4", (rmap_walk_anon_lock, nothing), ()),
    ("L06.4", (names_the_root, nothing), ()),
]
