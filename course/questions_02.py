"""What the gates of lesson 2 ask."""

from __future__ import annotations

from course.kit import Option, ask


def known() -> None:
    """Importing this module has made its questions known."""


ask(
    "L02.a",
    "P has written page 0, then forked C, and C has forked G; nobody has written since. The frame is to be moved. "
    "How many PTEs must be replaced, and how does the kernel find them?",
    Option(
        "One: a page has one PTE, and it is P's",
        "After a fork the child's page table names the same frame, read-only. Here three page tables do.",
        "M13",
    ),
    Option(
        "One: C and G got copies when they were forked",
        "A fork copies page tables. A frame is copied when somebody writes to it, and nobody has.",
        "M28",
    ),
    Option(
        "Three: it looks at page 0 in the page table of every process",
        "There can be thousands of processes; and in one of them the frame may stand at another address by now.",
        "M12",
    ),
    Option(
        "Three: the frame leads to the VMAs that may map it",
        "The frame names an anon_vma, whose tree has a link (AVC) to each VMA of the family. Then it looks there.",
    ),
    look="How many PTEs did the first walk replace, and how did it come to them?",
)

ask(
    "L02.b",
    "P, C and G have a VMA each for this range. How many anon_vmas are there now, and whose lock does a walk take?",
    Option(
        "One for each frame, with a lock of its own",
        "A frame names an anon_vma and has none of its own: all that P brings into this VMA names the same one.",
        "M19",
    ),
    Option(
        "Three; a walk takes the lock of the one that it goes through",
        "Each has a lock in it, but a VMA hangs in several trees, which change together. So one lock guards them all.",
        "M26",
    ),
    Option(
        "Three; every walk takes the lock of the oldest",
        "Each fork adds one whose root is P's. The root's lock guards the trees of the whole family.",
    ),
    Option(
        "Three, and no lock: a walk only reads",
        "Who reads a tree while it is being changed may miss what is in it. Lesson 6 is about that.",
        "M25",
    ),
)

ask(
    "L02.c",
    "Now another order. P writes page 0 and forks C; C writes page 0, and so gets a copy; then C forks G. "
    "Whom does a walk for C's copy visit?",
    Option(
        "vP, vC and vG: it is page 0 in all three",
        "The address is the same, the frame is not. The copy hangs on C's anon_vma, and vP is not in its tree.",
        "M12",
    ),
    Option("vC: the copy is C's alone", "G was forked afterwards, and shares it.", "M13"),
    Option(
        "vC and vG: C, and whoever descends from it",
        "What C brings in hangs on C's own anon_vma, and each fork links the child to all that its parent hangs on.",
    ),
)

ask(
    "L02.r1",
    "From lesson 1: what does the walk that unmaps a page leave in each PTE?",
    Option(
        "Nothing: the PTE is cleared, and that is all",
        "Then whoever faults would take the page for one that was never touched. The entry says: wait.",
        "M17",
    ),
    Option(
        "A migration entry, on which whoever faults waits", "It names the old page, whose lock the waiter sleeps on."
    ),
    Option("A PTE of the new frame", "That one is still empty: it is filled later, and mapped last.", "M18"),
)

ask(
    "L02.r2",
    "From lesson 1: the PTEs of a frame have been cleared, in P, in C and in G. Who can still use the frame?",
    Option("Nobody: no PTE names it", "A TLB is a copy, and does not follow the page table by itself.", "M14"),
    Option("Every CPU whose TLB remembers it", "Until it is flushed. So each PTE that is cleared costs a flush."),
    Option(
        "Nobody: the CPU that walks has flushed its TLB",
        "Each CPU has its own. The others must be interrupted, each process's CPUs for its PTE.",
        "M15",
    ),
)
