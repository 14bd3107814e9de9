"""A process ends.  kernel/exit.c"""

from __future__ import annotations

from sim.context import Context
from sim.kernel.fork import mmput
from sim.ops import Kernel, Point
from sim.sync import down_read, up_read


def do_exit(k: Context) -> Kernel:
    """The current thread ends; of all that it gives back only its address space is here.  kernel/exit.c:810 (v3.7)"""
    yield Point("syscall")
    yield from exit_mm(k)


def exit_mm(k: Context) -> Kernel:
    """Leave the address space; its last user takes it down, and for that holds no mmap_sem: nobody else uses it.

    Nobody of its own, that is.  Relatives and the migration of a shared page still find its VMAs through the trees of
    their anon_vmas.  mmap_sem is taken for a moment only, against a core dump.  kernel/exit.c:555 (v3.7)
    """
    mm = k.mm
    yield from down_read(mm.mmap_sem)
    yield from up_read(mm.mmap_sem)
    yield from mmput(k, mm)
