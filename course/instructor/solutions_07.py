"""Lesson 7: the solutions, and wrong answers with the misconception that the checks name."""

from __future__ import annotations

from typing import Any

from sim.context import Context
from sim.kernel.madvise import sys_madvise
from sim.kernel.mmap import sys_munmap
from sim.ops import Kernel
from sim.user import user_write


def below_the_stack(k: Context) -> Kernel:
    """The stack grows, under mmap_sem to read."""
    yield from user_write(k, 1015)


def unmaps(k: Context) -> Kernel:
    """As if the mover's mmap_sem kept nobody waiting."""
    yield from sys_munmap(k, 1016, 1)


def throws_away(k: Context) -> Kernel:
    """As if a walk could not bear that a PTE is gone."""
    yield from sys_madvise(k, 1016, 1)


def far_away(k: Context) -> Kernel:
    """A test that passes whatever the kernel does: the stack is as it was, and the page too."""
    yield from ()


RIGHT = {
    "try_to_unmap_anon": "read",
    "rmap_walk_anon": "read",
    "unlink_anon_vmas": "write",
    "expand_downwards": "write",
    "move_ptes": "write",
    "collapse_huge_page": "write",
}


def never_runs(k: Context) -> None:
    """Names the call, and does not make it: no generator, and no test."""
    user_write(k, 1015)


def cannot_run(k: Context) -> Kernel:
    """Reads a field that there is not."""
    yield k.mm.no_such_field


#: A right answer to each exercise.
GOOD: dict[str, Any] = {
    "L07.2": {"a": ("compaction", "exit"), "b": ("compaction", "mremap"), "c": ("move_pages", "stack growth")},
    "L07.3": RIGHT,
    "L07.4": below_the_stack,
}

#: Wrong answers: the exercise, the answer, the misconceptions named.
BAD: list[tuple[str, Any, tuple[str, ...]]] = [
    ("L07.2", {"a": ("compaction", "mremap")}, ("M9",)),
    ("L07.2", {"a": ("compaction", "stack growth")}, ("M10",)),
    ("L07.2", {"a": ("hot-remove", "exit")}, ()),  # right, and not the smallest
    ("L07.2", {"b": ("move_pages", "mremap")}, ("M21",)),
    ("L07.2", {"b": ("compaction", "exit")}, ("M20",)),
    ("L07.2", {"c": ("move_pages", "exit")}, ("M20",)),
    ("L07.2", {"c": ("compaction", "stack growth")}, ("M21",)),
    ("L07.2", {"c": ("move_pages", "MADV_DONTNEED")}, ("M17",)),
    ("L07.2", {"c": ("NUMA fault", "fork")}, ()),
    ("L07.3", {**RIGHT, "rmap_walk_anon": "write"}, ("M27",)),
    ("L07.3", {**RIGHT, "try_to_unmap_anon": "write"}, ("M27",)),
    ("L07.3", {**RIGHT, "unlink_anon_vmas": "read"}, ("M10",)),
    ("L07.3", {**RIGHT, "expand_downwards": "read"}, ("M20b",)),
    ("L07.3", {**RIGHT, "move_ptes": "read", "collapse_huge_page": "read"}, ("M26", "M26")),
    ("L07.3", {**RIGHT, "move_ptes": "alone"}, ()),
    ("L07.4", never_runs, ()),
    ("L07.4", cannot_run, ()),
    ("L07.4", unmaps, ("M9",)),
    ("L07.4", throws_away, ("M17",)),
    ("L07.4", far_away, ("M17",)),
]
