"""From the trap to the VMA: arch/x86/mm/fault.c (v3.7), and the first instruction of arch/x86/kernel/entry_64.S.

A fault on an address outside every VMA kills the process in the kernel; here it ends the run, because no world
does it on purpose.
"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.memory import handle_mm_fault
from sim.kernel.mmap import expand_stack, find_vma
from sim.ops import Bug, Kernel, Point
from sim.structs import VM_GROWSDOWN, VM_WRITE, Vma
from sim.sync import down_read, down_read_trylock, up_read


def page_fault(k: Context, address: int, write: bool) -> Kernel:
    """Where the CPU jumps when it cannot translate *address*.  arch/x86/kernel/entry_64.S:1463 (v3.7)"""
    yield from do_page_fault(k, address, write)


def do_page_fault(k: Context, address: int, write: bool) -> Kernel:
    """The C entry of the trap.  arch/x86/mm/fault.c:1234 (v3.7)"""
    yield from __do_page_fault(k, address, write)


def __do_page_fault(k: Context, address: int, write: bool) -> Kernel:
    """Find the VMA of *address* and handle the fault; then the instruction is tried again.

    Takes mmap_sem to read, and holds it to the end, also while it migrates a page or waits for one.  That keeps
    the VMAs of this process in place, except a stack that grows; it keeps nobody else from the anon_vma.
    arch/x86/mm/fault.c:1016 (v3.7)
    """
    yield Point("fault")
    yield Point("page_fault_entry")
    mm = k.mm
    taken = yield from down_read_trylock(mm.mmap_sem)
    if not taken:
        yield from down_read(mm.mmap_sem)
    vma = yield from find_vma(k, mm, address)
    if vma is None:
        yield from bad_area(k, address)
    vm_start = yield vma.vm_start
    if address < vm_start:
        yield from _grow(k, vma, address)
    if write:
        vm_flags = yield vma.vm_flags
        if not vm_flags & VM_WRITE:
            yield from bad_area(k, address)
    yield from handle_mm_fault(k, mm, vma, address, write)
    yield from up_read(mm.mmap_sem)


def _grow(k: Context, vma: Vma, address: int) -> Kernel:
    """*address* lies below *vma*: fine if that is a stack, which then grows.  (Part of __do_page_fault.)

    Caller holds mmap_sem to read.  Does not compare with the stack pointer.
    """
    vm_flags = yield vma.vm_flags
    if not vm_flags & VM_GROWSDOWN:
        yield from bad_area(k, address)
    error = yield from expand_stack(k, vma, address)
    if error:
        yield from bad_area(k, address)


def bad_area(k: Context, address: int) -> Kernel:
    """The access is an error of the program.  Does not return.  arch/x86/mm/fault.c:794 (v3.7)"""
    yield Bug("kernel bug", f"{k.current} gets a segmentation fault at page {address} of {k.mm}: nothing to map there")
