"""Words, each defined once, with what people often think instead."""

from __future__ import annotations

from typing import Final, NamedTuple


class Word(NamedTuple):
    """A definition, and the misconception that the word invites."""

    meaning: str
    often: str


WORDS: Final[dict[str, Word]] = {
    "page": Word(
        "4 KiB of a process's address space, at a virtual address that the program knows",
        "that it is the same as the frame that holds it",
    ),
    "frame": Word(
        "4 KiB of physical memory, on one node; the kernel's struct page describes it",
        "that the program could tell one frame from another",
    ),
    "node": Word("a group of CPUs with memory of its own", "that memory of another node cannot be used"),
    "PTE": Word("a page-table entry: which frame holds a page, or why none does", "that a page has one and no more"),
    "TLB": Word("a CPU's own copy of PTEs it has used", "that it follows the page table by itself"),
    "flush": Word(
        "to drop an entry from a TLB",
        "that one flush reaches every CPU",
    ),
    "interrupt": Word(
        "how one CPU makes another do something (IPI: inter-processor interrupt)",
        "that it arrives in the moment in which it is sent",
    ),
    "mapcount": Word("how many PTEs map a frame", "that it says who uses the frame: that is the reference count"),
    "page flag": Word(
        "a bit in a frame's struct page, such as PG_lru: the frame is on a list of those that may be reclaimed",
        "that the page lock guards it",
    ),
    "page lock": Word("a lock in each struct page, PG_locked; who waits for it sleeps", "that it stops the program"),
    "ptl": Word("the page-table lock, a spinlock; one for each page of page-table entries", "that one lock guards all"),
    "mmap_sem": Word(
        "the rwsem of an address space; page faults and migration hold it for reading, many at a time",
        "that who holds it for reading sees nothing change",
    ),
    "migration entry": Word(
        "a PTE that says: this page is on its way, wait for its page lock", "that the page is lost while it stands"
    ),
    "anon_vma": Word(
        "what the pages of a family of memory regions point to, to find every PTE; its root has one lock",
        "that each page has its own",
    ),
    "anon_vma lock": Word(
        "the lock in the root anon_vma: a mutex in Linux 3.7, an rwsem in 3.8", "that it belongs to one page"
    ),
    "interval tree": Word(
        "an anon_vma's tree of the memory regions (VMAs) in which its pages may be mapped", "that it lists pages"
    ),
    "VMA": Word(
        "vm_area_struct: a range of a process's addresses; vm_start and vm_pgoff say which address a page has in it",
        "that only its own process can get at it",
    ),
    "AVC": Word(
        "anon_vma_chain: the link of one VMA to one anon_vma, a node of its interval tree; freed with the VMA",
        "that a reference to the anon_vma keeps it",
    ),
    "fork": Word(
        "a process makes another, with copies of its VMAs and page tables: what they name is shared and read-only",
        "that it copies the memory",
    ),
    "copy on write": Word(
        "who writes a page that is shared gets a frame of its own, with a copy", "that the others see the write"
    ),
    "root": Word(
        "the oldest anon_vma of a family of processes; in it is the one lock that is ever taken",
        "that each anon_vma's own lock is used",
    ),
    "PMD": Word("the entry by which one finds a page of 512 page-table entries", "that it stays while its PTEs do"),
    "walk": Word(
        "to go through an anon_vma's interval tree and look at the page's PTE in each VMA",
        "that it sees the tree as it was at one moment",
    ),
    "reclaim": Word(
        "to take pages away from processes when memory is short; kswapd is the thread that does so in the background",
        "that it asks the processes first",
    ),
    "reference": Word(
        "a count in an object: while it is not zero the object is not freed; a page has one, an anon_vma too",
        "that it keeps what the object points to",
    ),
    "scheduler": Word("what decides which thread runs next on a CPU", "that it lets threads take turns fairly"),
    "blocked": Word(
        "asleep until somebody else does something; a thread that is runnable waits for its turn only",
        "that a blocked thread keeps a CPU busy",
    ),
    "LRU list": Word(
        "the pages in use, by how long ago they were used; who wants to move one takes it off (isolates it) first",
        "that the order is exact",
    ),
    "preemption": Word("a thread that could have gone on is stopped, and another runs", "that it is rare"),
    "context switch": Word("a CPU stops one thread and goes on with another", "that it shows who used the CPU"),
    "profile": Word(
        "samples of an event, each with the call stack at that moment, summed up", "that it always counts time"
    ),
    "mutex": Word("a lock with one holder; who waits sleeps", "that waiting for it is CPU time"),
    "rwsem": Word("a lock with many readers or one writer", "that readers never block anyone"),
    "compaction": Word(
        "the kernel moves pages, whosever they are, so that free frames come to lie side by side",
        "that it works for one process",
    ),
    "hot-remove": Word(
        "memory is to be taken out of the machine, and every page that lies in it moves away first",
        "that a process has to ask for it",
    ),
    "NUMA fault": Word(
        "a fault on a page that was marked to learn which node uses it; the fault may move the page there",
        "that something has gone wrong",
    ),
    "move_pages": Word("a call that moves pages of a process to a node", "that it copies before it unmaps"),
    "mbind": Word(
        "a call by which a process says on which nodes its memory is to lie; what lies elsewhere may be moved",
        "that it is about memory to come only",
    ),
    "mprotect": Word(
        "a call that changes what part of a process's memory may be used for; it may split a VMA in two",
        "that it changes PTEs only",
    ),
    "batch": Word(
        "pages that are unmapped together, flushed in one round, and then copied and mapped again",
        "that its pages move at the same moment",
    ),
    "deadlock": Word(
        "each of some threads waits for what another of them has or is to do, so that none can ever go on",
        "that it needs two kinds of lock",
    ),
    "writeback": Word(
        "a page is being written out to disk or swap; PG_writeback stands in its struct page for so long",
        "that it comes to an end by itself",
    ),
    "lazy mode": Word(
        "an idle CPU keeps the address space that it had; it is not interrupted for it, and flushes when it comes back",
        "that an idle CPU has an empty TLB",
    ),
    "recording": Word(
        "what a kernel's own tracer wrote down: who called what, on which CPU, in which order",
        "that it shows what can happen, and not only what did",
    ),
    "hand-off": Word("whoever releases a lock passes it to the longest waiter", "that every mutex does so"),
    "stealing": Word("a running thread takes a free lock before the thread that was woken for it", "that it is a bug"),
}


def glossary(*words: str, often: bool = True) -> str:
    """The definitions of *words*, or of all; with what people *often* think, unless a question asks for that."""
    lines = []
    for word in words or WORDS:
        it = WORDS[word]
        lines.append(f"{word}: {it.meaning}." + (f"\n    People often think {it.often}." if often else ""))
    return "\n".join(lines)
