"""NUMA hints as Linux 3.8 has them: who marks pages, which are marked, and how many move in a while.

Every variant has 3.8's fault here (:mod:`sim.kernel.v38.memory`), whatever its own; what differs is what moves a page.
The shared page is page 509, those of one process are 510 and 511: the end of a page table, so that a scan of the 512
pages of a heap has no others to look at.
"""

from __future__ import annotations

from functools import partial

from sim.context import Context
from sim.kernel.v38 import memory
from sim.kernel.v38.fair import task_numa_work
from sim.ops import Kernel
from sim.setup import Builder
from sim.structs import PTRS_PER_PTE, Mm, Pgdat, Vma
from sim.user import user_read, user_write
from sim.worlds import Param, world

SHARED, FIRST, SECOND = 509, 510, 511
_FAULT = {"numacore.memory.do_numa_page": memory.do_numa_page}


def reader(k: Context, *, scans: bool) -> Kernel:
    """A thread that reads the shared page and writes page 510; before that it looks whether it is to mark pages."""
    if scans:
        yield from task_numa_work(k)
    yield from user_read(k, SHARED)
    yield from user_write(k, FIRST)


def _family(b: Builder, kind: str) -> tuple[Mm, Vma]:
    """A process with a heap of 2 MiB, whose shared page lies on node 0; the child that shares it has no thread."""
    mm = b.mm()
    heap = b.vma(mm, "heap", SHARED, SHARED + PTRS_PER_PTE)
    b.page(heap, SHARED, node=0, kind=kind, written=1)
    b.fork(mm, "C")
    return mm, heap


@world(patch=_FAULT)
def numa_scan() -> Builder:
    """Two threads of node 1 come by to mark pages of node 0 for NUMA hints; then one of them uses these pages.

    Each marks the whole heap, only one of them, or neither, as the time and who is first will have it
    (kernel/sched/fair.c:841 of 3.8); a second scan may go on while the hints of the first are met.  The page that a
    child shares is not marked (mm/mprotect.c:73 of 3.8), and stays on node 0; the other moves at the first fault.
    """
    b = Builder()
    mm, heap = _family(b, "present")
    b.page(heap, FIRST, node=0, written=1)
    cpu0, cpu1 = b.cpu(0, 1), b.cpu(1, 1)
    b.task("first", cpu0, mm, partial(reader, scans=True), "marks pages, reads the shared page, writes page 510")
    b.task("second", cpu1, mm, task_numa_work, "marks pages")
    return b


@world(
    patch=_FAULT,
    ratelimit_pages=Param(0, 0, 32768, "when so many pages have moved one more may; 32,768 in the kernel, 128 MiB"),
)
def numa_rate_limit(ratelimit_pages: int) -> Builder:
    """Two threads of node 1 meet the NUMA hints of pages on node 0, and one page may move in each window of time.

    Whether the window of 100 ms is over when a thread asks is anybody's guess (mm/migrate.c:1534 of 3.8): one of pages
    510 and 511 moves, or both.  The page that a child shares has a hint too, from before the fork: it is made usable
    again and does not move (mm/migrate.c:1611 of 3.8), nor is it counted.
    """
    b = Builder()
    mm, heap = _family(b, "prot_none")
    for vpn in (FIRST, SECOND):
        b.page(heap, vpn, node=0, kind="prot_none", written=1)
    b.memory[Pgdat("node1").ratelimit_pages] = ratelimit_pages
    cpu0, cpu1 = b.cpu(0, 1), b.cpu(1, 1)
    b.task("first", cpu0, mm, partial(reader, scans=False), "reads the shared page and writes page 510")
    b.task("second", cpu1, mm, partial(user_write, vpn=SECOND), "writes page 511")
    return b
