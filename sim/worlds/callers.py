"""Who moves pages or takes them away: one task body a caller, all with the same signature.

    CALLERS["compaction"].join(b, Target(mm, page, vpn), cpu, passes=2)

puts the caller as a task into a world.  Each works on one page and then ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from sim.context import Context
from sim.kernel.compaction import compact_zone
from sim.kernel.fault import page_fault
from sim.kernel.memory_hotplug import offline_pages
from sim.kernel.mempolicy import do_mbind
from sim.kernel.migrate import sys_move_pages
from sim.kernel.vmscan import kswapd
from sim.ops import Kernel
from sim.setup import Builder
from sim.structs import PTRS_PER_PTE, Cpu, Mm, Page


@dataclass(frozen=True, slots=True)
class Target:
    """The page that a caller is after.

    Attributes:
        mm: the process that the caller belongs to, or is asked about.
        page: its frame.
        vpn: where *mm* maps it.
    """

    mm: Mm
    page: Page
    vpn: int


Body = Callable[..., Kernel]


@dataclass(frozen=True, slots=True)
class Caller:
    """One who moves pages.

    Attributes:
        name: how tables call it.
        body: its coroutine, ``body(k, page=, vpn=, node=, passes=)``; *node* is where the page is to go.
        mmap_sem: how it holds the mmap_sem of its own process meanwhile: ``read``, ``write``, or "" for not at all.
        kernel: whether it is a thread of the kernel's own, without a process.
        source: where the kernel has it.
    """

    name: str
    body: Body
    mmap_sem: str
    kernel: bool
    source: str

    def join(
        self, b: Builder, target: Target, cpu: Cpu, *, passes: int = 2, around: Callable[..., Kernel] | None = None
    ) -> None:
        """Put this caller into the world that *b* builds, on *cpu*; the page goes to that CPU's node.

        *around*, if given, is what the task runs: ``around(k, body=)`` calls the caller's body, ``body(k)``.
        A NUMA fault needs its mark on the page, and reclaim a swap slot.
        """
        if self.name == "NUMA fault":
            _mark(b, target)
        if self.name == "reclaim":
            b.swap(1)
        what = {"page": target.page, "vpn": target.vpn, "node": b.cpus[cpu], "passes": passes}
        body = partial(self.body, **what)
        task = body if around is None else partial(around, body=body)
        if self.kernel:
            b.kernel_thread("caller", cpu, task, f"{self.name} of {target.page}")
        else:
            b.task("caller", cpu, target.mm, task, f"{self.name} of page {target.vpn}")


def _mark(b: Builder, target: Target) -> None:
    """Make the page PROT_NONE in *target*'s process, as numa/core's scanner does."""
    place = b.memory[target.mm.pmd[target.vpn // PTRS_PER_PTE]].pte[target.vpn % PTRS_PER_PTE]
    b.memory[place] = b.memory[place]._replace(kind="prot_none")


def _numa_fault(k: Context, *, page: Page, vpn: int, node: int, passes: int) -> Kernel:
    yield from page_fault(k, vpn, False)  # the fault alone: what is read is another matter


def _move_pages(k: Context, *, page: Page, vpn: int, node: int, passes: int) -> Kernel:
    yield from sys_move_pages(k, k.mm, (vpn,), node, passes)


def _mbind(k: Context, *, page: Page, vpn: int, node: int, passes: int) -> Kernel:
    yield from do_mbind(k, vpn, vpn + 1, node, passes)


def _compaction(k: Context, *, page: Page, vpn: int, node: int, passes: int) -> Kernel:
    yield from compact_zone(k, (page,), passes)


def _hot_remove(k: Context, *, page: Page, vpn: int, node: int, passes: int) -> Kernel:
    yield from offline_pages(k, (page,), 1, passes)


def _reclaim(k: Context, *, page: Page, vpn: int, node: int, passes: int) -> Kernel:
    yield from kswapd(k, (page,))


#: Every caller by name, in the order of the tables.
CALLERS: Final[Mapping[str, Caller]] = {
    it.name: it
    for it in (
        Caller("NUMA fault", _numa_fault, "read", False, "1354305521-11583-5 (numa/core v18)"),
        Caller("move_pages", _move_pages, "read", False, "mm/migrate.c:1141 (v3.7)"),
        Caller("mbind", _mbind, "write", False, "mm/mempolicy.c:1203 (v3.7)"),
        Caller("compaction", _compaction, "", True, "mm/compaction.c:999 (v3.7)"),
        Caller("hot-remove", _hot_remove, "", True, "mm/memory_hotplug.c:814 (v3.7)"),
        Caller("reclaim", _reclaim, "", True, "mm/vmscan.c:795 (v3.7)"),
    )
}
