"""The calls that kernel code makes, by kernel name.

Thin: each yields one operation of :mod:`sim.ops`; how the lock behaves stands in :mod:`sim.locks`.
Field arguments are lock fields: ``mm.mmap_sem``, ``page.PG_locked``, ``table.ptl``.
"""

from __future__ import annotations

from sim.ops import SHARED, Acquire, Field, Kernel, RcuReadLock, RcuReadUnlock, Release, TryAcquire, Until
from sim.structs import Cpu, Page, Task


def mutex_lock(lock: Field) -> Kernel:
    """Take a mutex; sleep until it can be had.  kernel/mutex.c:83 (v3.7)"""
    yield Acquire(lock)


def mutex_trylock(lock: Field) -> Kernel:
    """Take a mutex if it is free; answer whether.  kernel/mutex.c:464 (v3.7)"""
    ok = yield TryAcquire(lock)
    return ok


def mutex_unlock(lock: Field) -> Kernel:
    """Release a mutex.  kernel/mutex.c:110 (v3.7)"""
    yield Release(lock)


def down_read(lock: Field) -> Kernel:
    """Take a rwsem with other readers; sleep behind a writer, also behind one that queues.  kernel/rwsem.c:18 (v3.7)"""
    yield Acquire(lock, SHARED)


def down_read_nested(lock: Field) -> Kernel:
    """``down_read``, said to be in order although another lock of the kind is held.  kernel/rwsem.c:109 (v3.7)"""
    yield Acquire(lock, SHARED, nested=True)


def down_read_trylock(lock: Field) -> Kernel:
    """Take a rwsem for reading if no writer holds or awaits it; answer whether.  kernel/rwsem.c:31 (v3.7)"""
    ok = yield TryAcquire(lock, SHARED)
    return ok


def up_read(lock: Field) -> Kernel:
    """Release a rwsem held for reading.  kernel/rwsem.c:72 (v3.7)"""
    yield Release(lock, SHARED)


def down_write(lock: Field) -> Kernel:
    """Take a rwsem alone.  kernel/rwsem.c:45 (v3.7)"""
    yield Acquire(lock)


def down_write_nested(lock: Field) -> Kernel:
    """Take a rwsem alone while holding another: a child's inside its parent's.  kernel/rwsem.c:119 (v3.7)"""
    yield Acquire(lock, nested=True)


def up_write(lock: Field) -> Kernel:
    """Release a rwsem held for writing.  kernel/rwsem.c:84 (v3.7)"""
    yield Release(lock)


def spin_lock(lock: Field) -> Kernel:
    """Take a spinlock; the CPU is busy until it can be had.  include/linux/spinlock.h:283 (v3.7)"""
    yield Acquire(lock)


def spin_lock_nested(lock: Field) -> Kernel:
    """Take a spinlock inside another of its kind (``SINGLE_DEPTH_NESTING``).  include/linux/spinlock.h:298 (v3.7)"""
    yield Acquire(lock, nested=True)


def spin_unlock(lock: Field) -> Kernel:
    """Release a spinlock.  include/linux/spinlock.h:323 (v3.7)"""
    yield Release(lock)


def local_irq_disable(cpu: Cpu) -> Kernel:
    """From now on *cpu*, the caller's own, takes no interrupt: who wants it flushed waits.

    include/linux/irqflags.h:91 (v3.7)
    """
    yield cpu.irqs_off.set(True)


def local_irq_enable(cpu: Cpu) -> Kernel:
    """Take interrupts again, first of all those that have come meanwhile.  include/linux/irqflags.h:89 (v3.7)"""
    yield cpu.irqs_off.set(False)


def lockdep_off(task: Task) -> Kernel:
    """From now on nobody minds in which order *task* takes locks, to see what comes of it.

    kernel/lockdep.c:319 (v3.7)
    """
    yield task.lockdep_recursion.set(True)


def rcu_read_lock() -> Kernel:
    """Begin a read section: an anon_vma that is freed now stays an anon_vma to its end.

    include/linux/rcupdate.h:732 (v3.7)
    """
    yield RcuReadLock()


def rcu_read_unlock() -> Kernel:
    """End a read section.  include/linux/rcupdate.h:756 (v3.7)"""
    yield RcuReadUnlock()


def lock_page(page: Page) -> Kernel:
    """Take PG_locked, sleeping.  include/linux/pagemap.h:332 (v3.7)"""
    yield Acquire(page.PG_locked)


def lock_page_nested(page: Page) -> Kernel:
    """Take PG_locked while holding that of another page, as writeback of a run of pages does, in their order.

    The kernel's lock_page does not ask what else is held.  include/linux/pagemap.h:332 (v3.7)
    """
    yield Acquire(page.PG_locked, nested=True)


def trylock_page(page: Page) -> Kernel:
    """Take PG_locked if it is clear; answer whether.  include/linux/pagemap.h:324 (v3.7)"""
    ok = yield TryAcquire(page.PG_locked)
    return ok


def unlock_page(page: Page) -> Kernel:
    """Clear PG_locked and wake who waits for it.  mm/filemap.c:588 (v3.7)"""
    yield Release(page.PG_locked)


def wait_on_page_writeback(page: Page) -> Kernel:
    """Sleep until the page has been written out.  include/linux/pagemap.h:394 (v3.7)"""
    yield Until(page.PG_writeback, False, sleeps=True)


def end_page_writeback(page: Page) -> Kernel:
    """The page has been written out: wake who waits for that.  mm/filemap.c:601 (v3.7)"""
    yield page.PG_writeback.set(False)


def wait_on_page_locked(page: Page) -> Kernel:
    """Sleep until PG_locked is clear, without taking it.  include/linux/pagemap.h:385 (v3.7)"""
    yield Until(page.PG_locked, None, sleeps=True)
