"""A new program starts while its stack moves to another frame."""

from __future__ import annotations

from functools import partial

from sim.context import Context
from sim.kernel.exec import setup_arg_pages
from sim.ops import Kernel
from sim.setup import Builder
from sim.structs import PTRS_PER_PTE, VM_STACK_INCOMPLETE_SETUP, Vma
from sim.user import user_read
from sim.worlds import world
from sim.worlds.edits import kernel_mover
from sim.worlds.moving import PASSES

#: How far down the stack goes.
SHIFT = 4


def starter(k: Context, *, stack: Vma, vpn: int) -> Kernel:
    """A thread in exec: it sets up the stack, and the program reads its arguments there."""
    yield from setup_arg_pages(k, stack, SHIFT)
    yield from user_read(k, vpn)


@world(check={"passes": 2}, passes=PASSES)
def exec_stack(passes: int) -> Builder:
    """A process in exec moves its new stack down while a kernel thread moves the stack's page to another frame.

    The page with the program's arguments lies on a temporary stack, which exec moves four pages down, VMA and page
    table (fs/exec.c:575 to 634), without the anon_vma lock and inside one VMA.  Migration leaves the page alone until
    the stack is where it belongs (mm/rmap.c:1494); then exec lets the stack grow (fs/exec.c:738), which takes it out of
    its tree and puts it back.  Nobody else knows the new address space, and no mmap_sem stops the kernel thread.
    """
    top = PTRS_PER_PTE - 8
    b = Builder()
    mm, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    stack = b.vma(mm, "stack", top, top + 1, grows_down=True)
    b.memory[stack.vm_flags] |= VM_STACK_INCOMPLETE_SETUP
    page = b.page(stack, top, node=0, written=1)
    move = partial(kernel_mover, page=page, node=1, passes=passes)
    b.kernel_thread("mover", cpu0, move, "moves the stack's page to node 1, for the kernel's own reasons")
    body = partial(starter, stack=stack, vpn=top - SHIFT)
    b.task("exec", cpu1, mm, body, f"moves its stack {SHIFT} pages down and reads the arguments")
    return b


def never(k: Context, vma: Vma) -> Kernel:
    """``is_vma_temporary_stack`` as if there were none."""
    yield from ()
    return False


exec_stack.variation(
    "no_skip",
    "Migration does not leave the temporary stack of an exec alone.",
    {"rmap.is_vma_temporary_stack": never},
)
