"""A stack grows alone.  arch/x86/mm/fault.c, and lock_mm_and_find_vma in mm/memory.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.mmap import expand_stack
from sim.ops import Kernel
from sim.structs import Mm, Vma
from sim.sync import down_read, down_write, up_read, up_write


def _grow(k: Context, vma: Vma, address: int) -> Kernel:
    """Let the stack grow with mmap_sem held to write, and then hold it to read again.

    In between it is free for a moment, as if the kernel's attempt to upgrade it had failed; nobody unmaps a stack here,
    so the VMA is not looked up again.  (lock_mm_and_find_vma, mm/memory.c; since 6.5, and 6.1.37.)
    """
    mm: Mm = k.mm
    yield from up_read(mm.mmap_sem)
    yield from down_write(mm.mmap_sem)
    yield from expand_stack(k, vma, address)
    yield from up_write(mm.mmap_sem)
    yield from down_read(mm.mmap_sem)
