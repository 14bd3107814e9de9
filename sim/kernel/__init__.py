"""The kernel, function for function, as generators that yield operations (:mod:`sim.ops`).

A file here is the kernel file of the same name; a function has its kernel name, and its docstring ends with the
place where the kernel defines it.  The files of this folder are Linux 3.7; a subfolder holds only what differs in
another tree.

========================  ==============================  ============================================
file                      kernel file                     what it is about
========================  ==============================  ============================================
compaction.py             mm/compaction.c                 moving pages out of the way of a large block
exec.py                   fs/exec.c                       a new program gets its stack
exit.py                   kernel/exit.c                   a process ends
fault.py                  arch/x86/mm/fault.c             a page fault, from the hardware to its VMA
filemap.py                mm/filemap.c                    finding a page in a page cache without a lock
fork.py                   kernel/fork.c                   a child gets a copy of its parent's address space
gup.py                    arch/x86/mm/gup.c               pinning a page without a lock
huge_memory.py            mm/huge_memory.c                huge pages, from the first touch to a split
interval_tree.py          mm/interval_tree.c              the tree of VMAs in an anon_vma
madvise.py                mm/madvise.c                    a process needs pages no longer
memory.py                 mm/memory.c                     page tables: faults, fork, unmapping
memory_hotplug.py         mm/memory_hotplug.c             emptying memory that is to be taken out
mempolicy.py              mm/mempolicy.c                  mbind, and moving another process's pages
migrate.py                mm/migrate.c                    moving a page to another frame
mlock.py                  mm/mlock.c                      pages that must stay in memory
mmap.py                   mm/mmap.c                       VMAs: finding, growing, splitting, unmapping
mprotect.py               mm/mprotect.c                   taking rights away from a range of pages
mremap.py                 mm/mremap.c                     moving a range to other addresses
page_alloc.py             mm/page_alloc.c                 frames come and go
page_io.py                mm/page_io.c                    writing a page to swap and reading it back
pagemap.py                include/linux/pagemap.h         where a page stands; freezing its references
pgtable.py                arch/x86/include/asm/pgtable.h  looking at one PTE; pure functions
pgtable_generic.py        mm/pgtable-generic.c            changing a PTE that the hardware uses
rbtree.py                 lib/rbtree.c                    the red-black tree below the interval tree
rmap.py                   mm/rmap.c                       from a page to the PTEs that name it
smp.py                    kernel/smp.c                    asking other CPUs and waiting for them
swap.py                   mm/swap.c                       references to a page
swap_state.py             mm/swap_state.c                 the swap cache: pages that have a swap slot
swapfile.py               mm/swapfile.c                   swap slots and who refers to them
swapops.py                include/linux/swapops.h         migration entries
tlb.py                    arch/x86/mm/tlb.c               flushing one page from every TLB
vmscan.py                 mm/vmscan.c                     taking a page off the LRU and back; reclaim
batch/migrate.py          mm/migrate.c of 6.3, and ours   pages move many at a time, with one flush
batch/pgtable_generic.py  mm/pgtable-generic.c of ours    a PTE is cleared, and flushed later
batch/rmap.py             mm/rmap.c of 4.3 and 4.13       the flushes that a task has put off
batch/vmscan.py           mm/vmscan.c of ours             reclaim flushes once for all its pages
numacore/memory.py        mm/memory.c of numa/core v18    a NUMA fault serves 2 MB
numacore/migrate.py       mm/migrate.c of numa/core v18   moving a page that the wrong node uses
v38/fair.py               kernel/sched/fair.c of 3.8      who marks pages for NUMA hints, and when
v38/huge_memory.py        mm/huge_memory.c of 3.8         a split takes the lock to be alone
v38/memory.py             mm/memory.c of 3.8              a NUMA fault serves one page
v38/migrate.py            mm/migrate.c of 3.8             moving a page for a NUMA hint, not too many
v38/pgtable_generic.py    mm/pgtable-generic.c of 3.8     a flush only where a TLB may hold the entry
v414/huge_memory.py       mm/huge_memory.c of 4.14        the migration entry of a huge page
v414/memory.py            mm/memory.c of 4.14             a fault waits for a huge page on its way
v414/migrate.py           mm/migrate.c of 4.14            moving a huge page whole
v414/page_vma_mapped.py   mm/page_vma_mapped.c of 4.14    what a walk has come to: a huge page?
v414/rmap.py              mm/rmap.c of 4.14               unmapping a huge page whole
v61/fault.py              arch/x86/mm/fault.c of 6.1      a stack grows with mmap_sem held to write
v61/filemap.py            mm/filemap.c of 6.1             sleeping on a page that nobody keeps
v61/gup.py                mm/gup.c of 6.1                 pinning a page, with a second look
v61/huge_memory.py        mm/huge_memory.c of 6.1         a moved huge page is flushed in time
v61/memory.py             mm/memory.c of 6.1              a NUMA fault serves one page
v61/mempolicy.py          mm/mempolicy.c of 6.1           NUMA hints, with a note that a flush is to come
v61/migrate.py            mm/migrate.c of 6.1             move_pages without mmap_sem, one page at a time
v61/mremap.py             mm/mremap.c of 6.1              moved PTEs are flushed in time
v61/pgtable_generic.py    mm/pgtable-generic.c of 6.1     a flush only where a TLB may hold the entry
v61/rmap.py               mm/rmap.c of 6.1                the unmap walk of a migration
v61/tlb.py                arch/x86/mm/tlb.c of 6.1        flushes by number; lazy CPUs
v612/memory.py            mm/memory.c of 6.12             a NUMA fault serves one page
v612/migrate.py           mm/migrate.c of 6.12            moving a page that the wrong node uses
v612/rmap.py              mm/rmap.c of 6.12               a hint that is unmapped needs no flush
v63/migrate.py            mm/migrate.c of 6.3             pages move in batches, with one flush
v63/rmap.py               mm/rmap.c of 6.3                a migration's flushes are put off
v63/tlb.py                arch/x86/mm/tlb.c of 6.3        flushing a batch
========================  ==============================  ============================================

Of a kernel function only what touches shared state is here, and only for anonymous pages:
no file pages, KSM, memory cgroups or statistics.  Addresses are virtual page numbers.
"""
