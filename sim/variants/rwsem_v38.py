"""Linux 3.8: anon_vma->rwsem; walkers share, whoever changes the tree is alone"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.v38.huge_memory import split_huge_page
from sim.kernel.v38.pgtable_generic import ptep_clear_flush
from sim.ops import Kernel
from sim.structs import AnonVma
from sim.sync import down_read, down_read_trylock, down_write, up_read, up_write

__all__ = ["ptep_clear_flush", "split_huge_page"]

BASE = "mutex_v37"

VERDICTS = {
    "numa_mark_window": "unsafe",
}


def anon_vma_lock_write(k: Context, anon_vma: AnonVma) -> Kernel:
    """For whoever changes the tree.  include/linux/rmap.h:121 (v3.8)"""
    root = yield anon_vma.root
    yield from down_write(root.rwsem)


def anon_vma_unlock_write(k: Context, anon_vma: AnonVma) -> Kernel:
    """Give it back.  include/linux/rmap.h:126 (v3.8)"""
    root = yield anon_vma.root
    yield from up_write(root.rwsem)


def anon_vma_lock_read(k: Context, anon_vma: AnonVma) -> Kernel:
    """For whoever walks the tree.  include/linux/rmap.h:131 (v3.8)"""
    root = yield anon_vma.root
    yield from down_read(root.rwsem)


def anon_vma_unlock_read(k: Context, anon_vma: AnonVma) -> Kernel:
    """Give it back.  include/linux/rmap.h:136 (v3.8)"""
    root = yield anon_vma.root
    yield from up_read(root.rwsem)


def anon_vma_trylock_read(k: Context, root: AnonVma) -> Kernel:
    """The trylock inside ``page_lock_anon_vma_read``.  mm/rmap.c:460 (v3.8)"""
    ok = yield from down_read_trylock(root.rwsem)
    return ok


def anon_vma_unlock_root(k: Context, root: AnonVma) -> Kernel:
    """Its undoing, should the page no longer be mapped.  mm/rmap.c:467 (v3.8)"""
    yield from up_read(root.rwsem)


rmap_walk_anon_lock = anon_vma_lock_read
rmap_walk_anon_unlock = anon_vma_unlock_read
