"""A child gets a copy of its parent's address space, and an address space goes when its last user does.  kernel/fork.c

The child shares every page with its parent until one of the two writes.  So a fork copies VMAs, links them into the
parent's family of anon_vmas, copies PTEs that it has made read-only, and at the very end flushes the parent's TLBs:
until then the parent's other threads can go on writing through what their CPUs remember.
"""

from __future__ import annotations

from sim.context import Context
from sim.ghosts import inherit
from sim.kernel.memory import copy_page_range
from sim.kernel.mmap import exit_mmap
from sim.kernel.rmap import anon_vma_fork
from sim.kernel.tlb import flush_tlb_mm
from sim.ops import Alloc, Free, Kernel, Point
from sim.structs import Mm, Vma
from sim.sync import down_write, down_write_nested, up_write


def do_fork(k: Context) -> Kernel:
    """``fork(2)`` up to the child's address space, which is returned; the child's thread is for the world to have.

    kernel/fork.c:1548 (v3.7)
    """
    yield Point("syscall")
    mm = yield from copy_mm(k)
    return mm


def copy_mm(k: Context) -> Kernel:
    """A copy of the current address space; not for a thread, which would share it.  kernel/fork.c:862 (v3.7)"""
    mm = yield from dup_mm(k)
    return mm


def dup_mm(k: Context) -> Kernel:
    """A new address space with what the current one has in it.  It cannot fail here.  kernel/fork.c:806 (v3.7)"""
    mm = yield Alloc(Mm)
    yield from dup_mmap(k, mm, k.mm)
    return mm


def dup_mmap(k: Context, mm: Mm, oldmm: Mm) -> Kernel:
    """Copy the VMAs and PTEs of *oldmm* to *mm*, which nobody uses yet.

    Takes both mmap_sems to write, the parent's first.  Each VMA is in the trees of its family before its PTEs are
    copied: a walk that comes too early for the child's entry then finds the parent's, and the child's afterwards.
    Nobody may fault in the parent until its TLBs are flushed.  Left out: VM_DONTCOPY, files, memory policies.
    kernel/fork.c:347 (v3.7)
    """
    yield from down_write(oldmm.mmap_sem)
    yield from down_write_nested(mm.mmap_sem)
    vmas = yield oldmm.mmap
    copies: tuple[Vma, ...] = ()
    while vmas:
        mpnt, vmas = vmas[0], vmas[1:]
        tmp = yield from _dup_vma(k, mm, mpnt)
        yield from anon_vma_fork(k, tmp, mpnt)
        copies = (*copies, tmp)
        yield mm.mmap.set(copies)
        yield from copy_page_range(k, mm, oldmm, mpnt)
    yield from up_write(mm.mmap_sem)
    yield from flush_tlb_mm(k, oldmm)
    yield from inherit(mm, oldmm, copies)  # until the flush the parent's threads could still write to what is shared
    yield from up_write(oldmm.mmap_sem)


def _dup_vma(k: Context, mm: Mm, mpnt: Vma) -> Kernel:
    """A copy of *mpnt* in *mm*, linked to no anon_vma.  (Part of dup_mmap.)"""
    vm_start = yield mpnt.vm_start
    vm_end = yield mpnt.vm_end
    vm_pgoff = yield mpnt.vm_pgoff
    vm_flags = yield mpnt.vm_flags
    anon_vma = yield mpnt.anon_vma
    same = (("vm_start", vm_start), ("vm_end", vm_end), ("vm_pgoff", vm_pgoff), ("vm_flags", vm_flags))
    vma = yield Alloc(Vma, (("vm_mm", mm), *same, ("anon_vma", anon_vma)))
    return vma


# --- the end of an address space -------------------------------------------------------------------------


def mmput(k: Context, mm: Mm) -> Kernel:
    """One user less of *mm*; the last one takes it down.  Caller holds no lock.  kernel/fork.c:607 (v3.7)"""
    users = yield mm.mm_users.add(-1)
    if users == 0:
        yield from exit_mmap(k, mm)
        yield from __mmdrop(k, mm)


def __mmdrop(k: Context, mm: Mm) -> Kernel:
    """Free the struct.  Who else might refer to it the kernel counts (``mm_count``).  kernel/fork.c:593 (v3.7)"""
    yield Free(mm)
