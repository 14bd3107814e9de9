"""Lesson 9: the solutions, and wrong answers with the misconception that the checks name."""

from __future__ import annotations

from typing import Any

from sim.context import Context
from sim.kernel.tlb import native_flush_tlb_others
from sim.ops import Invlpg, Kernel
from sim.structs import Vma


def flush_tlb_page(k: Context, vma: Vma, start: int) -> Kernel:
    """This CPU drops the page by itself; the others are asked, and waited for."""
    mm = yield vma.vm_mm
    yield Invlpg(mm, start)
    yield from native_flush_tlb_others(k, mm, start, 0)


def nothing(k: Context, vma: Vma, start: int) -> Kernel:
    """The PTE is gone; who could still use it?"""
    yield from ()


def own_cpu_only(k: Context, vma: Vma, start: int) -> Kernel:
    """One flush, of the TLB at hand."""
    mm = yield vma.vm_mm
    yield Invlpg(mm, start)


def others_only(k: Context, vma: Vma, start: int) -> Kernel:
    """All others have dropped it."""
    mm = yield vma.vm_mm
    yield from native_flush_tlb_others(k, mm, start, 0)


def twice(k: Context, vma: Vma, start: int) -> Kernel:
    """To be on the safe side."""
    yield from flush_tlb_page(k, vma, start)
    yield from flush_tlb_page(k, vma, start)


def names_invlpg(k: Context, vma: Vma, start: int) -> Kernel:
    """A step that is named, and not taken."""
    mm = yield vma.vm_mm
    Invlpg(mm, start)
    yield from native_flush_tlb_others(k, mm, start, 0)


def names_the_others(k: Context, vma: Vma, start: int) -> Kernel:
    """A call that is named, and not made."""
    mm = yield vma.vm_mm
    yield Invlpg(mm, start)
    native_flush_tlb_others(k, mm, start, 0)


def names_the_process(k: Context, vma: Vma, start: int) -> Kernel:
    """A field that is named, and not read."""
    mm: Any = vma.vm_mm
    yield Invlpg(mm, start)
    yield from native_flush_tlb_others(k, mm, start, 0)


#: A right answer to each exercise.
GOOD: dict[str, Any] = {
    "L09.2": {
        "A": "TLB miss",
        "B": "TLB hit",
        "C": "TLB hit",
        "D": "migration wait",
        "E": "TLB miss",
        "F": "fault",
    },
    "L09.3": ["unmap", "flush", "copy", "remap", "free"],
    "L09.4": flush_tlb_page,
}

#: Wrong answers: the exercise, the answer, the misconceptions named.
BAD: list[tuple[str, Any, tuple[str, ...]]] = [
    ("L09.2", {"A": "fault", "C": "fault"}, ("M16", "M14")),
    ("L09.2", {"D": "fault", "E": "fault"}, ("M17", "M16")),
    ("L09.2", {"F": "migration wait"}, ("M17",)),
    ("L09.2", {"C": "TLB miss", "D": "TLB miss"}, ("M14",)),
    ("L09.2", {"B": "fault", "F": "TLB miss"}, ()),
    ("L09.2", {"E": "TLB hit"}, ()),
    ("L09.2", {"E": "page fault"}, ()),
    ("L09.3", ["unmap", "copy", "remap", "free"], ("M14",)),
    ("L09.3", ["unmap", "copy", "flush", "remap", "free"], ("M18",)),
    ("L09.3", ["unmap", "flush dirty", "copy", "remap", "flush", "free"], ("M31",)),
    ("L09.3", ["unmap", "flush dirty", "copy", "remap", "free", "flush"], ("M31",)),
    ("L09.3", ["unmap, flush each", "copy", "remap", "free"], ("M30",)),
    ("L09.3", ["copy", "unmap", "flush", "remap", "free"], ()),
    ("L09.3", ["unmap", "flush all", "copy", "remap", "free"], ()),
    ("L09.4", nothing, ("M14",)),
    ("L09.4", own_cpu_only, ("M15",)),
    ("L09.4", twice, ("M30",)),
    ("L09.4", others_only, ()),
    ("L09.4", names_invlpg, ()),
    ("L09.4", names_the_others, ()),
    ("L09.4", names_the_process, ()),
]
