"""A new program gets its stack: fs/exec.c (v3.7).

exec writes the program's arguments to a temporary stack at the highest address, because it does not yet know where the
stack belongs.  Then it moves stack and page tables down, inside one VMA, whose page offsets do not move along.  Between
two steps of that no offset leads to the right address; so migration leaves such a stack alone
(:func:`sim.kernel.rmap.is_vma_temporary_stack`).

Left out: the arguments, the randomized address, the right to execute, and limits.
"""

from __future__ import annotations

from errno import EFAULT, ENOMEM
from typing import Final

from sim.context import Context
from sim.kernel.memory import free_pgd_range, tlb_finish_mmu, tlb_gather_mmu
from sim.kernel.mmap import expand_stack, find_vma, neighbours, vma_adjust
from sim.kernel.mremap import move_page_tables
from sim.ops import Kernel
from sim.structs import VM_STACK_INCOMPLETE_SETUP, Vma
from sim.sync import down_write, up_write

#: How far a new stack reaches below its pages: 128 KiB.  fs/exec.c:719 (v3.7)
STACK_EXPAND: Final = 32


def shift_arg_pages(k: Context, vma: Vma, shift: int) -> Kernel:
    """Move the stack *vma* down by *shift* pages; return 0, -EFAULT or -ENOMEM.  fs/exec.c:575 (v3.7)

    Caller holds mmap_sem to write, and no thread of the new program runs yet.  The VMA is widened, its PTEs are moved
    without the anon_vma lock, page tables that are not needed any more are freed, and the VMA is cut to its new place.
    Its vm_pgoff stays the same throughout: from the widening to the move of the PTEs a walk looks for each page where
    it is not yet.
    """
    mm = yield vma.vm_mm
    old_start = yield vma.vm_start
    old_end = yield vma.vm_end
    pgoff = yield vma.vm_pgoff
    new_start, new_end = old_start - shift, old_end - shift
    first = yield from find_vma(k, mm, new_start)
    if first is not vma:
        return -EFAULT
    yield from vma_adjust(k, vma, new_start, old_end, pgoff, None)
    length = old_end - old_start
    done = yield from move_page_tables(k, vma, old_start, vma, new_start, length, False)
    if done != length:
        return -ENOMEM
    _, after = yield from neighbours(k, vma)
    ceiling = 0
    if after is not None:
        ceiling = yield after.vm_start
    tlb = tlb_gather_mmu(mm, False)
    tlb = yield from free_pgd_range(k, tlb, max(new_end, old_start), old_end, new_end, ceiling)
    yield from tlb_finish_mmu(k, tlb, new_end, old_end)
    yield from vma_adjust(k, vma, new_start, new_end, pgoff, None)
    return 0


def setup_arg_pages(k: Context, vma: Vma, shift: int) -> Kernel:
    """Give the new program's stack *vma* its final place, *shift* pages down, and room to grow.  fs/exec.c:640 (v3.7)

    Takes mmap_sem to write.  Returns 0 or an error.  From the moment at which the flags of the temporary stack are gone
    its pages may be migrated; it then grows under the anon_vma lock, like any stack.
    """
    mm = yield vma.vm_mm
    yield from down_write(mm.mmap_sem)
    ret = yield from shift_arg_pages(k, vma, shift)
    if ret == 0:
        vm_flags = yield vma.vm_flags
        yield vma.vm_flags.set(vm_flags & ~VM_STACK_INCOMPLETE_SETUP)
        vm_start = yield vma.vm_start
        error = yield from expand_stack(k, vma, vm_start - STACK_EXPAND)
        ret = -EFAULT if error else 0
    yield from up_write(mm.mmap_sem)
    return ret
