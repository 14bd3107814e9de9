"""Who changes what a walk goes by: one task body a disturber; and the world in which each meets each caller.

A disturber is a relative of the process whose page moves, or another thread of that very process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from sim.context import Context
from sim.ghosts import forget
from sim.kernel.fork import do_fork
from sim.kernel.huge_memory import collapse_huge_page
from sim.kernel.madvise import sys_madvise
from sim.kernel.mmap import exit_mmap, sys_munmap
from sim.kernel.mprotect import PROT_READ, sys_mprotect
from sim.kernel.mremap import sys_mremap
from sim.ops import Kernel
from sim.setup import Builder
from sim.structs import PTRS_PER_PTE, Mm
from sim.sync import down_read, lockdep_off, up_read
from sim.user import user_write
from sim.worlds import Param, world
from sim.worlds.callers import CALLERS, Caller, Target
from sim.worlds.moving import PASSES

Body = Callable[..., Kernel]

#: The page that the caller is after, in each layout; the stack's lies high, so that there is room below it.
HEAP_PAGE, STACK_PAGE = 1, 2 * PTRS_PER_PTE - 8


@dataclass(frozen=True, slots=True)
class Disturber:
    """One who changes VMAs, trees or page tables.

    Attributes:
        name: how tables call it.
        body: its coroutine.
        relative: whether it is a child of the process whose page moves; else a thread of that process.
        mmap_sem: how it holds the mmap_sem of its own process: ``read``, ``write``, or "" for not at all.
        source: where the kernel takes mmap_sem there, or does not.
        kernel: whether it is a thread of the kernel's own; then ``body(k, mm)`` is told whose memory to work on.
    """

    name: str
    body: Body
    relative: bool
    mmap_sem: str
    source: str
    kernel: bool = False


def _fork(k: Context) -> Kernel:
    yield from do_fork(k)


def _exit(k: Context) -> Kernel:
    yield k.mm.mm_users.add(-1)  # the last user goes
    yield from exit_mmap(k, k.mm)
    yield from forget(k.mm, 0, HEAP_PAGE + 1)
    yield k.mm.mm_users.add(1)  # whoever takes its mmap_sem has pinned the struct: it stays


def _munmap(k: Context) -> Kernel:
    yield from sys_munmap(k, HEAP_PAGE, 1)


def _mremap(k: Context) -> Kernel:
    yield from sys_mremap(k, HEAP_PAGE, 1, HEAP_PAGE + 4)


def _mprotect(k: Context) -> Kernel:
    yield from sys_mprotect(k, HEAP_PAGE, 1, PROT_READ)


def _dontneed(k: Context) -> Kernel:
    yield from sys_madvise(k, HEAP_PAGE, 1)


def _grow(k: Context) -> Kernel:
    yield from user_write(k, STACK_PAGE - 1)


def _touch_neighbour(k: Context) -> Kernel:
    yield from user_write(k, HEAP_PAGE + 1)


def _collapse(k: Context, mm: Mm) -> Kernel:
    yield from collapse_huge_page(k, mm, 0, HEAP_PAGE + 1)


#: Every disturber by name, in the order of the tables.
DISTURBERS: Final[Mapping[str, Disturber]] = {
    it.name: it
    for it in (
        Disturber("fork", _fork, True, "write", "kernel/fork.c:356 (v3.7)"),
        Disturber("exit", _exit, True, "", "mm/mmap.c:2287 (v3.7)"),
        Disturber("munmap", _munmap, True, "write", "mm/mmap.c:2157 (v3.7)"),
        Disturber("mremap", _mremap, True, "write", "mm/mremap.c:549 (v3.7)"),
        Disturber("mprotect", _mprotect, True, "write", "mm/mprotect.c:251 (v3.7)"),
        Disturber("MADV_DONTNEED", _dontneed, False, "read", "mm/madvise.c:25 (v3.7)"),
        Disturber("stack growth", _grow, False, "read", "mm/mmap.c:1800 (v3.7)"),
        Disturber("neighbour fault", _touch_neighbour, False, "read", "mm/rmap.c:161 (v3.7)"),
        Disturber("collapse", _collapse, True, "write", "mm/huge_memory.c:1954 (v3.7)", kernel=True),
    )
}
_CALLERS, _DISTURBERS = tuple(CALLERS.values()), tuple(DISTURBERS.values())


def _granted(k: Context, *, body: Body, mms: tuple[Mm, ...]) -> Kernel:
    """*body* by one who holds mmap_sem of *mms* to read.  lockdep is off: no kernel takes several of them."""
    yield from lockdep_off(k.current)
    left = mms
    while left:
        yield from down_read(left[0].mmap_sem)
        left = left[1:]
    yield from body(k)
    while mms:
        yield from up_read(mms[0].mmap_sem)
        mms = mms[1:]


@world(
    check={"passes": 2},
    caller=Param(3, 0, len(_CALLERS) - 1, "who moves the page: " + ", ".join(CALLERS)),
    disturber=Param(1, 0, len(_DISTURBERS) - 1, "who disturbs: " + ", ".join(DISTURBERS)),
    granted=Param(0, 0, 1, "whether the caller holds mmap_sem of every process that maps the page"),
    passes=PASSES,
)
def caller_and_disturber(caller: int, disturber: int, granted: int, passes: int) -> Builder:
    """One who moves a page of process P beside one who changes what the walk goes by.

    A relative of P is a child C, which shares the page; only for a NUMA fault, which moves no shared page, P has
    touched it after the fork, so that C's VMA is in the tree and has no PTE.  Other threads of P disturb a P that never
    forked.  With ``granted`` the caller holds, beside what it holds anyhow, the mmap_sem of every process that maps the
    page, to read: the premise of the mail, made true.
    """
    who, what = _CALLERS[caller], _DISTURBERS[disturber]
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 1), b.cpu(1, 1)
    target, disturbed = _layout(b, mm, who, what)
    mms = (mm,) if disturbed is mm or who.name == "NUMA fault" else (mm, disturbed)
    if granted:
        own = () if who.kernel else (mm,)
        more = tuple(it for it in mms if it not in own)
        who.join(b, target, cpu0, passes=passes, around=partial(_granted, mms=more))
    else:
        who.join(b, target, cpu0, passes=passes)
    if what.kernel:
        b.kernel_thread("disturber", cpu1, partial(what.body, mm=disturbed), what.name)
    else:
        b.task("disturber", cpu1, disturbed, what.body, what.name)
    return b


def _layout(b: Builder, mm: Mm, who: Caller, what: Disturber) -> tuple[Target, Mm]:
    """The memory for *what*: the page, and the process that is disturbed."""
    if what.name == "stack growth":
        stack = b.vma(mm, "stack", STACK_PAGE, STACK_PAGE + 1, grows_down=True)
        return Target(mm, b.page(stack, STACK_PAGE, node=0, written=1), STACK_PAGE), mm
    if what.name == "neighbour fault":
        first = b.vma(mm, "first", 0, 1)
        page = b.page(b.piece(first, "second", 1, 2, 1), HEAP_PAGE, node=0, written=1)
        b.untouched(mm, "third", 2, 3)
        return Target(mm, page, HEAP_PAGE), mm
    heap = b.vma(mm, "heap", 0, PTRS_PER_PTE if what.name == "collapse" else 2)
    if not what.relative:
        return Target(mm, b.page(heap, HEAP_PAGE, node=0, written=1), HEAP_PAGE), mm
    if who.name == "NUMA fault":
        child = b.fork(mm, "C")
        page = b.page(heap, HEAP_PAGE, node=0, written=1)
    else:
        page = b.page(heap, HEAP_PAGE, node=0, written=1)
        child = b.fork(mm, "C")
    return Target(mm, page, HEAP_PAGE), child
