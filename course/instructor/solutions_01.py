"""Lesson 1: the solutions, and wrong answers with the misconception that the checks name."""

from __future__ import annotations

from typing import Any

from sim.context import Context
from sim.kernel.tlb import flush_tlb_page
from sim.ops import Field, Invlpg, Kernel
from sim.structs import Vma


def ptep_clear_flush(k: Context, vma: Vma, address: int, pte: Field) -> Kernel:
    """First clear, so that no CPU can fetch the PTE again; then have every CPU drop its copy."""
    old = yield pte.xchg(None)
    yield from flush_tlb_page(k, vma, address)
    return old


def no_flush(k: Context, vma: Vma, address: int, pte: Field) -> Kernel:
    """The PTE is gone, so what could go wrong?"""
    old = yield pte.xchg(None)
    return old


def own_cpu_only(k: Context, vma: Vma, address: int, pte: Field) -> Kernel:
    """One flush, of the TLB at hand."""
    old = yield pte.xchg(None)
    yield Invlpg(k.mm, address)
    return old


def flush_first(k: Context, vma: Vma, address: int, pte: Field) -> Kernel:
    """Flush, then clear: in between a CPU fetches the PTE again."""
    yield from flush_tlb_page(k, vma, address)
    old = yield pte.xchg(None)
    return old


#: A right answer to each exercise.
GOOD: dict[str, Any] = {
    "L01.2": ["lock", "unmap", "flush", "copy", "remap", "unlock", "put"],
    "L01.3": {"PTE": "ptl", "mapcount": "ptl", "interval tree": "anon_vma lock", "user data": "none"},
    "L01.4": ptep_clear_flush,
}

#: Wrong answers: the exercise, the answer, the misconceptions named.
BAD: list[tuple[str, Any, tuple[str, ...]]] = [
    ("L01.2", ["lock", "copy", "unmap", "flush", "remap", "unlock", "put"], ("M18",)),
    ("L01.2", ["lock", "unmap", "copy", "flush", "remap", "unlock", "put"], ("M14",)),
    ("L01.2", ["lock", "flush", "unmap", "copy", "remap", "unlock", "put"], ("M14",)),
    ("L01.2", ["lock", "unmap", "flush", "copy", "unlock", "remap", "put"], ("M17",)),
    ("L01.2", ["lock", "unmap", "flush", "remap", "copy", "unlock", "put"], ("M1",)),
    ("L01.2", ["lock", "unmap", "flush", "copy", "remap", "put", "unlock"], ("M10",)),
    ("L01.2", ["unmap", "lock", "flush", "copy", "remap", "unlock", "put"], ("M4",)),
    ("L01.2", ["lock", "unmap", "flush", "copy", "remap", "unlock", "unlock"], ()),
    ("L01.3", {"PTE": "ptl", "mapcount": "page lock", "interval tree": "anon_vma lock", "user data": "none"}, ("M4",)),
    ("L01.3", {"PTE": "ptl", "mapcount": "ptl", "interval tree": "mmap_sem", "user data": "none"}, ("M5",)),
    ("L01.3", {"PTE": "ptl", "mapcount": "ptl", "interval tree": "anon_vma lock", "user data": "ptl"}, ("M4",)),
    ("L01.3", {"PTE": "none"}, ("M4",)),
    ("L01.4", no_flush, ("M14",)),
    ("L01.4", own_cpu_only, ("M15",)),
    ("L01.4", flush_first, ("M1",)),
]
