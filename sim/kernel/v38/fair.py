"""Who marks pages for NUMA hints, and when.  kernel/sched/fair.c

Each thread of a process comes by here now and then, before it goes back to user code, and one of them marks the next
part of the address space.  Left out: that a process is let alone until it has run on a second node, and that a thread
whose pages lie well comes by less often.  Where the kernel looks at its clock stands a choice.
"""

from __future__ import annotations

from typing import Final

from sim.context import Context
from sim.kernel.mempolicy import change_prot_numa
from sim.kernel.mmap import find_vma, neighbours
from sim.kernel.v38.migrate import migrate_ratelimited
from sim.ops import Choose, Kernel
from sim.structs import PTRS_PER_PTE, Mm, Vma
from sim.sync import down_read, up_read

#: How many pages one scan may mark: 256 MiB.  kernel/sched/fair.c:789 (v3.8)
SCAN_SIZE: Final = 256 << 8


def task_numa_work(k: Context) -> Kernel:
    """Mark the next pages of this process, if it is time to, and if pages may move to this node.

    Of several threads that come by at once the one whose exchange succeeds does it.  Takes mmap_sem to read: faults on
    what is marked already go on meanwhile.  A VMA of less than 2 MiB is passed over.  After the last VMA it starts from
    the first again, next time.  kernel/sched/fair.c:841 (v3.8)
    """
    mm = k.mm
    mine = yield from _claim(k, mm)
    if not mine:
        return
    rate_limited = yield from migrate_ratelimited(k, k.node)
    if rate_limited:
        return
    start = yield mm.numa_scan_offset
    yield from down_read(mm.mmap_sem)
    vma = yield from find_vma(k, mm, start)
    if vma is None:
        yield from reset_ptenuma_scan(k)
        start = 0
        vma = yield from find_vma(k, mm, start)
    pages = SCAN_SIZE
    while vma is not None:
        start, pages = yield from _scan(k, vma, start, pages)
        if pages <= 0:
            break
        _, vma = yield from neighbours(k, vma)
    if vma is not None:
        yield mm.numa_scan_offset.set(start)
    else:
        yield from reset_ptenuma_scan(k)
    yield from up_read(mm.mmap_sem)


def _claim(k: Context, mm: Mm) -> Kernel:
    """Whether it is time for a scan, and nobody else has begun it.  (Part of task_numa_work.)

    The kernel exchanges the time of the next scan for a later one; here their number stands there.
    """
    number = yield mm.numa_next_scan
    early = yield Choose(2, f"whether the next scan of {mm} is still to come")
    if early:
        return False
    mine = yield mm.numa_next_scan.cmpxchg(number, number + 1)
    return mine


def _scan(k: Context, vma: Vma, start: int, pages: int) -> Kernel:
    """Mark up to *pages* pages of *vma* from *start* on; return where the next scan starts, and how many are left.

    As far as whole huge pages go, more than that are looked at.  Caller holds mmap_sem.  (Part of task_numa_work.)
    """
    vm_start = yield vma.vm_start
    vm_end = yield vma.vm_end
    if vm_end - vm_start < PTRS_PER_PTE:
        return start, pages
    start = max(start, vm_start)
    while start < vm_end and pages > 0:
        end = min(-(-(start + pages) // PTRS_PER_PTE) * PTRS_PER_PTE, vm_end)
        marked = yield from change_prot_numa(k, vma, start, end)
        pages -= marked
        start = end
    return start, pages


def reset_ptenuma_scan(k: Context) -> Kernel:
    """The next scan starts from the first address.  kernel/sched/fair.c:831 (v3.8)"""
    yield k.mm.numa_scan_offset.set(0)
