"""The public autonuma benchmark (github.com/pholasek/autonuma-benchmark, 2012): who fills which memory, how often.

Every thread fills its memory with zeros, round after round.  ``numa02``: one process, one region, a slice for each
thread; its SMT form has half the threads with twice the slice (``threads=16,ranges=2`` instead of ``threads=32``).
``numa01``: two processes that fork apart before they allocate, so that nothing is shared between them, not even an
anon_vma; in each every thread fills all of the process's region.  With THREAD_ALLOC a thread fills its own slice of it.

Left out: the scheduler's part, which brings threads of one process together; threads stay on their CPUs.  Which node a
page belongs on is where the CPU is that faults on it, as :mod:`sim.kernel.numacore` has it.
"""

from __future__ import annotations

from functools import partial

from sim.context import Context
from sim.errors import BadParameter
from sim.kernel.mempolicy import change_prot_numa
from sim.ops import Kernel
from sim.setup import Builder
from sim.structs import PTRS_PER_PTE, Mm, Vma
from sim.sync import down_read, up_read
from sim.user import numa02_thread
from sim.worlds import Param, world

NODES = Param(4, 1, 8, "NUMA nodes; the threads are spread over them evenly")
RANGES = Param(1, 1, 512, "2 MiB ranges in which the pages of each slice lie, so many pages in each of them")
ROUNDS = Param(1, 1, 1000, "how often each thread fills its memory; the benchmark: 50 (numa01), 1000, 800 (numa02)")
SCAN = Param(0, 0, 1 << 18, "pages that are marked for NUMA hints after each round; 0: all are, from the start")
PROCESSES = Param(2, 1, 2, "processes; the benchmark has two")


def task_numa_work(k: Context, vma: Vma, vpns: tuple[int, ...]) -> Kernel:
    """Mark the pages *vpns* of *vma*, in ascending order, run by run.

    In the kernel whichever thread comes by when the scan period is over marks the next part of the address space, one
    at a time for each mm (kernel/sched/fair.c:841, v3.8); here it is the first thread, after each of its rounds, and
    holes in a region that was scaled down do not count.
    """
    yield from down_read(k.mm.mmap_sem)
    while vpns:
        first, length = vpns[0], _run_length(vpns)
        yield from change_prot_numa(k, vma, first, first + length)
        vpns = vpns[length:]
    yield from up_read(k.mm.mmap_sem)


def _run_length(vpns: tuple[int, ...]) -> int:
    """How many of *vpns* follow each other without a hole, from the first on."""
    return next((at for at, vpn in enumerate(vpns) if vpn != vpns[0] + at), len(vpns))


def thread(k: Context, *, vpns: tuple[int, ...], rounds: int, vma: Vma, marks: tuple[tuple[int, ...], ...]) -> Kernel:
    """Fill the pages *vpns* again and again, and after each round but the last mark the next of *marks*, in turn."""
    while rounds:
        yield from numa02_thread(k, vpns)
        rounds -= 1
        if marks and rounds:
            yield from task_numa_work(k, vma, marks[0])
            marks = (*marks[1:], marks[0])


@world(
    check={"threads": 2, "pages": 1},
    threads=Param(2, 1, 64, "workers, each on a CPU of its own"),
    pages=Param(2, 1, 512, "pages of each worker"),
)
def numa_only(threads: int, pages: int) -> Builder:
    """Workers fault on their own misplaced pages and move them to their own node; nothing else happens.

    Each worker's pages lie in a 2 MiB range of their own and are marked PROT_NONE (numa/core).
    """
    return _numa02(threads, pages, 2)


