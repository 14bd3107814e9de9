"""Lesson 2: the solutions, and wrong answers with the misconception that the checks name."""

from __future__ import annotations

from typing import Any

from sim.context import Context
from sim.kernel.interval_tree import anon_vma_interval_tree_iter_first, anon_vma_interval_tree_iter_next
from sim.kernel.rmap import page_referenced_one, vma_address
from sim.ops import Kernel
from sim.structs import Page


def ptes_of(k: Context, page: Page) -> Kernel:
    """From the page to its anon_vma, from there to each VMA, and then look."""
    found = []
    anon_vma = yield page.mapping
    index = yield page.index
    avc = yield from anon_vma_interval_tree_iter_first(k, anon_vma, index, index)
    while avc is not None:
        vma = yield avc.vma
        address = yield from vma_address(k, index, vma)
        mapped = yield from page_referenced_one(k, page, vma, address)
        if mapped:
            mm = yield vma.vm_mm
            found.append((mm, address))
        avc = yield from anon_vma_interval_tree_iter_next(k, avc, index, index)
    return found


def the_first(k: Context, page: Page) -> Kernel:
    """The page's PTE: there it is."""
    anon_vma = yield page.mapping
    index = yield page.index
    avc = yield from anon_vma_interval_tree_iter_first(k, anon_vma, index, index)
    while avc is not None:
        vma = yield avc.vma
        address = yield from vma_address(k, index, vma)
        mapped = yield from page_referenced_one(k, page, vma, address)
        if mapped:
            mm = yield vma.vm_mm
            return [(mm, address)]
        avc = yield from anon_vma_interval_tree_iter_next(k, avc, index, index)
    return []


def whoever_is_linked(k: Context, page: Page) -> Kernel:
    """It is in the tree, so it maps the page."""
    found = []
    anon_vma = yield page.mapping
    index = yield page.index
    avc = yield from anon_vma_interval_tree_iter_first(k, anon_vma, index, index)
    while avc is not None:
        vma = yield avc.vma
        mm = yield vma.vm_mm
        address = yield from vma_address(k, index, vma)
        found.append((mm, address))
        avc = yield from anon_vma_interval_tree_iter_next(k, avc, index, index)
    return found


def at_its_index(k: Context, page: Page) -> Kernel:
    """A page's index is its address."""
    found = []
    anon_vma = yield page.mapping
    index = yield page.index
    avc = yield from anon_vma_interval_tree_iter_first(k, anon_vma, index, index)
    while avc is not None:
        vma = yield avc.vma
        address = yield from vma_address(k, index, vma)
        mapped = yield from page_referenced_one(k, page, vma, address)
        if mapped:
            mm = yield vma.vm_mm
            found.append((mm, index))
        avc = yield from anon_vma_interval_tree_iter_next(k, avc, index, index)
    return found


def a_number(k: Context, page: Page) -> Kernel:
    """How many there are, which was not the question."""
    count = yield page._mapcount
    return count + 1


def a_list_of_frames(k: Context, page: Page) -> Kernel:
    """A field that there is not."""
    found = yield page.ptes
    return found


#: A right answer to each exercise.
GOOD: dict[str, Any] = {
    "L02.2": {
        "f0": (["vP", "vC", "vG"], ["vP", "vC"]),
        "f1": (["vG"], ["vG"]),
        "f2": (["vP", "vC", "vG"], ["vP"]),
        "f3": (["vC", "vG"], ["vC"]),
    },
    "L02.3": {"interval tree": "anon_vma lock", "list of VMAs": "mmap_sem", "PTE": "ptl", "refcount": "none"},
    "L02.4": [("touch", "P"), ("fork", "P", "C"), ("fork", "P", "D"), ("fork", "P", "E"), ("touch", "P", 1)],
    "L02.5": ptes_of,
}

#: Wrong answers: the exercise, the answer, the misconceptions named.
BAD: list[tuple[str, Any, tuple[str, ...]]] = [
    ("L02.2", {"f1": (["vP", "vC", "vG"], ["vG"])}, ("M12",)),
    ("L02.2", {"f2": (["vP"], ["vP"])}, ("M13",)),
    ("L02.2", {"f3": (["vC", "vG"], ["vC", "vG"])}, ("M29",)),
    ("L02.2", {"f0": (["vP", "vC", "vG"], ["vP"])}, ("M28",)),
    ("L02.2", {"f9": (["vP"], ["vP"])}, ()),
    ("L02.2", {"f1": ("vG", "vG")}, ()),
    ("L02.3", {"interval tree": "mmap_sem"}, ("M20",)),
    ("L02.3", {"PTE": "anon_vma lock"}, ("M4",)),
    ("L02.3", {"list of VMAs": "none"}, ("M4",)),
    ("L02.3", {"refcount": "anon_vma lock"}, ("M10",)),
    ("L02.3", {"PTE": "page lock"}, ()),
    ("L02.4", [("touch", "P"), ("fork", "P", "C"), ("fork", "P", "D"), ("fork", "P", "E")], ("M28",)),
    (
        "L02.4",
        [("fork", "P", "C"), ("fork", "P", "D"), ("fork", "P", "E"), ("touch", "C"), ("touch", "D")],
        ("M12", "M12"),
    ),
    ("L02.4", [("touch", "P"), ("fork", "P", "C"), ("touch", "P", 1), ("exit", "C")], ()),
    ("L02.4", [("touch", "Q")], ()),
    ("L02.4", [("fork", "P", "C")], ()),
    ("L02.5", the_first, ("M13",)),
    ("L02.5", whoever_is_linked, ("M29",)),
    ("L02.5", at_its_index, ("M12",)),
    ("L02.5", a_number, ()),
    ("L02.5", a_list_of_frames, ()),
]
