"""What the gates of lesson 8 ask."""

from __future__ import annotations

from course.kit import Option, ask


def known() -> None:
    """Importing this module has made its questions known."""


ask(
    "L08.a",
    "Each of the two walks has half of the sleeps in the profile; the first patch takes the lock from the remap walk. "
    "Eight threads run, without the patch. What part of the time for which the lock is held is the remap walk's?",
    Option(
        "About half, as the profile says",
        "The profile counts sleeps. Each walk sleeps once a page, however long it then has the lock.",
        "M7",
    ),
    Option(
        "Less than a tenth",
        "The other walk flushes TLBs with the lock in hand: it interrupts every CPU of the process, and waits for all.",
    ),
    Option(
        "Nearly all: the page is copied in between",
        "In between neither walk has the lock. What is done under a lock is what stands between taking and giving.",
        "M4",
    ),
    look="What part of the held time was the remap walk's?",
)

ask(
    "L08.b",
    "Suppose that try_to_unmap takes no lock any more, whoever calls it. kswapd swaps a page out while the only "
    "process that maps it exits. What of kswapd's walk?",
    Option(
        "It is safe: what is enough for migration is enough here, in the same function",
        "Who moves a page has taken a reference to its anon_vma before. Reclaim has not: it relied on the lock.",
        "M21",
    ),
    Option(
        "It is safe: an exit takes the mmap_sem, and so waits",
        "An exit takes none, for nobody else uses the process any more; and kswapd holds none that it could wait for.",
        "M20",
    ),
    Option(
        "At worst it misses a PTE, and the mapcount tells",
        "That is so for a PTE that is missed. But a count of PTEs keeps neither the tree nor the anon_vma allocated.",
        "M10",
    ),
    Option(
        "It can read an anon_vma that has been freed",
        "Nothing keeps it: kswapd has no reference to it, and the lock is gone for which the exit would have waited.",
    ),
)

ask(
    "L08.c",
    "The second patch hands page_lock_anon_vma a flag: for migration it returns the anon_vma without locking it. "
    "try_to_unmap_anon, its caller, ends as before. What happens when a page is moved?",
    Option(
        "It moves: reclaim locks, migration does not. The day's benchmarks ran so",
        "They did, and gave figures. The mutex then counts one too many, and sooner or later lets two in at once.",
        "M3",
    ),
    Option(
        "Reclaim is not locked either, since it calls the same function",
        "The flag tells the two apart. It is the other end of the lock that was forgotten.",
        "M4",
    ),
    Option(
        "At the end of the walk a lock is given back that nobody had taken",
        "page_unlock_anon_vma gets no flag. A lock has two ends, and a flag must reach both.",
    ),
)

ask(
    "L08.r1",
    "From lesson 6: what keeps the links (AVCs) in the tree while a walk goes by?",
    Option("The reference that the mover has taken", "It keeps the anon_vma. A link is freed with its VMA.", "M10"),
    Option(
        "The mmap_sem that the mover holds", "Relatives have mmap_sems of their own, and an exit takes none.", "M20"
    ),
    Option("The anon_vma lock", "Whoever links, unlinks or moves a VMA takes it, alone."),
)

ask(
    "L08.r2",
    "From lesson 4: a mutex is handed off, and threads queue for it. When does it serve nobody all the same?",
    Option("While those who wait for it spin", "Under hand-off nobody spins: they sleep.", "M6"),
    Option("While the next holder is waking up", "It has been given the lock already, and nobody else can use it."),
    Option("While pages are copied", "That is done without the lock, by all at once.", "M4"),
)