@world(
    check={"threads": 2, "pages": 1, "nodes": 2},
    threads=Param(32, 1, 128, "worker threads, each on a CPU of its own"),
    pages=Param(512, 1, 512, "4 KiB pages of each thread's slice; 512 are 2 MiB"),
    nodes=NODES,
    ranges=RANGES,
    rounds=ROUNDS,
    scan=SCAN,
    huge=Param(0, 0, 1, "1: the pages that a slice has in a range are one huge page"),
)
def numa02(threads: int, pages: int, nodes: int, ranges: int, rounds: int, scan: int, huge: int) -> Builder:
    """The numa02 benchmark with 4 KiB pages: each thread writes its slice of one region that lies on the wrong node.

    One process, one VMA, so one anon_vma and one lock.  Every slice was first touched on the node after its
    thread's and is marked PROT_NONE, as numa/core's scanner leaves it (with ``scan`` the marks come bit by bit).  One
    round of the benchmark's many unless told otherwise; 1 GiB is ``threads=32,ranges=16``.  With ``huge=1``
    there are huge pages, each moved whole by one fault, as 3.8 moves them (mm/migrate.c:1647): no walk, no flush.
    """
    if huge and pages < 2:
        raise BadParameter(f"pages={pages} is not allowed in numa02 with huge=1: a huge page has at least 2")
    return _numa02(threads, pages, nodes, ranges, rounds, scan, huge)


def _numa02(
    threads: int, pages: int, nodes: int, ranges: int = 1, rounds: int = 1, scan: int = 0, huge: int = 0
) -> Builder:
    """One process; its threads are spread over the nodes, and each slice lies on the node after its thread's."""
    _at_most_1_gib(threads * ranges * pages)
    b = Builder(nodes=nodes)
    slices = _slices(threads, pages, ranges, aligned=bool(huge))
    kind = "present" if scan else "prot_none"
    mm = b.mm()
    heap = b.vma(mm, "heap", slices[0][0], threads * ranges * PTRS_PER_PTE if huge else slices[-1][-1] + 1)
    for number, vpns in enumerate(slices):
        node = number * nodes // threads
        for vpn in vpns:
            if not huge:
                b.page(heap, vpn, node=(node + 1) % nodes, kind=kind, written=1)
            elif vpn % PTRS_PER_PTE == 0:
                b.huge_page(heap, vpn, pages, node=(node + 1) % nodes, kind=kind, written=1)
        marks = () if number else _marks(slices, scan)
        _add_thread(b, mm, heap, number, node, vpns, rounds, marks)
    return b


def _marks(slices: list[tuple[int, ...]], scan: int) -> tuple[tuple[int, ...], ...]:
    """The pages of a region, *scan* at a time; nothing if that is 0."""
    vpns = sorted({vpn for its in slices for vpn in its})
    return tuple(tuple(vpns[at : at + scan]) for at in range(0, len(vpns), scan)) if scan else ()


def _slices(threads: int, pages: int, ranges: int, *, aligned: bool = False) -> list[tuple[int, ...]]:
    """The pages of each thread: *pages* in each of *ranges* ranges of 2 MiB, which it has for itself.

    They stand at the start of each range; but of the first range, unless *aligned*, at its end, so that with two
    threads the VMA has no more pages than are used.
    """
    starts = [number * PTRS_PER_PTE for number in range(threads * ranges)]
    if len(starts) > 1 and not aligned:
        starts[0] = PTRS_PER_PTE - pages
    chunks = [range(start, start + pages) for start in starts]
    return [tuple(vpn for it in chunks[at * ranges : (at + 1) * ranges] for vpn in it) for at in range(threads)]


def _add_thread(
    b: Builder,
    mm: Mm,
    heap: Vma,
    number: int,
    node: int,
    vpns: tuple[int, ...],
    rounds: int,
    marks: tuple[tuple[int, ...], ...],
) -> None:
    """Thread *number* of all, on a CPU of its own on *node*."""
    body = partial(numa02_thread, vpns=vpns)
    if rounds > 1:
        body = partial(thread, vpns=vpns, rounds=rounds, vma=heap, marks=marks)
    often = f", {rounds} times" if rounds > 1 else ""
    title = f"writes its {_pages(vpns)} on node {node}{often}"
    b.task(f"worker-{number + 1}", b.cpu(number, node), mm, body, title)


