"""VMAs: finding one, growing a stack, sharing an anon_vma with a neighbour: mm/mmap.c (v3.7).

The VMAs of an mm are one tuple in order of address (``mm.mmap``); the kernel's red-black tree of them, its
cache of the last one found and the pointers to a VMA's neighbours are read from that.
"""

from __future__ import annotations

from errno import ENOMEM

from sim.context import Context
from sim.ghosts import forget
from sim.kernel import memory, rmap
from sim.kernel.interval_tree import anon_vma_interval_tree_insert, anon_vma_interval_tree_remove
from sim.ops import Free, Kernel, Point
from sim.structs import VM_WRITE, AnonVma, Mm, Vma
from sim.sync import down_write, up_write

#: Where user addresses end, in pages.  arch/x86/include/asm/processor.h:889 (v3.7)
TASK_SIZE = 1 << 35


def find_vma(k: Context, mm: Mm, address: int) -> Kernel:
    """The first VMA that ends after *address*, or None.  It may also begin after it.  mm/mmap.c:1627 (v3.7)

    Caller holds mmap_sem, to read at least.
    """
    vmas = yield mm.mmap
    at = 0
    while at < len(vmas):
        vm_end = yield vmas[at].vm_end
        if vm_end > address:
            return vmas[at]
        at += 1
    return None


# --- growing a stack -------------------------------------------------------------------------------------


def expand_stack(k: Context, vma: Vma, address: int) -> Kernel:
    """Let the stack *vma* reach down to *address*.  Returns 0 or -ENOMEM.  mm/mmap.c:1873 (v3.7)

    Caller holds mmap_sem, to read at least.
    """
    error = yield from expand_downwards(k, vma, address)
    return error


def expand_downwards(k: Context, vma: Vma, address: int) -> Kernel:
    """Move vm_start down to *address*, unless somebody already has.  Returns 0 or -ENOMEM.  mm/mmap.c:1800 (v3.7)

    Caller holds mmap_sem, and in a fault only to read: other faults and every walker of the same process go on.
    Takes the root anon_vma's lock to write.  That lock alone protects the two stores and the tree: in between
    the VMA is in no tree, and ``vm_start`` without ``vm_pgoff`` maps every page of it to a wrong address.
    Does not check limits (acct_stack_growth) or that there is room; the caller found no VMA in the way.
    """
    yield from rmap.anon_vma_prepare(k, vma)
    anon_vma = yield vma.anon_vma
    yield from k.anon_vma_lock_write(anon_vma)
    error = 0
    vm_start = yield vma.vm_start
    if address < vm_start:
        grow = vm_start - address
        vm_pgoff = yield vma.vm_pgoff
        if grow <= vm_pgoff:
            yield from anon_vma_interval_tree_pre_update_vma(k, vma)
            yield vma.vm_start.set(address)
            yield vma.vm_pgoff.set(vm_pgoff - grow)
            yield from anon_vma_interval_tree_post_update_vma(k, vma)
        else:
            error = -ENOMEM
    yield from k.anon_vma_unlock_write(anon_vma)
    return error


def anon_vma_interval_tree_pre_update_vma(k: Context, vma: Vma) -> Kernel:
    """Take *vma* out of every tree that it is in, so that its bounds may change.  mm/mmap.c:370 (v3.7)

    Caller holds mmap_sem and the root anon_vma's lock to write.  Until it is back, a walk does not find it.
    """
    chain = yield vma.anon_vma_chain
    at = 0
    while at < len(chain):
        anon_vma = yield chain[at].anon_vma
        yield from anon_vma_interval_tree_remove(k, chain[at], anon_vma)
        at += 1


def anon_vma_interval_tree_post_update_vma(k: Context, vma: Vma) -> Kernel:
    """Put *vma* back into its trees, under its new bounds.  mm/mmap.c:379 (v3.7)

    Caller holds mmap_sem and the root anon_vma's lock to write.
    """
    chain = yield vma.anon_vma_chain
    at = 0
    while at < len(chain):
        anon_vma = yield chain[at].anon_vma
        yield from anon_vma_interval_tree_insert(k, chain[at], anon_vma)
        at += 1


# --- sharing a neighbour's anon_vma ----------------------------------------------------------------------


def find_mergeable_anon_vma(k: Context, vma: Vma) -> Kernel:
    """The anon_vma of the next or previous VMA, if *vma* could be merged with that one; or None.

    With one anon_vma they can become one VMA again later.  Caller holds mmap_sem, to read at least.
    mm/mmap.c:935 (v3.7)
    """
    before, after = yield from neighbours(k, vma)
    if after is not None:
        anon_vma = yield from reusable_anon_vma(k, after, vma, after)
        if anon_vma is not None:
            return anon_vma
    if before is not None:
        anon_vma = yield from reusable_anon_vma(k, before, before, vma)
        return anon_vma
    return None


def reusable_anon_vma(k: Context, old: Vma, a: Vma, b: Vma) -> Kernel:
    """The anon_vma of *old*, one of the neighbours *a* < *b*, if the other may use it too; or None.

    A chain of more than one link tells of a fork: then it is left alone.  Another fault may be giving *old* its
    anon_vma at this moment, for the caller holds mmap_sem only to read.  mm/mmap.c:916 (v3.7)
    """
    compatible = yield from anon_vma_compatible(k, a, b)
    if not compatible:
        return None
    anon_vma: AnonVma | None = yield old.anon_vma
    chain = yield old.anon_vma_chain
    return anon_vma if len(chain) == 1 else None


