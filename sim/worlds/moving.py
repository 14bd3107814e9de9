"""One process: a page moves, or many do, while its other threads go on."""

from __future__ import annotations

from functools import partial

from sim.context import Context
from sim.errors import BadParameter
from sim.kernel.migrate import CHUNK, sys_move_pages
from sim.ops import Kernel
from sim.setup import Builder
from sim.structs import PTRS_PER_PTE, Task
from sim.user import busy_writer, spinner, user_read, user_write
from sim.wording import times
from sim.worlds import Param, world

PASSES = Param(10, 1, 10, "how often migrate_pages tries a page; 10 in the kernel, mm/migrate.c:972 (v3.7)")


def mover(k: Context, *, vpns: tuple[int, ...], node: int, passes: int) -> Kernel:
    """A thread that calls move_pages for *vpns* of its own address space."""
    yield from sys_move_pages(k, k.mm, vpns, node, passes)


def _announced(k: Context, *, vpns: tuple[int, ...], node: int, passes: int) -> Kernel:
    yield from mover(k, vpns=vpns, node=node, passes=passes)
    yield k.current.done.set(True)


def _writer(k: Context, *, vpn: int, rounds: int) -> Kernel:
    while rounds:
        yield from user_write(k, vpn)
        yield from user_read(k, vpn)
        rounds -= 1


@world(
    check={"passes": 2},
    rounds=Param(2, 1, 8, "how often the worker writes the page and reads it back"),
    passes=PASSES,
)
def one_page(rounds: int, passes: int) -> Builder:
    """One page moves from node 0 to node 1 while another thread of the process uses it.

    migrator (CPU 0, node 0) calls move_pages for page 0; worker (CPU 1, node 1) writes it and reads it back.
    Left out: the LRU's lock, per-CPU pagevecs, and any other process.
    """
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    heap = b.vma(mm, "heap", 0, 8)
    b.page(heap, 0, node=0, written=1)
    move = partial(mover, vpns=(0,), node=1, passes=passes)
    b.task("migrator", cpu0, mm, move, "moves page 0 to node 1")
    b.task("worker", cpu1, mm, partial(_writer, vpn=0, rounds=rounds), "writes page 0 and reads it back")
    return b


@world(
    check={"passes": 2},
    pages=Param(2, 1, 64, "pages in all; the migrators take turns, and with one page both want it"),
    passes=PASSES,
)
def two_migrators(pages: int, passes: int) -> Builder:
    """Two threads of one process move pages of the same VMA to the other node, each its own.

    The pages hang on one anon_vma, so both need the same lock.  With ``pages=1`` both move the same page.
    """
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    heap = b.vma(mm, "heap", 0, pages)
    for vpn in range(pages):
        b.page(heap, vpn, node=0, written=1)
    for number, cpu in enumerate((cpu0, cpu1)):
        vpns = tuple(range(pages))[number::2] or (0,)
        move = partial(mover, vpns=vpns, node=1, passes=passes)
        b.task(f"migrator-{number + 1}", cpu, mm, move, f"moves {_pages(vpns)} to node 1")
    return b


def _pages(vpns: tuple[int, ...]) -> str:
    return f"page {vpns[0]}" if len(vpns) == 1 else f"{len(vpns)} pages"


@world(
    check={"passes": 2},
    passes=PASSES,
)
def stack_grows(passes: int) -> Builder:
    """A worker moves a page of the main thread's stack while the stack grows.

    Both hold mmap_sem, and both only for reading: main faults below its stack (expand_stack), worker calls
    move_pages.  Nothing is forked and nobody else is there.
    """
    top = 2 * PTRS_PER_PTE - 8
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    stack = b.vma(mm, "stack", top, top + 1, grows_down=True)
    b.page(stack, top, node=0, written=1)
    b.task("main", cpu0, mm, partial(user_write, vpn=top - 1), "writes below its stack, so that it grows")
    move = partial(mover, vpns=(top,), node=1, passes=passes)
    b.task("worker", cpu1, mm, move, "moves the stack's page to node 1")
    return b