def _pages(vpns: tuple[int, ...]) -> str:
    return f"page {vpns[0]}" if len(vpns) == 1 else f"{len(vpns)} pages"


def _at_most_1_gib(pages: int) -> None:
    if pages > 1 << 18:
        raise BadParameter(f"{pages:,} pages are more than 1 GiB: take fewer threads, ranges or pages")


# --- numa01 ----------------------------------------------------------------------------------------------


@world(
    check={"threads": 2, "pages": 1, "nodes": 2},
    threads=Param(32, 1, 128, "worker threads of all processes, each on a CPU of its own"),
    pages=Param(512, 1, 1 << 18, "4 KiB pages of each process's region; the benchmark has 3 GiB", PTRS_PER_PTE),
    nodes=NODES,
    rounds=ROUNDS,
    scan=SCAN,
    processes=PROCESSES,
)
def numa01(threads: int, pages: int, nodes: int, rounds: int, scan: int, processes: int) -> Builder:
    """The numa01 benchmark: two processes; in each every thread fills all of one region that lies on every node.

    The region of each process was touched first by whoever came first, so its pages lie on the nodes in turn.  Its
    threads are on half of the nodes: where they are on two, a page has no node that is right for all of them.  The
    processes share no lock; in each there is one VMA, one anon_vma.  The checker is given one thread a process: with
    ``processes=1`` and two that want one page it is safe too, in 222,787 states under mutex_v37.
    """
    _at_most_1_gib(processes * pages)
    shared = tuple(range(pages))
    return _numa01([shared] * (threads // processes or 1), nodes, rounds, scan, processes)


@world(
    check={"threads": 2, "pages": 1, "nodes": 2},
    threads=Param(32, 1, 128, "worker threads of all processes, each on a CPU of its own"),
    pages=Param(512, 1, 512, "4 KiB pages of each thread's slice in each range; the benchmark has 3 GiB by threads"),
    nodes=NODES,
    ranges=RANGES,
    rounds=ROUNDS,
    scan=SCAN,
    processes=PROCESSES,
)
def numa01_thread_alloc(
    threads: int, pages: int, nodes: int, ranges: int, rounds: int, scan: int, processes: int
) -> Builder:
    """numa01 with THREAD_ALLOC: two processes; in each every thread fills its own slice of one region.

    All threads of a process touch all of its region first, so its pages lie on the nodes in turn; each has one right
    node from then on.  The slices are parts of one allocation: one VMA, one anon_vma, one lock for each process.
    """
    _at_most_1_gib(threads * ranges * pages)
    return _numa01(_slices(threads // processes or 1, pages, ranges), nodes, rounds, scan, processes)


def _numa01(slices: list[tuple[int, ...]], nodes: int, rounds: int, scan: int, processes: int) -> Builder:
    """So many processes, each with a region over *slices*, one of these for each of its threads.

    The second's region begins so many page tables further on, so that a page's number says whose it is.
    """
    b = Builder(nodes=nodes)
    apart = -(-(slices[-1][-1] + 1) // PTRS_PER_PTE) * PTRS_PER_PTE
    kind = "present" if scan else "prot_none"
    threads = processes * len(slices)
    number = 0
    for process, name in enumerate("PQ"[:processes]):
        mm = b.mm(name)
        its = [tuple(vpn + process * apart for vpn in vpns) for vpns in slices]
        heap = b.vma(mm, "heap" if name == "P" else f"heap_{name}", its[0][0], its[-1][-1] + 1)
        for at, vpn in enumerate(sorted({vpn for vpns in its for vpn in vpns})):
            b.page(heap, vpn, node=(at + 1) % nodes, kind=kind, written=1)
        for place, vpns in enumerate(its):
            marks = () if place else _marks(its, scan)
            _add_thread(b, mm, heap, number, number * nodes // threads, vpns, rounds, marks)
            number += 1
    return b
