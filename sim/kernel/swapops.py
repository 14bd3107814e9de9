"""Migration entries: PTEs that name a page which is on its way to another frame.  include/linux/swapops.h

The rule that all of migration rests on: while a migration entry exists, the page that it names is locked.
Both functions stop the machine, as the kernel does, when they find it broken.
"""

from __future__ import annotations

from sim.context import Context
from sim.ops import Bug, Kernel
from sim.structs import Page, Pte


def make_migration_entry(k: Context, page: Page, write: bool) -> Kernel:
    """The entry that stands for *page* while it moves; *write*: was the PTE writable?

    Caller holds PG_locked of *page*, and the ptl of the PTE that it goes into.
    include/linux/swapops.h:104 (v3.7)
    """
    locked = yield page.PG_locked
    if locked is None:
        yield Bug("kernel bug", f"a migration entry is made for {page}, which is not locked", (page,))
    return Pte("migration", page, write)


def migration_entry_to_page(k: Context, entry: Pte) -> Kernel:
    """The page that *entry* stands for: the old frame.

    Caller holds the ptl of the PTE that *entry* was read from; whoever moves the page holds its PG_locked.
    include/linux/swapops.h:122 (v3.7)
    """
    page: Page = entry.page
    locked = yield page.PG_locked
    if locked is None:
        yield Bug("kernel bug", f"a migration entry names {page}, which is not locked", (page,))
    return page
