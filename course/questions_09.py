"""What the gates of lesson 9 ask."""

from __future__ import annotations

from course.kit import Option, ask


def known() -> None:
    """Importing this module has made its questions known."""


ask(
    "L09.a",
    "A kernel unmaps a page, copies it, and only then has the other CPUs drop it from their TLBs. Meanwhile a thread "
    "on CPU 1, which has used the page before, writes to it. Which of its writes can get lost?",
    Option(
        "None: after the unmapping every write faults",
        "A fault needs a look at the page table. CPU 1 has an entry in its TLB, and looks at nothing else.",
        "M14",
    ),
    Option(
        "None: clearing the PTE drops it from the TLBs as well",
        "The hardware keeps no TLB in step with memory. Not even the CPU that clears the PTE loses its own entry.",
        "M15",
    ),
    Option(
        "Those after the copy and before the flush",
        "They go to the old frame, of which the copy has been taken already. Nobody looks at that frame again.",
    ),
    Option(
        "All between the unmapping and the flush",
        "What is written to the old frame before the copy is copied with the rest. It is the copy that must wait.",
        "M18",
    ),
    look="Which write was lost in the run?",
)

ask(
    "L09.b",
    "Linux 3.7. A thread moves 8 pages of its process, one by one. Three threads of the same process run on other CPUs "
    "and have never touched these pages. How many interrupts do those CPUs get?",
    Option(
        "None: their TLBs have nothing of these pages",
        "So it is, but only the hardware knows. The kernel knows which CPUs run the process, and must ask all of them.",
        "M32",
    ),
    Option("3: one for each CPU", "A page is flushed before it is copied, and the next page comes after that.", "M1"),
    Option(
        "8: one for each page",
        "There are 8 flushes. But each flush interrupts each CPU on which the process runs.",
        "M30",
    ),
    Option("24: one for each page and each CPU", "8 flushes, and 3 CPUs to answer each. The mover waits for all."),
)

ask(
    "L09.c",
    "Now a page that has only been read since it was last written out: its PTE and all TLB entries are clean, and "
    "before its first write through a clean entry a CPU asks the page table. By when must the page have been flushed?",
    Option(
        "Before it is copied, or a write gets lost",
        "No write can go through a clean entry: the CPU asks the page table first, and finds the migration entry.",
        "M18",
    ),
    Option(
        "Before it is mapped again",
        "From then on somebody can write to the new frame, while others go on reading the old one.",
    ),
    Option(
        "Before the old frame is freed: until then both frames are the same",
        "They are the same only until somebody writes to the new one. Then a reader of the old one reads what was.",
        "M31",
    ),
)

ask(
    "L09.r1",
    "From lesson 8: both walks sleep equally often for the lock. Why does the unmap walk have it for so much longer?",
    Option(
        "It copies the page under the lock", "The copy comes after that walk, when it has given the lock back.", "M4"
    ),
    Option("It flushes, and waits for every CPU's answer", "With the ptl and the anon_vma lock in hand."),
    Option("It sleeps more often", "It does not: each walk sleeps once a page. Sleeps are not time.", "M7"),
)

ask(
    "L09.r2",
    "From lesson 1: a thread meets a migration entry. On what does it sleep?",
    Option("On the page lock of the old page", "The mover holds it until the page is mapped again."),
    Option("On the anon_vma lock", "That belongs to the walks. A thread that uses a page takes no such lock.", "M4"),
    Option("On nothing: it tries again and again", "It would burn CPU time. The entry names a page to wait for.", "M6"),
)
