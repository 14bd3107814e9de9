"""Huge pages: made, split, and how that disturbs those who walk."""

from __future__ import annotations

from functools import partial

from sim.context import Context
from sim.kernel import migrate
from sim.kernel.huge_memory import collapse_huge_page
from sim.kernel.tlb import flush_tlb_range
from sim.ops import Field, Kernel
from sim.setup import Builder
from sim.structs import PTRS_PER_PTE, Mm, Page, Pmd, Vma
from sim.user import spinner, user_read, user_write
from sim.worlds import Param, world
from sim.worlds.edits import kernel_mover
from sim.worlds.marks import scanner
from sim.worlds.moving import PASSES, mover
from sim.worlds.remaps import last_writer


def collapser(k: Context, *, mm: Mm) -> Kernel:
    """khugepaged, at work on the first 2 MiB of an address space, of which two pages may be mapped."""
    yield from collapse_huge_page(k, mm, 0, 2)


@world(check={"passes": 2}, passes=PASSES)
def khugepaged_collapse(passes: int) -> Builder:
    """A kernel thread hides a page table to make a huge page while another moves a page that this maps.

    One process with one page, which nobody shares.  The thread khugepaged holds mmap_sem to write and the anon_vma
    lock, clears the PMD, flushes, meets the migration entry and puts the PMD back (mm/huge_memory.c:1987 to 2018).  A
    remap walk without the lock finds no page table meanwhile, and passes on.  The process's own thread spins, with the
    page in its TLB.  Left out: the huge page, and how the two kernel threads came to this one.
    """
    b = Builder()
    mm, cpu0, cpu1, cpu2 = b.mm(), b.cpu(0, 0), b.cpu(1, 1), b.cpu(2, 1)
    page = b.page(b.vma(mm, "heap", 0, PTRS_PER_PTE), 1, node=0, written=1)
    move = partial(kernel_mover, page=page, node=1, passes=passes)
    b.kernel_thread("mover", cpu0, move, "moves page 1 to node 1, for the kernel's own reasons")
    b.kernel_thread("khugepaged", cpu1, partial(collapser, mm=mm), "tries to make a huge page of what is around page 1")
    b.task("owner", cpu2, mm, spinner, "keeps its CPU busy", daemon=True)
    b.remembers(cpu2, mm, 1)
    return b


@world(pages=Param(2, 2, 512, "small pages of the huge page; 512 in the kernel"))
def split_huge_page(pages: int) -> Builder:
    """Parent and child split the huge page that they share, both at once.

    Each calls move_pages for page 0, which splits the huge page before it asks where the page lies
    (mm/memory.c:1526); it lies there already, so that nothing moves.  Each holds its own mmap_sem; the anon_vma is
    theirs in common.  A split marks the PMDs of both, gives the tails the counts of the head, and puts page tables in
    (mm/huge_memory.c:1409 to 1454).  Two at once mark the PMDs between them, and neither finds as many as the page
    has mappings: the kernel stops.  The huge page is of 2 small ones unless the parameter says more; the rest of its
    512 addresses is left out.  Since 4.14 move_pages splits nothing, and there is nothing to see.  H21.
    """
    b = Builder()
    parent, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    b.huge_page(b.vma(parent, "heap", 0, PTRS_PER_PTE), 0, pages, node=0, written=1)
    child = b.fork(parent, "C")
    split = partial(mover, vpns=(0,), node=0, passes=1)
    b.task("parent", cpu0, parent, split, "asks for page 0 on the node where it is")
    b.task("child", cpu1, child, split, "asks for the same")
    return b


def _no_bug_on(k: Context, condition: bool, sentence: str, page: Page) -> Kernel:
    """Go on."""
    yield from ()


split_huge_page.variation(
    "no_bug_on",
    "A split does not compare what it has found with the page's count, and does not stop: the damage is done.",
    {"huge_memory.bug_on": _no_bug_on},
)