def anon_vma_compatible(k: Context, a: Vma, b: Vma) -> Kernel:
    """Whether *b* begins where *a* ends, in address and in page offset, and may do the same.  mm/mmap.c:885 (v3.7)

    Caller holds mmap_sem, to read at least.
    """
    a_end = yield a.vm_end
    b_start = yield b.vm_start
    if a_end != b_start:
        return False
    a_flags = yield a.vm_flags
    b_flags = yield b.vm_flags
    if (a_flags ^ b_flags) & ~VM_WRITE:
        return False
    a_start = yield a.vm_start
    a_pgoff = yield a.vm_pgoff
    b_pgoff = yield b.vm_pgoff
    return bool(b_pgoff == a_pgoff + b_start - a_start)


def neighbours(k: Context, vma: Vma) -> Kernel:
    """The VMAs before and after *vma*, or None: the kernel's ``vm_prev`` and ``vm_next``.

    Caller holds mmap_sem, to read at least.  include/linux/mm_types.h:233 (v3.7)
    """
    mm = yield vma.vm_mm
    vmas = yield mm.mmap
    at = vmas.index(vma)
    before = vmas[at - 1] if at > 0 else None
    after = vmas[at + 1] if at + 1 < len(vmas) else None
    return before, after


# --- unmapping -------------------------------------------------------------------------------------------


def vm_munmap(k: Context, start: int, length: int) -> Kernel:
    """Unmap *length* pages of the current address space from *start* on.  Takes mmap_sem to write.

    mm/mmap.c:2150 (v3.7)
    """
    yield from down_write(k.mm.mmap_sem)
    ret = yield from do_munmap(k, k.mm, start, length)
    yield from up_write(k.mm.mmap_sem)
    return ret


def sys_munmap(k: Context, start: int, length: int) -> Kernel:
    """``munmap(2)``.  mm/mmap.c:2162 (v3.7)"""
    yield Point("syscall")
    ret = yield from vm_munmap(k, start, length)
    return ret


def do_munmap(k: Context, mm: Mm, start: int, length: int) -> Kernel:
    """Take the VMAs of [*start*, *start* + *length*) out of *mm*, with their pages and page tables.

    Caller holds mmap_sem to write.  mm/mmap.c:2068 (v3.7)
    """
    end = start + length
    vma = yield from find_vma(k, mm, start)
    if vma is None:
        return 0
    vm_start = yield vma.vm_start
    if vm_start >= end:
        return 0
    prev, gone, following = yield from detach_vmas_to_be_unmapped(k, mm, vma, end)
    yield from unmap_region(k, mm, gone, prev, following, start, end)
    yield from remove_vma_list(k, gone)
    return 0


def detach_vmas_to_be_unmapped(k: Context, mm: Mm, vma: Vma, end: int) -> Kernel:
    """Take *vma* and those after it that begin before *end* out of the list of VMAs.

    Caller holds mmap_sem to write.  Returns the VMA before them, the VMAs, and the VMA after them.
    mm/mmap.c:1952 (v3.7)
    """
    vmas = yield mm.mmap
    at = stop = vmas.index(vma)
    while stop < len(vmas):
        vm_start = yield vmas[stop].vm_start
        if vm_start >= end:
            break
        stop += 1
    yield mm.mmap.set((*vmas[:at], *vmas[stop:]))
    prev = vmas[at - 1] if at else None
    return prev, vmas[at:stop], vmas[stop] if stop < len(vmas) else None


def unmap_region(
    k: Context, mm: Mm, vmas: tuple[Vma, ...], prev: Vma | None, following: Vma | None, start: int, end: int
) -> Kernel:
    """Unmap the pages of *vmas*, then unlink them, then free their page tables; flush, and only then free.

    Caller holds mmap_sem to write, and has taken the VMAs out of the list.  mm/mmap.c:1931 (v3.7)
    """
    tlb = memory.tlb_gather_mmu(mm, False)
    tlb = yield from memory.unmap_vmas(k, tlb, vmas, start, end)
    floor, ceiling = 0, 0
    if prev is not None:
        floor = yield prev.vm_end
    if following is not None:
        ceiling = yield following.vm_start
    tlb = yield from memory.free_pgtables(k, tlb, vmas, floor, ceiling)
    yield from memory.tlb_finish_mmu(k, tlb, start, end)
    yield from forget(mm, start, end)


def remove_vma_list(k: Context, vmas: tuple[Vma, ...]) -> Kernel:
    """Free VMAs that nobody can find any more.  mm/mmap.c:1908 (v3.7)"""
    while vmas:
        vma, vmas = vmas[0], vmas[1:]
        yield from remove_vma(k, vma)


def remove_vma(k: Context, vma: Vma) -> Kernel:
    """Free a VMA outright: it must be out of its mm and of every tree.  mm/mmap.c:221 (v3.7)"""
    yield Free(vma)


def exit_mmap(k: Context, mm: Mm) -> Kernel:
    """Take an address space down.  Nobody uses it any more, so no mmap_sem is held; relatives still walk its trees.

    mm/mmap.c:2287 (v3.7)
    """
    vmas = yield mm.mmap
    if not vmas:
        return
    tlb = memory.tlb_gather_mmu(mm, True)
    tlb = yield from memory.unmap_vmas(k, tlb, vmas, 0, TASK_SIZE)
    tlb = yield from memory.free_pgtables(k, tlb, vmas, 0, 0)
    yield from memory.tlb_finish_mmu(k, tlb, 0, TASK_SIZE)
    yield from remove_vma_list(k, vmas)
