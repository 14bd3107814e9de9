"""Linux 3.7 with one guard taken away (lesson 5): what goes wrong then shows what the guard was for."""

from __future__ import annotations

from collections.abc import Mapping
from errno import EAGAIN
from functools import cache
from typing import Final, NamedTuple

from course.verdicts import Judgement, judge
from sim import Variant, variant
from sim.context import Context
from sim.kernel.migrate import move_to_new_page, remove_migration_ptes
from sim.kernel.page_alloc import alloc_pages_node
from sim.kernel.pgtable import pte_none
from sim.kernel.rmap import TTU_MIGRATION, anon_vma_prepare, page_add_new_anon_rmap, page_mapped, try_to_unmap
from sim.kernel.swap import put_page
from sim.ops import Field, Kernel
from sim.structs import Page, PageTable, Pte, Vma
from sim.sync import lock_page, unlock_page


def unmap_and_move_unpinned(k: Context, page: Page, newpage: Page, force: bool, mode: str) -> Kernel:
    """Move a page without a reference to its anon_vma.  The seam is mm/migrate.c:681 (v3.7)."""
    rc = -EAGAIN
    yield from lock_page(page)
    yield from try_to_unmap(k, page, TTU_MIGRATION)
    mapped = yield from page_mapped(k, page)
    if not mapped:
        rc = yield from move_to_new_page(k, newpage, page, True)
    if rc != 0:
        yield from remove_migration_ptes(k, page, page)
    yield from unlock_page(page)
    return rc


def fault_without_ptl(k: Context, vma: Vma, address: int, table: PageTable, pte: Field) -> Kernel:
    """Map a new frame where there is no PTE, without the ptl.  The seam is mm/memory.c:3134 (v3.7)."""
    yield from anon_vma_prepare(k, vma)
    page = yield from alloc_pages_node(k, k.node)
    entry = yield pte
    if pte_none(entry):
        yield from page_add_new_anon_rmap(k, page, vma, address)
        yield pte.set(Pte("present", page, True, True))
    else:
        yield from put_page(k, page)


class Cut(NamedTuple):
    """A guard that is gone.

    Attributes:
        guard: which; what: what is different from Linux 3.7.
        world: where it is seen.
    """

    guard: str
    what: str
    world: str
    variant: Variant


_V37: Final = variant("mutex_v37")
_UNLOCKED: Final = variant("rfc_remap_unlocked")

#: By letter; the order tells nothing.
CUTS: Final[Mapping[str, Cut]] = {
    "A": Cut(
        "anon_vma lock",
        "the walk that puts PTEs back takes no anon_vma lock; a child calls mprotect",
        "relative_adjusts",
        _UNLOCKED,
    ),
    "B": Cut(
        "reference",
        "the mover takes no reference to the anon_vma; the last two that use it exit",
        "root_freed_first~fixed",
        _V37.changed("no_reference", __unmap_and_move=unmap_and_move_unpinned),
    ),
    "C": Cut(
        "ptl",
        "a fault that maps a new frame takes no ptl; a page of its thread moves",
        "one_page",
        _V37.changed("no_ptl", do_anonymous_page=fault_without_ptl),
    ),
    "D": Cut(
        "anon_vma lock",
        "the walk that puts PTEs back takes no anon_vma lock; a child exits",
        "relative_exits",
        _UNLOCKED,
    ),
}


@cache
def judged() -> dict[str, Judgement]:
    """What the checker says of each: all four go wrong."""
    return {letter: judge(it.variant, it.world) for letter, it in CUTS.items()}