@world(
    check={"passes": 2},
    pages=Param(2, 1, 512, "small pages of the huge page; 512 in the kernel"),
    passes=PASSES,
)
def huge_page_moves(pages: int, passes: int) -> Builder:
    """A huge page is asked to move to another node while a second thread of the process writes to it.

    The mover calls move_pages for each of its small pages.  Up to 4.13 the first of them splits the huge page
    (mm/memory.c:1526), and what moves are small pages, one flush each.  Since 4.14 it moves whole under one migration
    entry, with one flush, and who writes meanwhile waits for it (616b8371539a).  The writer has the last of the small
    pages in its TLB.  The huge page is of 2 small ones unless the parameter says more; the rest of its 512 addresses
    is left out.
    """
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    b.huge_page(b.vma(mm, "heap", 0, PTRS_PER_PTE), 0, pages, node=0, written=1)
    move = partial(mover, vpns=tuple(range(pages)), node=1, passes=passes)
    b.task("mover", cpu0, mm, move, f"moves the huge page of {pages} to node 1")
    b.task("writer", cpu1, mm, partial(user_write, vpn=pages - 1), "writes to its last small page")
    b.remembers(cpu1, mm, pages - 1)
    return b


@world(pages=Param(2, 2, 512, "small pages of the huge page; 512 in the kernel"))
def numa_huge_page(pages: int) -> Builder:
    """Threads on two nodes fault on one huge page with a NUMA hint.

    The page lies on node 0.  The far thread, on node 1, would move it: locks it, copies it, and exchanges the PMD if
    that is as it was (mm/migrate.c:1647 of 3.8).  The near one, on node 0, makes the PMD accessible meanwhile, and
    writes: then the copy is thrown away.  No walk, no anon_vma lock, no flush.  The marks were flushed long ago.  The
    huge page is of 2 small ones unless the parameter says more; the rest of its 512 addresses is left out.
    """
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    b.huge_page(b.vma(mm, "heap", 0, PTRS_PER_PTE), 0, pages, node=0, kind="prot_none", written=1)
    b.task("near", cpu0, mm, partial(user_write, vpn=0), "writes its first small page, on its own node")
    b.task("far", cpu1, mm, partial(user_write, vpn=1), "writes its second, from the other node")
    return b


@world(pages=Param(2, 2, 512, "small pages of the huge page; 512 in the kernel"))
def numa_huge_window(pages: int) -> Builder:
    """A thread writes to a huge page that a second marks for a NUMA hint while a third faults on it and moves it.

    The writer's CPU has the huge page in its TLB.  The mark makes the PMD PROT_NONE; the flush comes at the end of the
    range, when page_table_lock has been given back.  A thread of another node that faults in between copies the page
    and exchanges the PMD without a flush (mm/migrate.c:1647 of 3.8), as if the marks had been flushed long ago: what
    the writer writes after the copy is lost, or goes to frames that are free.  As numa_mark_window, but from the fault
    itself.  The huge page is of 2 small ones unless the parameter says more; the rest of its 512 addresses is left
    out.  H8, H9.
    """
    b = Builder()
    mm, cpu0, cpu1, cpu2 = b.mm(), b.cpu(0, 1), b.cpu(1, 0), b.cpu(2, 0)
    heap = b.vma(mm, "heap", 0, PTRS_PER_PTE)
    b.huge_page(heap, 0, pages, node=0, written=1)
    b.remembers(cpu2, mm, 0)
    b.task("far", cpu0, mm, partial(user_read, vpn=1), "reads the huge page, from the other node")
    mark = partial(scanner, vma=heap, vpn=0, end=PTRS_PER_PTE)
    b.task("scanner", cpu1, mm, mark, "marks the huge page for a NUMA hint")
    b.task("writer", cpu2, mm, partial(last_writer, vpn=0), "writes to the huge page if its TLB still has it")
    return b


def _flushed_first(k: Context, mm: Mm, vma: Vma, pmd: Field, entry: Pmd, address: int, page: Page, node: int) -> Kernel:
    """The same, after a flush."""
    haddr = address - address % PTRS_PER_PTE
    yield from flush_tlb_range(k, vma, haddr, haddr + PTRS_PER_PTE)
    migrated = yield from migrate.migrate_misplaced_transhuge_page(k, mm, vma, pmd, entry, address, page, node)
    return migrated


numa_huge_window.variation(
    "fixed",
    "The fault flushes before it copies.  (20841405940e, 2013, does so for as long as a flush of that mm is pending.)",
    {"migrate.migrate_misplaced_transhuge_page": _flushed_first},
)
