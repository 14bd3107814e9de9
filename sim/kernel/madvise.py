"""What a process says it will do with its memory: here only that it needs some no longer.  mm/madvise.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.memory import zap_page_range
from sim.kernel.mmap import find_vma
from sim.ops import Kernel, Point
from sim.structs import Vma
from sim.sync import down_read, up_read


def sys_madvise(k: Context, start: int, length: int) -> Kernel:
    """``madvise(MADV_DONTNEED)``: drop the pages from *start* on; a later access gets zeroed ones.

    Takes mmap_sem only to read: faults and a migration of the same process go on beside it.  Other advice changes
    VMAs and is left out; so is what lies between two VMAs.  mm/madvise.c:366 (v3.7)
    """
    yield Point("syscall")
    mm = k.mm
    yield from down_read(mm.mmap_sem)
    end = start + length
    while start < end:
        vma = yield from find_vma(k, mm, start)
        if vma is None:
            break
        vm_end = yield vma.vm_end
        yield from madvise_dontneed(k, vma, start, min(end, vm_end))
        start = vm_end
    yield from up_read(mm.mmap_sem)


def madvise_dontneed(k: Context, vma: Vma, start: int, end: int) -> Kernel:
    """Unmap and free the pages of [*start*, *end*).  Caller holds mmap_sem to read.  mm/madvise.c:180 (v3.7)"""
    yield from zap_page_range(k, vma, start, end - start)
