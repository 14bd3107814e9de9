"""Moving a page in an order of the reader's choosing, so that a wrong order can be run and watched.

The seven parts are the kernel's, taken apart where the kernel keeps two together: here clearing the PTE and flushing
it are parts of their own.  Only pages that nobody has pinned are moved, and each is tried once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sim import Variant, variant
from sim.context import Context
from sim.kernel.migrate import migrate_page_copy, new_page_node, remove_migration_ptes
from sim.kernel.rmap import TTU_MIGRATION, page_get_anon_vma, put_anon_vma, try_to_unmap
from sim.kernel.tlb import flush_tlb_page
from sim.kernel.vmscan import putback_lru_page
from sim.ops import Field, Kernel
from sim.structs import Page, Vma
from sim.sync import lock_page, unlock_page

#: The parts, each with what it does, in the order of the alphabet.
PARTS: Final[Mapping[str, str]] = {
    "copy": "copy the 4 KiB to the new frame",
    "flush": "have every CPU drop its TLB entry, and wait until all have",
    "lock": "lock the old page",
    "put": "drop the reference to the old frame, which frees it",
    "remap": "replace the migration entries by PTEs of the new frame",
    "unlock": "unlock the old page, which wakes whoever waits for it",
    "unmap": "replace the PTEs by migration entries",
}

#: The kernel's order.  Others are right too if they differ in nothing that another CPU can see.
KERNEL_ORDER: Final = ("lock", "unmap", "flush", "copy", "remap", "unlock", "put")


def clear_without_flush(k: Context, vma: Vma, address: int, pte: Field) -> Kernel:
    """Clear a PTE and leave the flush to somebody else.  The seam is mm/pgtable-generic.c:86 (v3.7)."""
    old = yield pte.xchg(None)
    return old


def _copy(k: Context, page: Page, newpage: Page) -> Kernel:
    yield from migrate_page_copy(k, None, newpage, page)


def _flush(k: Context, page: Page, newpage: Page) -> Kernel:
    vmas = yield k.mm.mmap
    address = yield page.index
    yield from flush_tlb_page(k, vmas[0], address)


def _lock(k: Context, page: Page, newpage: Page) -> Kernel:
    yield from lock_page(page)


def _put(k: Context, page: Page, newpage: Page) -> Kernel:
    yield from putback_lru_page(k, page)


def _remap(k: Context, page: Page, newpage: Page) -> Kernel:
    yield from remove_migration_ptes(k, page, newpage)


def _unlock(k: Context, page: Page, newpage: Page) -> Kernel:
    yield from unlock_page(page)


def _unmap(k: Context, page: Page, newpage: Page) -> Kernel:
    yield from try_to_unmap(k, page, TTU_MIGRATION)


DO: Final[Mapping[str, Callable[[Context, Page, Page], Kernel]]] = {
    "copy": _copy,
    "flush": _flush,
    "lock": _lock,
    "put": _put,
    "remap": _remap,
    "unlock": _unlock,
    "unmap": _unmap,
}


def in_order(order: Sequence[str]) -> Variant:
    """Linux 3.7, but pages are moved by doing the seven parts in *order*."""
    parts = tuple(order)

    def migrate_pages(k: Context, pages: tuple[Page, ...], node: int, *_: Any) -> Kernel:
        """Move each page, part by part."""
        while pages:
            page, pages = pages[0], pages[1:]
            newpage = yield from new_page_node(k, page, node)
            anon_vma = yield from page_get_anon_vma(k, page)
            index = yield page.index
            yield newpage.index.set(index)
            yield newpage.mapping.set(anon_vma)
            todo = parts
            while todo:
                part, todo = todo[0], todo[1:]
                yield from DO[part](k, page, newpage)
            yield from put_anon_vma(k, anon_vma)
            yield from putback_lru_page(k, newpage)
        return 0

    return variant("mutex_v37").changed(
        "my_order", "the seven parts in my order", migrate_pages=migrate_pages, ptep_clear_flush=clear_without_flush
    )