@world(
    check={"pages": 2, "spinners": 1, "passes": 2},
    pages=Param(4, 1, 4096, "pages that the one call moves", CHUNK),
    spinners=Param(0, 0, 31, "threads of the process that spin on CPUs of their own"),
    writers=Param(0, 0, 31, "threads that write the pages in turn until they have moved; a check does not end"),
    children=Param(0, 0, 8, "generations that were forked since: the pages are shared by so many relatives, and move"),
    stale_cpu=Param(0, 0, 1, "1: the process has run on one more CPU, which is idle now (lazy TLB mode)"),
    huge_pages=Param(0, 0, 8, "huge pages of 512 small ones that the call moves instead; pages then says nothing"),
    pinned=Param(0, 0, 4096, "how many of the pages are pinned, so that they cannot move; at most pages"),
    passes=PASSES,
)
def move_pages(
    pages: int, spinners: int, writers: int, children: int, stale_cpu: int, huge_pages: int, pinned: int, passes: int
) -> Builder:
    """One move_pages call moves N pages to node 1 while K threads of the process spin on other CPUs.

    The spinners touch none of the pages, but their CPUs are in mm_cpumask, so every flush interrupts them.
    Pinned pages have a reference from get_user_pages: each attempt unmaps them and puts them back.
    Writers use the pages meanwhile.  Children are a chain of forks, each a generation further, which have run on the
    mover's CPU, wait, and share every page (MPOL_MF_MOVE_ALL).  An idle CPU is interrupted once in 3.7, never since.
    Huge pages are asked for by each of their small pages: up to 4.13 they are split first, and 512 small pages move
    (mm/memory.c:1526); under thp_v414 each moves whole.
    """
    most, why = (huge_pages, "huge_pages") if huge_pages else (pages, "pages")
    if pinned > most:
        raise BadParameter(f"pinned={pinned} is not allowed in move_pages: 0 to {most} ({why}={most})")
    b = Builder()
    mm = b.mm()
    pages = huge_pages * PTRS_PER_PTE or pages
    heap = b.vma(mm, "heap", 0, pages)
    for number in range(huge_pages):
        b.huge_page(heap, number * PTRS_PER_PTE, PTRS_PER_PTE, node=0, written=1, pins=int(number < pinned))
    for vpn in range(0 if huge_pages else pages):
        b.page(heap, vpn, node=0, written=1, pins=int(vpn < pinned))
    vpns = tuple(range(pages))
    cpu0 = b.cpu(0, 0)
    move = partial(_announced if writers else mover, vpns=vpns, node=1, passes=passes)
    b.task("mover", cpu0, mm, move, f"moves {times(pages, 'page')} to node 1")
    for number in range(1, spinners + 1):
        cpu = b.cpu(number, number % 2)
        b.task(f"spinner-{number}", cpu, mm, spinner, "keeps its CPU busy", daemon=True)
    for number in range(1, writers + 1):
        cpu = b.cpu(spinners + number, (spinners + number) % 2)
        write = partial(busy_writer, vpns=vpns, until=Task("mover"))
        b.task(f"writer-{number}", cpu, mm, write, "writes the pages in turn")
    if stale_cpu:
        b.idle(b.cpu(spinners + writers + 1, 1), mm)
    parent = mm
    for number in range(1, children + 1):
        parent = b.fork(parent, f"C{number}")
        b.memory[parent.cpu_vm_mask] = (cpu0,)
    return b


@world(
    check={"threads": 2, "pages": 1, "nodes": 2, "passes": 2},
    threads=Param(8, 1, 128, "threads that move pages, each on a CPU of its own"),
    pages=Param(64, 1, 512, "pages of each thread's slice, moved by one call; 512 are 2 MiB", CHUNK),
    nodes=Param(2, 2, 8, "NUMA nodes; the threads are spread over them evenly"),
    passes=PASSES,
    huge=Param(0, 0, 1, "1: the pages of each slice are one huge page, which is asked for by each of them"),
)
def movers(threads: int, pages: int, nodes: int, passes: int, huge: int) -> Builder:
    """Each thread of a process moves its slice of one region to its own node, with one move_pages call.

    One VMA, so one anon_vma and one lock; every flush goes to all threads' CPUs; each slice has a page table of its
    own.  It is numa02's memory with a call in place of the hints, so that a kernel that moves pages in batches gets a
    whole slice at a time.  A huge page is split first up to 4.13, and moves whole since (thp_v414).
    """
    if huge and pages < 2:
        raise BadParameter(f"pages={pages} is not allowed in movers with huge=1: a huge page has at least 2")
    b = Builder(nodes=nodes)
    mm = b.mm()
    starts = [number * PTRS_PER_PTE for number in range(threads)]
    if threads > 1 and not huge:
        starts[0] = PTRS_PER_PTE - pages  # so that with two threads the VMA has no more pages than are used
    heap = b.vma(mm, "heap", starts[0], starts[-1] + (PTRS_PER_PTE if huge else pages))
    for number, first in enumerate(starts):
        node = number * nodes // threads
        vpns = tuple(range(first, first + pages))
        if huge:
            b.huge_page(heap, first, pages, node=(node + 1) % nodes, written=1)
        else:
            for vpn in vpns:
                b.page(heap, vpn, node=(node + 1) % nodes, written=1)
        move = partial(mover, vpns=vpns, node=node, passes=passes)
        b.task(f"mover-{number + 1}", b.cpu(number, node), mm, move, f"moves {_pages(vpns)} to node {node}")
    return b


def _filler(k: Context, *, vpns: tuple[int, ...], rounds: int) -> Kernel:
    while rounds:
        at = 0
        while at < len(vpns):
            yield from user_write(k, vpns[at])
            at += 1
        rounds -= 1


@world(
    check={"pages": 1, "writers": 1, "rounds": 1, "passes": 2},
    pages=Param(512, 1, 4096, "pages that the one call moves", CHUNK),
    writers=Param(3, 1, 31, "threads that go on writing to them"),
    rounds=Param(16, 1, 1000, "how often each of those writes to every page"),
    passes=PASSES,
)
def busy_region(pages: int, writers: int, rounds: int, passes: int) -> Builder:
    """One move_pages call moves a region to node 1 while threads on other CPUs go on filling it, page after page.

    Each writer begins elsewhere in the region.  Who comes to a page that is on its way waits for it; and what waits
    has a reference to the page, which may be seen as one too many to move it (12.11).
    """
    b = Builder()
    mm = b.mm()
    heap = b.vma(mm, "heap", 0, pages)
    vpns = tuple(range(pages))
    for vpn in vpns:
        b.page(heap, vpn, node=0, written=1)
    b.task(
        "mover", b.cpu(0, 0), mm, partial(mover, vpns=vpns, node=1, passes=passes), f"moves {_pages(vpns)} to node 1"
    )
    for number in range(1, writers + 1):
        first = (number - 1) * pages // writers
        body = partial(_filler, vpns=vpns[first:] + vpns[:first], rounds=rounds)
        cpu = b.cpu(number, number % 2)
        b.task(f"writer-{number}", cpu, mm, body, f"writes {_pages(vpns)}, {rounds} times")
    return b
