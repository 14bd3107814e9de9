"""Moving a page that the wrong node uses, in two halves.  mm/migrate.c"""

from __future__ import annotations

from errno import EAGAIN

from sim.context import Context
from sim.kernel.migrate import MIGRATE_ASYNC
from sim.kernel.vmscan import isolate_lru_page
from sim.ops import Kernel
from sim.structs import Page


def migrate_misplaced_folio_prepare(k: Context, page: Page) -> Kernel:
    """Isolate *page*; return 0, or -EAGAIN if somebody else has it.

    Caller holds the ptl of a PTE that maps it, so it needs no reference.  mm/migrate.c (v6.12)
    """
    err = yield from isolate_lru_page(k, page)
    return 0 if err == 0 else -EAGAIN


def migrate_misplaced_folio(k: Context, page: Page, node: int, passes: int = 10) -> Kernel:
    """Try to move one isolated page to *node*, without waiting for anybody; return 1 if it went there, else 0.

    A list of one: no batch ever forms.  mm/migrate.c (v6.12)
    """
    failed = yield from k.migrate_pages((page,), node, passes, MIGRATE_ASYNC)
    return 0 if failed else 1
