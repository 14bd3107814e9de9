"""What kernel code tells the checks about the user's data; the kernel itself does nothing here.

``mm.shadow`` says what every read must see.  User writes keep it.  A system call that takes data away, or gives it to
somebody else, says so at the moment from which its caller may count on that.
"""

from __future__ import annotations

from sim.ops import Kernel
from sim.structs import PTRS_PER_PTE, Mm, Vma


def after(vpn: int, used: int) -> int:
    """The next page after *vpn* that is in use, where of each 512 the first *used* are; or all, if that is 0."""
    vpn += 1
    return vpn if not used or vpn % PTRS_PER_PTE < used else vpn + PTRS_PER_PTE - vpn % PTRS_PER_PTE


def forget(mm: Mm, start: int, end: int) -> Kernel:
    """From now on nobody need see what was written to [*start*, *end*) of *mm*: munmap, MADV_DONTNEED."""
    used = yield mm.used_of_512
    while start < end:
        yield mm.shadow[start].set(None)
        start = after(start, used)


def inherit(mm: Mm, oldmm: Mm, vmas: tuple[Vma, ...]) -> Kernel:
    """From now on *mm* must see in its *vmas* what *oldmm* has written there: fork."""
    used = yield oldmm.used_of_512
    while vmas:
        vma, vmas = vmas[0], vmas[1:]
        vpn = yield vma.vm_start
        vm_end = yield vma.vm_end
        while vpn < vm_end:
            last = yield oldmm.shadow[vpn]
            if last is not None:
                yield mm.shadow[vpn].set(last)
            vpn = after(vpn, used)


def carry(mm: Mm, start: int, end: int, to: int) -> Kernel:
    """From now on what was written to [*start*, *end*) of *mm* must be seen from *to* on: mremap."""
    used = yield mm.used_of_512
    by = to - start
    while start < end:
        last = yield mm.shadow[start]
        if last is not None:
            yield mm.shadow[start + by].set(last)
            yield mm.shadow[start].set(None)
        start = after(start, used)
