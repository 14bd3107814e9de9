"""What two who hold mmap_sem to read only do to each other: a scanner and a mover, a stack that grows and a fault."""

from __future__ import annotations

from functools import partial

from sim.context import Context
from sim.kernel import pgtable_generic
from sim.kernel.mempolicy import change_prot_numa
from sim.kernel.v61 import fault as v61_fault
from sim.kernel.v61 import memory as v61_memory
from sim.ops import Kernel
from sim.setup import Builder
from sim.structs import PTRS_PER_PTE, Vma
from sim.sync import down_read, up_read
from sim.user import user_write
from sim.worlds import world
from sim.worlds.edits import kernel_mover
from sim.worlds.moving import PASSES
from sim.worlds.remaps import last_writer


def scanner(k: Context, *, vma: Vma, vpn: int, end: int = 0) -> Kernel:
    """A thread that marks pages for NUMA hinting faults, one unless *end* is given.

    As task_numa_work does (kernel/sched/fair.c:841, v3.8).
    """
    yield from down_read(k.mm.mmap_sem)
    yield from change_prot_numa(k, vma, vpn, end or vpn + 1)
    yield from up_read(k.mm.mmap_sem)


@world(check={"passes": 2}, passes=PASSES)
def numa_mark_window(passes: int) -> Builder:
    """A thread writes to a page that another marks for a NUMA hint while a kernel thread moves the page.

    The writer's CPU has page 0 in its TLB.  The mark makes the PTE PROT_NONE, and the flush comes at the end of the
    range, after the ptl was given back (mm/mprotect.c:109 and 212 to 214, v3.8).  3.8 does not flush a PROT_NONE entry
    that it unmaps (mm/pgtable-generic.c:91, v3.8), as if whoever marked it had flushed already: so the mover copies the
    frame and frees it while the writer still has it.  3.7 flushes whatever stood there.  H8, H9.
    """
    b = Builder()
    mm, cpu0, cpu1, cpu2 = b.mm(), b.cpu(0, 0), b.cpu(1, 1), b.cpu(2, 1)
    heap = b.vma(mm, "heap", 0, 1)
    page = b.page(heap, 0, node=0, written=1)
    b.remembers(cpu2, mm, 0)
    move = partial(kernel_mover, page=page, node=1, passes=passes)
    b.kernel_thread("mover", cpu0, move, "moves page 0 to node 1, for the kernel's own reasons")
    b.task("scanner", cpu1, mm, partial(scanner, vma=heap, vpn=0), "marks page 0 for a NUMA hint")
    b.task("writer", cpu2, mm, partial(last_writer, vpn=0), "writes to page 0 if its TLB still has it")
    return b


numa_mark_window.variation(
    "fixed",
    "A marked entry is flushed too.  (20841405940e, 2013, flushes it for as long as a flush of that mm is pending.)",
    {"v38.pgtable_generic.ptep_clear_flush": pgtable_generic.ptep_clear_flush},
)


@world(check={})
def stack_index() -> Builder:
    """A thread touches a page of a stack for the first time while another makes the stack grow.

    Both hold mmap_sem to read.  The one stores vm_start and then vm_pgoff under the anon_vma lock (mm/mmap.c:1837 to
    1838); the other reads both to note in the page where it lies, and has no such lock (include/linux/pagemap.h:297,
    called from mm/rmap.c:969).  If one is old and the other new, no walk ever finds the page: nothing is lost, but it
    can be neither moved nor swapped out.  Nobody migrates here, so no variant of the walks can help.  Until stacks grew
    with mmap_sem held to write (6.5, 2023; we know of no report of this effect).
    """
    top = 2 * PTRS_PER_PTE - 8
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    stack = b.vma(mm, "stack", top, top + 2, grows_down=True)
    b.page(stack, top, node=0, written=1)
    b.task("main", cpu0, mm, partial(user_write, vpn=top - 1), "writes below its stack, so that it grows")
    b.task("other", cpu1, mm, partial(user_write, vpn=top + 1), "writes a page of the stack that nobody has touched")
    return b


stack_index.variation(
    "fixed",
    "A stack grows with mmap_sem held to write (6.5, 2023), and not once more for its guard page (1be7107fbe18, 2017).",
    {"fault._grow": v61_fault._grow, "memory.check_stack_guard_page": v61_memory._no_guard_page},
)
