"""What may go wrong, in words: every kind of violation, and the rule of the kernel that it breaks, with its source."""

from __future__ import annotations

#: Every kind of violation, and what it means.
KINDS: dict[str, str] = {
    "use after free": "an object was touched after it had been freed",
    "null pointer": "a pointer was followed that names nothing",
    "double free": "an object was freed twice",
    "release without hold": "a lock was released by a task that does not hold it",
    "lock order": "a lock was taken inside one that belongs inside it",
    "sleep in atomic": "a task could sleep while it holds a spinlock",
    "held at exit": "a task ended and still holds a lock",
    "stale migration entry": "a PTE still names a page as migrating although that page is no longer locked",
    "lost write": "user data is gone: a later read does not see the last write",
    "stale read": "a CPU reads a frame that the page has left",
    "stale TLB entry": "a CPU still remembers a translation that the page table no longer has",
    "gained permission": "user code may write to a page that its VMA or its page table says is read-only",
    "foreign frame": "user code writes into a frame that no longer belongs to its page",
    "wrong mapcount": "a page's count of mappings is not the number of PTEs that map it",
    "wrong refcount": "an object has more or fewer references than there are users of it",
    "broken tree": "a VMA is not found in the tree of an anon_vma that it is linked to",
    "leak": "memory is left that nobody can free any more",
    "kernel bug": "the kernel's own BUG_ON noticed something",
    "deadlock": "nothing can run, and somebody has not finished",
    "livelock": "a task runs for ever and can never finish",
}

#: For each kind the rule that was broken, and where the kernel states it or checks it (Linux 3.7).
RULES: dict[str, str] = {
    "use after free": "who uses an object holds a reference to it, or the lock that whoever frees it must take"
    " (mm/rmap.c:381, v3.7)",
    "null pointer": "a pointer that others may take away is followed under the lock under which they do"
    " (arch/x86/mm/fault.c:587, v3.7)",
    "double free": "an object is freed once, by whoever drops the last reference (include/linux/mm.h:276, v3.7)",
    "release without hold": "a lock is given back by the task that took it, and once (kernel/lockdep.c:3216, v3.7)",
    "lock order": "locks are taken from the outermost to the innermost of one order (mm/rmap.c:20, v3.7)",
    "sleep in atomic": "who holds a spinlock does nothing that may sleep (kernel/sched/core.c:6929, v3.7)",
    "held at exit": "a task gives back every lock before it ends (kernel/lockdep.c:4106, v3.7)",
    "stale migration entry": "while a migration entry exists, its page is locked (include/linux/swapops.h:129, v3.7)",
    "lost write": "a frame is copied after its PTEs are cleared and every TLB has dropped them, so that no write"
    " comes after the copy: B1 (mm/rmap.c:1228, v3.7)",
    "stale read": "no CPU reads a frame once the page can be written elsewhere: its TLB entries are flushed before:"
    " B4 (mm/memory.c:2739, v3.7)",
    "stale TLB entry": "who takes a translation out of a page table has every TLB drop it before the call returns:"
    " B5 (mm/mprotect.c:141, v3.7)",
    "gained permission": "no PTE and no TLB entry allows more than the VMA that it lies in (mm/mprotect.c:38, v3.7)",
    "foreign frame": "a frame is used again after every TLB has dropped it: B2 (mm/memory.c:2764, v3.7)",
    "wrong mapcount": "a page's _mapcount is the number of PTEs that map it, less one"
    " (include/linux/mm_types.h:100, v3.7)",
    "wrong refcount": "who keeps an object holds one reference to it: an anon_vma's tree, and each member its root"
    " (mm/rmap.c:301, v3.7)",
    "broken tree": "an anon_vma's tree holds each of its links once, in order of page offset"
    " (include/linux/rmap.h:40, v3.7)",
    "leak": "every reference that is taken is given back (include/linux/mm_types.h:109, v3.7)",
    "kernel bug": "what the kernel asserts is true (include/asm-generic/bug.h:55, v3.7)",
    "deadlock": "no two tasks wait for each other, nor any longer ring of them (kernel/lockdep.c:1151, v3.7)",
    "livelock": "whoever has begun can finish (kernel/hung_task.c:71, v3.7)",
}
#: What a write must not come after, if the page goes to swap.
WRITTEN_OUT_ONCE_FLUSHED = "a page is written out after every TLB has dropped it: B3 (mm/vmscan.c:795, v3.7)"
#: What a task has unmapped without a flush it may forget only after the flush.
FLUSHED_BEFORE_FORGOTTEN = "what was unmapped and not flushed is kept in mind until it is: B6 (mm/rmap.c:1228, v3.7)"
#: Whoever holds a page lock and waits for another.
ONE_PAGE_LOCK_AT_A_TIME = "who holds a page lock only tries to get another: B7 (mm/vmscan.c:710, v3.7)"
#: A frame must also be out of every PTE when it is freed.
NO_PTE_OF_A_FREE_PAGE = "a frame is given back when no PTE names it (mm/page_alloc.c:601, v3.7)"
