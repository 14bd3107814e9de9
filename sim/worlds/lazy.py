"""CPUs that are not interrupted because nobody uses what they remember: lazy TLB mode."""

from __future__ import annotations

from functools import partial

from sim.context import Context
from sim.ops import Kernel, UserRead
from sim.setup import Builder
from sim.structs import Mm
from sim.user import user_read
from sim.worlds import world
from sim.worlds.moving import PASSES, mover


def _waits_then_reads(k: Context) -> Kernel:
    yield from user_read(k, 0)
    yield UserRead(1)


@world(check={"passes": 2}, passes=PASSES)
def lazy_tlb(passes: int) -> Builder:
    """A thread sleeps until page 0 has moved, and reads page 1, which moves too, through its TLB when it wakes up.

    While it sleeps its CPU runs no thread of the process.  3.7 interrupts that CPU all the same; since 4.15 nobody
    does, and the CPU looks at the number of the last flush before the thread runs again (arch/x86/mm/tlb.c).  A thread
    that sleeps in a fault on a moving page is where the model has lazy CPUs; whoever sleeps elsewhere is interrupted.
    """
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    heap = b.vma(mm, "heap", 0, 2)
    for vpn in range(2):
        b.page(heap, vpn, node=0, written=1)
    b.remembers(cpu1, mm, 1)
    b.task("mover", cpu0, mm, partial(mover, vpns=(0, 1), node=1, passes=passes), "moves pages 0 and 1 to node 1")
    b.task("reader", cpu1, mm, _waits_then_reads, "reads page 0, and page 1 if its TLB still has it")
    return b


def _not_looked(k: Context, mm: Mm) -> Kernel:
    """``switch_mm_irqs_off`` that does not look which flushes were missed."""
    yield k.cpu.is_lazy.set(False)


lazy_tlb.variation(
    "no_look",
    "A CPU that was lazy does not look which flushes it has missed.",
    {"v61.tlb.switch_mm_irqs_off": _not_looked},
)
