"""What user code does, with the part of the hardware that it does it with: no kernel code.

A load or store goes through the CPU's TLB.  On a miss the MMU walks the page table; if that gives no usable
entry either, the CPU takes a page fault, and afterwards the instruction starts again.

``start_thread``, ``worker_thread`` and ``__memset_sse2`` are the user frames of numa02, under the names that they
have in the profile of 1354305521-11583-1: pthreads, the benchmark, glibc.
"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.fault import page_fault
from sim.ops import Kernel, KernelFunction, Until, UserRead, UserWrite, Walk
from sim.structs import Task


def user_write(k: Context, vpn: int) -> Kernel:
    """Store to virtual page *vpn*, faulting as often as it takes."""
    done = yield UserWrite(vpn)
    while not done:
        fault = yield Walk(vpn, True)
        if fault is not None:
            yield from page_fault(k, vpn, True)
        done = yield UserWrite(vpn)


def user_read(k: Context, vpn: int) -> Kernel:
    """Load from virtual page *vpn*, faulting as often as it takes."""
    done = yield UserRead(vpn)
    while not done:
        fault = yield Walk(vpn, False)
        if fault is not None:
            yield from page_fault(k, vpn, False)
        done = yield UserRead(vpn)


def spinner(k: Context) -> Kernel:
    """Keep this CPU busy for ever, touching no page.  A daemon: nobody waits for its end.

    It waits, without sleeping, for a count of its own that is never negative; so it makes no steps, yet its CPU
    is never idle and every flush interrupts it.
    """
    yield Until(k.current.allocs, -1)


def swapper(k: Context) -> Kernel:
    """What an idle CPU runs, for ever: nothing.  A daemon.  The page tables of the last thread may stay loaded."""
    yield Until(k.current.allocs, -1, sleeps=True)


def busy_writer(k: Context, vpns: tuple[int, ...], until: Task) -> Kernel:
    """Write the pages *vpns* one after the other, again and again, *until* another thread says that it is done."""
    at = 0
    done = yield until.done
    while not done:
        yield from user_write(k, vpns[at])
        at = (at + 1) % len(vpns)
        done = yield until.done


# --- numa02 ----------------------------------------------------------------------------------------------


def numa02_thread(k: Context, vpns: tuple[int, ...]) -> Kernel:
    """A thread of numa02 that writes the pages *vpns*, from its first frame on."""
    return start_thread(k, worker_thread, vpns)


def start_thread(k: Context, routine: KernelFunction, vpns: tuple[int, ...]) -> Kernel:
    """The first frame of a thread: call its *routine*."""
    yield from routine(k, vpns)


def worker_thread(k: Context, vpns: tuple[int, ...]) -> Kernel:
    """One round of numa02: fill this thread's slice, the pages *vpns*."""
    at = 0
    while at < len(vpns):
        yield from __memset_sse2(k, vpns[at])
        at += 1


def __memset_sse2(k: Context, vpn: int) -> Kernel:
    """Fill one page: :func:`user_write`, written out so that the fault stands right below this frame."""
    done = yield UserWrite(vpn)
    while not done:
        fault = yield Walk(vpn, True)
        if fault is not None:
            yield from page_fault(k, vpn, True)
        done = yield UserWrite(vpn)
