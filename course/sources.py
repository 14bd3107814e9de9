"""What the lessons cite beside the functions of Linux 3.7: mails and commits by their ids, and single lines of 3.7.2.

One sentence of ours for each: what it is, and what it is cited for.
"""

from __future__ import annotations

from typing import Final

#: Message ids and commits.
SOURCES: Final[dict[str, str]] = {
    "1354305521-11583-1-git-send-email-mingo@kernel.org": "mail of 30 November 2012: the cover of numa/core v18, with "
    "the profile in which 96.43 % of the context switches are at the anon_vma mutex",
    "CA+55aFwjxm7OYuucHeE2WFr4p+jwr63t=kSdHndta_QkyFbyBQ": "mail of 30 November 2012: asks whether migration, which "
    "changes PTEs and not the chains, needs that lock, and whether an rwsem would do",
    "20121201094927.GA12366": "mail of 1 December 2012: the untested patch that takes the lock away from the walk that "
    "maps again; counts the flushes of 2 MB; names try_to_unmap as the other half",
    "20121201122649.GA20322": "mail of 1 December 2012: the second patch, with a flag for the walk that unmaps, and "
    "figures",
    "50BA2E0A.2070102": "mail of 1 December 2012: relatives map the same page, and one mmap_sem does not stop them",
    "alpine.LNX.2.00.1301041253280": "mail of 4 January 2013: why the split of a huge page must hold the lock alone",
    "1429612880-21415-6": "mail of April 2015: batched flushes for migration, not merged",
    "87a6c8c-c5c1-67dc-1e32-eb30831d6e3d": "mail of 2023: machines that hang when batches wait with pages locked",
    "72b252aed506": "commit for 4.3: flushes of reclaim are batched; one is put off only if it would interrupt others",
    "5a505085f043": "commit for 3.8: the mutex of an anon_vma becomes an rwsem, taken to write everywhere",
    "4fc3f1d66b1e": "commit for 3.8: the walks take it to read",
    "a98a2f0c8ce1": "commit in 5.14: try_to_migrate is split from try_to_unmap",
    "7e12beb8ca2a": "commit in 6.3: the flushes of migration are batched; with the measurements of its author",
    "fb3592c41a44": "commit in 6.3: what is busy is moved singly, after the batch",
    "2ef7dbb26990": "commit in 6.3: batches are asynchronous only, and what they left is tried page by page",
}

#: Lines of 3.7.2 inside of a function, or of no function: what stands there.
LINES: Final[dict[str, str]] = {
    "kernel/mutex.c:147": "__mutex_lock_common: who waits spins while the owner runs",
    "kernel/mutex.c:158": "__mutex_lock_common: not with DEBUG_MUTEXES",
    "mm/mmap.c:606": "vma_adjust: a VMA whose bounds change is out of its trees meanwhile",
    "mm/mremap.c:123": "move_ptes: where there is no PTE there is none to be moved",
    "mm/rmap.c:21": "the head of the file: the order of the locks of memory management",
    "mm/rmap.c:1698": "rmap_walk_anon: the comment on users that do not hold the mmap_sem",
}
