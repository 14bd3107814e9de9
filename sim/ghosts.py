"""What kernel code tells the checks about the user's data; the kernel itself does nothing here.

``mm.shadow`` says what every read must see.  User writes keep it.  A system call that takes data away, or gives it to
somebody else, says so at the moment from which its caller may count on that.
"""

from __future__ import annotations

from sim.ops import Kernel
from sim.structs import Mm, Vma


def forget(mm: Mm, start: int, end: int) -> Kernel:
    """From now on nobody need see what was written to [*start*, *end*) of *mm*: munmap, MADV_DONTNEED."""
    while start < end:
        yield mm.shadow[start].set(None)
        start += 1


def inherit(mm: Mm, oldmm: Mm, vmas: tuple[Vma, ...]) -> Kernel:
    """From now on *mm* must see in its *vmas* what *oldmm* has written there: fork."""
    while vmas:
        vma, vmas = vmas[0], vmas[1:]
        vpn = yield vma.vm_start
        vm_end = yield vma.vm_end
        while vpn < vm_end:
            last = yield oldmm.shadow[vpn]
            if last is not None:
                yield mm.shadow[vpn].set(last)
            vpn += 1


def carry(mm: Mm, start: int, end: int, to: int) -> Kernel:
    """From now on what was written to [*start*, *end*) of *mm* must be seen from *to* on: mremap."""
    while start < end:
        last = yield mm.shadow[start]
        if last is not None:
            yield mm.shadow[to].set(last)
            yield mm.shadow[start].set(None)
        start += 1
        to += 1
